"""TiME asks no classifier, needs the class that images are taken for, and climbs in lengths."""

import pytest
import torch
from tiny_latents import tiny_latents

from vcebench.methods import registry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import linear_schedule

NOISE = KeyedNoise(0, "time", ["a", "b"], (3, 12, 12))


class Silent:
    def __getattr__(self, name):
        raise AssertionError("the classifier is asked")


def explain(name="time", source=(0, 1), prior=None, **settings):
    x = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1)) * 2 - 1
    source = None if source is None else torch.tensor(source)
    method = registry.method(name, **{"lengths": "3", "chain": 20, **settings})
    return x, method.explain(
        x,
        torch.tensor([1, 0]),
        prior=prior or tiny_latents(),
        guidance=Guidance(Silent(), torch.ones(2), source=source, lambda_perceptual=0),
        noise=NOISE,
    )


@pytest.mark.parametrize("name", ["time", "time-released", "time-naive"])
def test_no_classifier_is_asked(name):
    assert explain(name)[1].x_cf.isfinite().all()


def test_under_the_same_words_the_reconstruction_comes_back():
    x, found = explain(source=(1, 0))
    space = tiny_latents().space
    torch.testing.assert_close(found.x_cf, space.decode(space.encode(x)), atol=1e-5, rtol=0)
    _, released = explain("time-released", source=(1, 0))
    assert (released.x_cf - found.x_cf).abs().max() > 1e-3


def test_tries_are_of_growing_length():
    rungs = registry.method("time", lengths="2,4,7").rungs((8.0, 10.0))
    assert rungs == ({"lengths": "2"}, {"lengths": "4"}, {"lengths": "7"})
    assert registry.method("time", lengths="2,4,7").evaluations() == (56, 0)


def test_nothing_but_the_naive_one_is_random():
    class Mute:
        def draw(self, *key, shape=None):
            raise AssertionError("noise is drawn")

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "NOISE", Mute())
        explain("time")
        with pytest.raises(AssertionError, match="noise is drawn"):
            explain("time-naive")


@pytest.mark.parametrize(
    "missing", [{"source": None}, {"prior": Prior(torch.nn.Identity(), linear_schedule(1000, 30))}]
)
def test_what_it_cannot_do_without_is_named(missing):
    with pytest.raises(MethodError, match="give a ConditionalPrior, and source="):
        explain(**missing)
