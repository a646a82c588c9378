"""Schedules for any length and respacing."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vcebench.methods.core.schedule import (
    linear_schedule,
    respaced_indices,
    scaled_linear_schedule,
)


@given(steps=st.integers(50, 1000), share=st.floats(0.01, 1.0))
def test_respacing_keeps_both_ends_and_rises(steps, share):
    count = max(2, int(share * steps))
    indices = respaced_indices(steps, count)
    assert len(indices) == count
    assert (indices[0], indices[-1]) == (0, steps - 1)
    assert all(a < b for a, b in itertools.pairwise(indices))


@given(steps=st.integers(50, 1000), share=st.floats(0.01, 1.0))
def test_respaced_chain_keeps_the_noise_levels_of_the_full_one(steps, share):
    count = max(2, int(share * steps))
    full, kept = linear_schedule(steps, None), linear_schedule(steps, count)
    np.testing.assert_allclose(
        kept.alphas_cumprod, full.alphas_cumprod[kept.timestep_map], rtol=1e-9
    )
    assert (kept.betas > 0).all()
    assert (kept.betas < 1).all()


def test_respacing_to_more_steps_than_there_are_is_refused():
    with pytest.raises(ValueError, match=r"use a count in 1 … 100"):
        linear_schedule(100, 101)


def test_scaled_linear_steps_are_strided_and_end_at_the_first_alpha_bar():
    chain = scaled_linear_schedule(0.00085, 0.012, 50, 1, "float32")
    assert chain.timestep_map.tolist() == list(range(1, 1000, 20))
    assert chain.final == pytest.approx(1 - 0.00085, abs=1e-7)
    assert chain.strided(20, 0).timestep_map.tolist() == list(range(0, 1000, 50))
    assert chain.strided(20, 0).final == chain.final
    assert chain.respaced(3).timestep_map.tolist() == [0, 500, 999]


@pytest.mark.parametrize(("count", "offset"), [(0, 0), (1001, 0), (1000, 1)])
def test_a_chain_without_such_steps_says_how_many_there_are(count, offset):
    chain = scaled_linear_schedule(0.00085, 0.012, 50, 1, "float64")
    with pytest.raises(ValueError, match=f"use 1 … {1000 - offset}"):
        chain.strided(count, offset)


def test_ddim_there_and_back_is_where_it_was():
    chain = scaled_linear_schedule(0.00085, 0.012, 10, 1, "float64")
    z, noise = torch.randn(2, 2, 3, 4, 4, dtype=torch.float64)
    back = chain.ddim(chain.ddim(z, noise, 4, 7), noise, 7, 4)
    torch.testing.assert_close(back, z)


def test_ddim_to_the_clean_end_is_the_estimate_of_a_whole_chain():
    chain = linear_schedule(500, 20)
    x, noise = torch.randn(2, 2, 3, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(chain.ddim(chain.q_sample(x, 12, noise), noise, 12, -1), x)
