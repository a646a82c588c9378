"""DiVE: images stop by themselves, one explanation is kept, clusters share the codes."""

import pytest
import torch
from torch import nn

from vcebench.methods import registry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import Extras
from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.dive import PICKS, alike, clusters, fisher
from vcebench.models.classifier import BinaryClassifier

SHAPE = (3, 4, 4)


class Means:
    """Codes are the means of the channels, and pictures are flat."""

    def encode(self, x):
        return x.mean(dim=(2, 3)), x.mean(dim=(2, 3))

    def decode(self, z):
        return z[:, :, None, None].expand(-1, -1, 4, 4)


class Brightness(nn.Module):
    def forward(self, x):
        return 4 * x.mean(dim=(1, 2, 3))


def flat(*levels):
    return torch.tensor(levels)[:, None, None, None].expand(-1, *SHAPE).clone()


def explain(x, ids=None, name="dive-100", extras=None, **settings):
    usual = {"learning_rate": 0.05, "reconstruction": 0.0, "lasso": 0.0, "diversity": 0.0}
    method = registry.method(name, **{**usual, "explanations": 3, **settings})
    return method.explain(
        x,
        torch.ones(len(x), dtype=torch.int64),
        prior=None,
        guidance=Guidance(BinaryClassifier(Brightness()), torch.ones(len(x)), lambda_perceptual=0),
        noise=KeyedNoise(0, "dive", ids or [str(n) for n in range(len(x))], SHAPE),
        extras=extras or Extras(autoencoder=Means()),
    )


def test_an_image_stops_once_its_explanations_have_flipped():
    found = explain(flat(-0.05, -0.3, 0.4))
    near, far, there = found.nfe.tolist()
    assert there == 3  # it was decoded once
    assert there < near < far < 300
    assert (found.x_cf.mean(dim=(1, 2, 3)) > 0).all()
    assert found.backward.tolist() == found.nfe.tolist()


def test_an_image_does_not_depend_on_its_batch():
    x = flat(-0.05, -0.3, 0.4)
    whole = explain(x)
    for n in range(3):
        alone = explain(x[n : n + 1], ids=[str(n)])
        torch.testing.assert_close(alone.x_cf[0], whole.x_cf[n], atol=1e-6, rtol=0)
        assert alone.nfe[0] == whole.nfe[n]


def test_what_holds_it_back_keeps_it_near():
    free = explain(flat(-0.3), enough=1.0)
    held = explain(flat(-0.3), enough=1.0, reconstruction=500.0)
    x = flat(-0.3)
    assert (held.x_cf - x).abs().mean() < (free.x_cf - x).abs().mean()


@pytest.mark.parametrize(
    ("rule", "chosen"), [("nearest", [2, 1]), ("surest", [0, 1]), ("first", [0, 0])]
)
def test_which_explanation_is_kept(rule, chosen):
    lead = torch.tensor([[3.0, -1.0, 1.0], [-2.0, -1.0, -3.0]])
    size = torch.tensor([[5.0, 1.0, 4.0], [1.0, 2.0, 0.5]])
    assert PICKS[rule](lead, size).tolist() == chosen


def test_an_unknown_rule_is_refused():
    with pytest.raises(MethodError, match="'nearest'"):
        registry.method("dive", pick="nearst")


def test_cosines_are_taken_of_both_orders_and_not_of_itself():
    epsilon = torch.tensor([[[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]]])
    assert alike(epsilon).tolist() == [2.0]


def test_a_fisher_matrix_is_the_sum_of_squared_slopes():
    slopes = torch.tensor([1.0, -2.0])
    found = fisher(lambda z: z, lambda z: (z.square() * slopes).sum(dim=1), torch.ones(5, 2))
    assert found.tolist() == [[20.0, -40.0], [-40.0, 80.0]]


def test_codes_that_matter_together_are_one_cluster():
    matrix = torch.full((6, 6), 0.01)
    matrix[:3, :3] = matrix[3:, 3:] = 1.0
    found = clusters(matrix, 2)
    assert len({*found[:3].tolist()}) == len({*found[3:].tolist()}) == 1
    assert found[0] != found[3]


def blocks():
    matrix = torch.full((3, 3), 0.01)
    matrix[:2, :2] = matrix[2, 2] = 1.0
    return Extras(autoencoder=Means(), fisher=matrix)


@pytest.mark.parametrize("name", ["dive-fisher", "dive-fisher-inv"])
def test_only_the_codes_of_a_cluster_move_or_all_others(name):
    x = flat(-0.3)
    found = explain(x, name=name, extras=blocks(), explanations=2, pick="first", enough=1.0)
    moved = (found.x_cf - x).abs().amax(dim=(0, 2, 3)) > 1e-6
    assert moved.tolist() in ([True, True, False], [False, False, True])


def test_what_is_missing_is_named():
    with pytest.raises(MethodError, match="autoencoder"):
        explain(flat(-0.3), extras=Extras())
    with pytest.raises(MethodError, match="fisher="):
        explain(flat(-0.3), name="dive-fisher")
    with pytest.raises(MethodError, match="use 2 … 2"):
        explain(flat(-0.3), name="dive-fisher", extras=blocks(), explanations=3)


def test_xgem_plus_is_held_by_its_distance_alone():
    method = registry.method("xgem-plus")
    assert (method.explanations, method.lasso, method.diversity) == (1, 0.0, 0.0)
    assert method.evaluations() == (20, 20)
    assert method.rungs((8.0, 10.0)) == ({},)
