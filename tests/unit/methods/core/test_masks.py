"""Masks: nested, of the right area, and local."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given
from hypothesis import strategies as st

from vcebench.methods.core.masks import area, blend, dilate, nested_top_k, pixel_difference

shares = st.floats(min_value=1e-3, max_value=1.0)
sizes = st.integers(min_value=2, max_value=20)
odd = st.sampled_from([1, 3, 5, 7])


@given(k=shares, rho=shares, height=sizes, width=sizes, dilation=odd, seed=st.integers(0, 99))
def test_masks_are_nested_for_every_k_rho_and_size(k, rho, height, width, dilation, seed):
    magnitude = torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(seed))
    outer, inner = nested_top_k(magnitude, k, rho, dilation)
    assert not (inner & ~outer).any()
    assert outer.shape == inner.shape == magnitude.shape


@given(k=shares, rho=shares, height=sizes, width=sizes, seed=st.integers(0, 99))
@example(k=0.36, rho=0.5, height=15, width=15, seed=0)
def test_areas_before_dilation(k, rho, height, width, seed):
    magnitude = torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(seed))
    outer, inner = nested_top_k(magnitude, k, rho, dilation=1)
    # The release's expression, from left to right: k·(H·W) can round to another count.
    expected = max(1, int(k * height * width))
    assert outer.sum(dim=(1, 2, 3)).tolist() == [expected] * 2
    assert inner.sum(dim=(1, 2, 3)).tolist() == [max(1, int(rho * expected))] * 2


@given(height=sizes, width=sizes, seed=st.integers(0, 99))
def test_the_largest_pixel_is_always_chosen(height, width, seed):
    magnitude = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(seed))
    _, inner = nested_top_k(magnitude, 0.01, 0.01, dilation=1)
    assert inner.flatten()[magnitude.argmax()]


def test_equal_values_still_give_the_exact_area():
    outer, _ = nested_top_k(torch.zeros(1, 1, 10, 10), 0.25, 0.5, dilation=1)
    assert outer.sum() == 25


def test_dilation_grows_a_pixel_to_a_square():
    mask = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
    mask[0, 0, 4, 4] = True
    grown = dilate(mask, 5)
    assert grown.sum() == 25
    assert grown[0, 0, 2:7, 2:7].all()


@given(height=sizes, width=sizes, size=odd, share=shares, seed=st.integers(0, 99))
def test_dilation_is_the_maximum_over_a_square(height, width, size, share, seed):
    mask = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed)) < share
    pooled = F.max_pool2d(mask.float(), size, stride=1, padding=size // 2)
    assert torch.equal(dilate(mask, size), pooled > 0)


@pytest.mark.parametrize(
    ("fraction", "sides", "expected"),
    [(0.05, (100,), 5), (0.001, (100,), 1), (0.36, (15, 15), 80), (0.36, (225,), 81)],
)
def test_area(fraction, sides, expected):
    assert area(fraction, *sides) == expected


def test_an_unchanged_image_is_edited_nowhere():
    x = torch.rand(2, 3, 8, 8)
    assert not pixel_difference(x, x, threshold=0.15, dilation=5).any()


def test_pixel_difference_finds_the_changed_pixel():
    x = torch.zeros(1, 3, 9, 9)
    estimate = x.clone()
    estimate[0, 1, 4, 4] = 0.5
    mask = pixel_difference(estimate, x, threshold=0.15, dilation=3)
    assert mask.sum() == 9
    assert mask[0, 0, 3:6, 3:6].all()


def test_blend_without_a_mask_is_the_inside():
    inside, outside = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    assert torch.equal(blend(None, inside, outside), inside)
