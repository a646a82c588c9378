"""The descent: any v, losses that never mix, and the costs a method counts."""

from dataclasses import dataclass

import torch

from vcebench.methods.core.descent import Descending
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.method import setting


@dataclass(frozen=True)
class Brightness(Descending):
    """Moves one number an image, its brightness, until the mean is that of the target."""

    iterations: int = setting(40, "gradient steps", low=1)

    @property
    def passes(self):
        return self.iterations

    def evaluations(self):
        return self.iterations, self.iterations

    def begin(self, state):
        return torch.zeros(len(state.x), 1)

    def generate(self, state, v):
        state.nfe += 1
        state.backward += 1
        return state.x + v.view(-1, 1, 1, 1)

    def loss(self, state, images):
        return (images.mean(dim=(1, 2, 3)) - state.guidance.target) ** 2

    def rule(self, state, gradient):
        return state.v - 0.25 * gradient

    def finish(self, state):
        return state.x + state.v.view(-1, 1, 1, 1)


def explain(x, target, trace=None, **settings):
    guidance = Guidance(None, torch.ones(len(x)), lambda_perceptual=0)
    return Brightness(**settings).explain(
        x, target, prior=None, guidance=guidance, noise=None, trace=trace
    )


def test_what_moves_need_not_be_an_image():
    x = torch.rand(3, 3, 4, 4)
    target = torch.tensor([0, 1, 1])
    found = explain(x, target)
    torch.testing.assert_close(found.x_cf.mean(dim=(1, 2, 3)), target.float())
    torch.testing.assert_close(found.x_cf - x, (found.x_cf - x)[:, :1, :1, :1].expand_as(x))


def test_losses_are_summed_so_images_never_mix():
    x, target = torch.rand(3, 3, 4, 4), torch.tensor([0, 1, 1])
    whole = explain(x, target, iterations=3)
    alone = explain(x[1:2], target[1:2], iterations=3)
    assert torch.equal(whole.x_cf[1:2], alone.x_cf)


def test_costs_are_those_the_method_counts():
    found = explain(torch.rand(2, 3, 4, 4), torch.tensor([0, 1]), iterations=5)
    assert found.nfe.tolist() == found.backward.tolist() == [5, 5]


def test_the_trace_sees_v_and_the_images_it_stands_for():
    seen = []

    class Trace:
        def record(self, step, i, z, x_t, mask_z, mask_x):
            seen.append((step, i, tuple(z.shape), tuple(x_t.shape), x_t.requires_grad))

    explain(torch.rand(2, 3, 4, 4), torch.tensor([0, 1]), trace=Trace(), iterations=3)
    assert seen == [(n, 2 - n, (2, 1), (2, 3, 4, 4), False) for n in range(3)]
