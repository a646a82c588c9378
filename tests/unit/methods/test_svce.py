"""SVCE: the ball is kept, the best point wins, and a batch changes nothing."""

import pytest
import torch
from torch import nn

from vcebench.methods import registry
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.svce import Books, farthest
from vcebench.models.classifier import BinaryClassifier

SHAPE = (3, 4, 4)


def images(count=4, seed=0):
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def brightness():
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    nn.init.constant_(network[1].weight, 0.1)
    nn.init.zeros_(network[1].bias)
    return BinaryClassifier(network).requires_grad_(False)


def explain(x, classifier=None, ids=None, target=1, **settings):
    method = registry.method("svce", **{"epsilon": 1.0, "iterations": 12, **settings})
    return method.explain(
        x,
        torch.full((len(x),), target),
        prior=None,
        guidance=Guidance(classifier or brightness(), torch.ones(len(x)), lambda_perceptual=0),
        noise=KeyedNoise(0, "svce", ids or [str(n) for n in range(len(x))], SHAPE),
    )


def norm(change, p):
    return change.flatten(1).abs().pow(p).sum(dim=1).pow(1 / p)


@pytest.mark.parametrize("radius", [0.05, 0.7, 3.0, 100.0])
@pytest.mark.parametrize("p", [1.2, 1.5, 2.0, 4.0])
def test_the_farthest_point_is_in_the_ball_and_in_the_box_and_none_is_farther(radius, p):
    x = (images(seed=1) + 1) / 2
    w = images(seed=2) * 1e-6
    found = farthest(x, w, radius, p)
    assert ((x + found) >= -1e-6).all()
    assert ((x + found) <= 1 + 1e-6).all()
    assert (norm(found, p) <= radius * (1 + 1e-5)).all()
    gain = (w * found).flatten(1).sum(dim=1)
    generator = torch.Generator().manual_seed(3)
    for _ in range(50):
        other = torch.rand(x.shape, generator=generator) * (w.sign() > 0)
        other = torch.where(w > 0, other * (1 - x), -torch.rand_like(x) * x)
        other = other * (radius / norm(other, p)).clamp(max=1).view(-1, 1, 1, 1)
        assert ((w * other).flatten(1).sum(dim=1) <= gain * (1 + 1e-5)).all()


def test_a_direction_of_zeros_goes_nowhere():
    x = torch.rand(2, *SHAPE)
    assert torch.equal(farthest(x, torch.zeros_like(x), 1.0, 1.5), torch.zeros_like(x))


def test_the_change_fills_the_ball_and_raises_the_probability():
    x = 0.5 * images()
    found = explain(x)
    change = (found.x_cf - x) / 2
    torch.testing.assert_close(norm(change, 1.5), torch.ones(4), atol=1e-3, rtol=0)
    assert (brightness().logits(found.x_cf) > brightness().logits(x)).all()


def test_a_classifier_without_a_gradient_changes_only_what_the_start_did():
    class Flat(nn.Module):
        def forward(self, x):
            return 0.0 * x.sum(dim=(1, 2, 3))

    x = 0.5 * images()
    found = explain(x, BinaryClassifier(Flat()))
    assert found.x_cf.isfinite().all()
    assert (norm((found.x_cf - x) / 2, 1.5) <= 1 + 1e-5).all()


def test_an_image_alone_gets_what_it_gets_in_a_batch():
    x = images()
    together = explain(x).x_cf
    alone = explain(x[2:3], ids=["2"]).x_cf
    torch.testing.assert_close(alone, together[2:3], atol=1e-6, rtol=0)


def test_the_best_point_is_kept_and_gone_back_to():
    books = Books(1, 100, torch.device("cpu"))
    point = torch.zeros(1, 1)
    for iteration in range(-1, 22):
        value = torch.tensor([1.0 if iteration == 3 else -float(abs(iteration))])
        at, _ = books.enter(iteration, point + iteration, point, value)
    assert books.best_v.item() == 3
    # 22 iterations of 100 are the first checkpoint; few of them improved.
    assert at.item() == 3
    assert books.alpha.item() == 1.5


def test_it_asks_for_no_network_but_the_classifier():
    assert registry.method("svce").needs == frozenset()
    assert registry.method("svce").evaluations() == (0, 0)
