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
        keeps = True

        def record(self, step, i, z, x_t, mask_z, mask_x):
            seen.append((step, i, tuple(z.shape), tuple(x_t.shape), x_t.requires_grad))

    explain(torch.rand(2, 3, 4, 4), torch.tensor([0, 1]), trace=Trace(), iterations=3)
    assert seen == [(n, 2 - n, (2, 1), (2, 3, 4, 4), False) for n in range(3)]


@dataclass(frozen=True)
class UntilBright(Brightness):
    """Done once the mean has come near; asks for two pictures of each input."""

    def generate(self, state, v):
        state.nfe += 2 * ~state.stopped
        return (state.x + v.view(-1, 1, 1, 1)).repeat_interleave(2, dim=0)

    def loss(self, state, images):
        return self.apart(state, images).mean(dim=1)

    def apart(self, state, images):
        means = images.mean(dim=(1, 2, 3)).unflatten(0, (-1, 2))
        return (means - state.guidance.target[:, None]) ** 2

    def stop(self, state):
        return self.apart(state, state.images).amax(dim=1) < 1e-3


def test_what_is_done_stays_and_counts_no_more():
    x = torch.rand(3, 3, 4, 4)
    target = torch.tensor([0, 1, 5])
    guidance = Guidance(None, torch.ones(3), lambda_perceptual=0)
    told = []

    class Told:
        keeps = True

        def record(self, step, i, z, x_t, mask_z, mask_x):
            told.append((len(x_t), z.clone()))

    method = UntilBright()
    found = method.explain(x, target, prior=None, guidance=guidance, noise=None, trace=Told())
    alone = [
        method.explain(x[n : n + 1], target[n : n + 1], prior=None, guidance=guidance, noise=None)
        for n in range(3)
    ]
    torch.testing.assert_close(found.x_cf, torch.cat([one.x_cf for one in alone]))
    assert found.nfe.tolist() == [int(one.nfe[0]) for one in alone]
    assert len(told) < method.steps
    assert {count for count, _ in told} == {3}
    assert found.nfe[2] > found.nfe[1] or found.nfe[2] > found.nfe[0]
