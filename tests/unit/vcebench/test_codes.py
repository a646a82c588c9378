"""The Python interface for methods that move codes, with networks of somebody's own."""

import pytest
import torch
from torch import nn

import vcebench
from vcebench.errors import UserError

IMAGES = torch.randint(0, 256, (3, 3, 16, 16), generator=torch.Generator().manual_seed(0)).to(
    torch.uint8
)


class Bright(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(8.0))

    def forward(self, x):
        return self.scale * x.mean(dim=(1, 2, 3))


class Means(nn.Module):
    """Twelve codes, the means of four quarters."""

    regions = ("all",)

    def encode(self, x, segments=None):
        codes = nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)
        return (codes, codes) if segments is None else codes[:, None]

    def decode(self, *given):
        return nn.functional.interpolate(given[-1].reshape(-1, 3, 2, 2), size=16)


class Wrong(Means):
    def decode(self, *given):
        return super().decode(*given)[:, :, :8]


def explain(method, **more):
    asked = {"classifier": Bright(), "batch_size": 2, "learning_rate": 0.1, **more}
    return vcebench.explain(IMAGES, method=method, **asked)


def test_codes_of_ones_own_autoencoder_are_moved():
    free = {"reconstruction": 0.0, "lasso": 0.0, "diversity": 0.0, "explanations": 2}
    found = explain("dive-100", autoencoder=Means(), **free)
    assert found.flipped.all()
    assert found.tries.tolist() == [1, 1, 1]
    assert (found.nfe == found.backward).all()
    assert found.lambda_class.isnan().all()


def test_regions_of_ones_own_are_moved():
    segments = torch.zeros(3, 16, 16, dtype=torch.uint8)
    found = explain("steex", autoencoder=Means(), segments=segments, iterations=40, proximity=0.0)
    assert found.flipped.all()
    assert found.nfe.tolist() == [40, 40, 40]


@pytest.mark.parametrize(
    ("method", "more", "said"),
    [
        ("dive", {}, "give autoencoder="),
        ("dive", {"autoencoder": Bright()}, "encode and decode"),
        ("dive", {"autoencoder": Wrong()}, "in the same shape"),
        ("dive", {"autoencoder": Means(), "precision": "bf16"}, "exact or fast"),
        ("steex", {"autoencoder": Means()}, "give segments="),
        ("steex", {"autoencoder": Means(), "segments": torch.zeros(3, 16, 16)}, "give uint8"),
        (
            "steex",
            {"autoencoder": Means(), "segments": torch.zeros(3, 8, 8, dtype=torch.uint8)},
            r"shape \(3, 16, 16\)",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(method, more, said):
    with pytest.raises(UserError, match=said):
        explain(method, **more)
