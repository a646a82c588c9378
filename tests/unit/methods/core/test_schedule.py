"""Schedules for any length and respacing."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcebench.methods.core.schedule import linear_schedule, respaced_indices


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
