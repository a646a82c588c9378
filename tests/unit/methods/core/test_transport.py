"""The transport: its order, its inverse, and whom it tells."""

import pytest
import torch
from tiny_latents import tiny_latents

from vcebench.methods.core.transport import Edict, Plain, transport

DOWN = [(3, 2), (2, 1), (1, 0), (0, -1)]


@pytest.fixture
def prior():
    return tiny_latents().strided(20, 1).bind(torch.tensor([0, 1]), torch.tensor([1, 0]))


@pytest.fixture
def z():
    return torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))


def test_plain_moves_are_those_of_ddim(prior, z):
    (moved,) = transport(prior, (z,), DOWN[:1], lambda at, i: at * i, Plain())
    assert torch.equal(moved, prior.schedule.ddim(z, 3 * z, 3, 2))


def test_up_and_down_again_is_where_it_was(prior, z):
    def epsilon(at, i):
        return prior.noises(at, i, "target")[0]

    coupling = Edict(0.93)
    up = transport(prior, (z, z), DOWN[::-1], epsilon, coupling.inverse)
    assert not torch.allclose(up[0], z, atol=1e-2)
    x, y = transport(prior, up, DOWN, epsilon, coupling)
    torch.testing.assert_close(x, z, atol=1e-5, rtol=0)
    torch.testing.assert_close(y, z, atol=1e-5, rtol=0)


def test_what_comes_after_sees_the_index_of_the_move(prior, z):
    seen = []

    def after(state, i):
        seen.append(i)
        return (torch.full_like(state[0], i),)

    (end,) = transport(prior, (z,), DOWN, lambda at, i: at, Plain(), after)
    assert seen == [3, 2, 1, 0]
    assert not end.any()


@pytest.mark.parametrize("keeps", [True, False])
def test_pictures_are_made_for_a_trace_that_keeps_them(prior, z, keeps):
    told = []

    class Told:
        def record(self, step, i, z, x_t, mask_z, mask_x):
            told.append((step, i, tuple(x_t.shape)))

    trace = Told()
    trace.keeps = keeps
    transport(prior, (z,), DOWN, lambda at, i: at, Plain(), trace=trace, first=2)
    shape = (2, 3, 12, 12) if keeps else (2, 4, 6, 6)
    assert told == [(2 + n, i, shape) for n, (i, _) in enumerate(DOWN)]
