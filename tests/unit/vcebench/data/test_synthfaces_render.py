"""The renderer of the synthetic faces: a pure function of the factors, with local interventions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vcebench.data.rendered.dataset import true_region
from vcebench.data.synthfaces import scm
from vcebench.data.synthfaces.canvas import SIZE
from vcebench.data.synthfaces.factors import IDENTITY, NUISANCE, Factors, draw
from vcebench.data.synthfaces.render import CHUNK, render
from vcebench.data.synthfaces.scene import PATCH_PIXELS

GOLDEN = Path(__file__).with_name("test_synthfaces_golden.png")

# Largest share of the picture that each intervention may touch, over all faces.
LARGEST_SHARE = {
    "Smiling": 0.15,
    "Young": 0.20,
    "Eyeglasses": 0.15,
    "Wearing_Hat": 0.45,
    "Mouth_Slightly_Open": 0.06,
    "Bangs": 0.30,
    "Rosy_Cheeks": 0.10,
    "Wearing_Lipstick": 0.04,
    "Bushy_Eyebrows": 0.05,
    "Narrow_Eyes": 0.06,
    "No_Beard": 0.20,
    "patch": 0.03,
}


@pytest.fixture(scope="module")
def factors() -> Factors:
    return draw(0, range(96), [0] * 96)


def regions(factors: Factors, name: str) -> np.ndarray:
    return true_region(render(factors.do({name: 0})), render(factors.do({name: 1})))


def test_pictures_are_uint8_and_varied(factors: Factors):
    images = render(factors)
    assert images.dtype == np.uint8
    assert images.shape == (96, 3, SIZE, SIZE)
    assert len(np.unique(images.reshape(96, -1), axis=0)) == 96
    assert images.std(axis=0).mean() > 25


def test_rendering_twice_gives_the_same_pixels(factors: Factors):
    assert np.array_equal(render(factors[:9]), render(factors[:9]))


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=CHUNK + 3))
def test_a_picture_does_not_depend_on_its_batch(people: list[int]):
    together = render(draw(0, people, [0] * len(people)))
    last = render(draw(0, people[-1:], [0]))
    assert np.array_equal(together[-1], last[0])


def test_no_faces_give_no_pictures():
    assert render(draw(0, [], [])).shape == (0, 3, SIZE, SIZE)


def test_the_pixels_are_those_the_networks_were_trained_on():
    with Image.open(GOLDEN) as picture:
        expected = np.array(picture).reshape(SIZE, 8, SIZE, 3).transpose(1, 3, 0, 2)
    difference = np.abs(render(draw(0, range(8), [0] * 8)).astype(int) - expected)
    # Exponentials may differ in the last bit between builds of NumPy.
    assert (difference > 0).mean() < 1e-3
    assert difference.max() <= 2


@pytest.mark.parametrize("name", sorted(LARGEST_SHARE))
def test_an_intervention_is_local(factors: Factors, name: str):
    assert regions(factors, name).mean(axis=(1, 2)).max() < LARGEST_SHARE[name]


@pytest.mark.parametrize("name", scm.NAMES)
def test_an_intervention_is_visible_in_every_face(factors: Factors, name: str):
    assert regions(factors, name).sum(axis=(1, 2)).min() >= 10


def test_a_smile_changes_the_mouth_and_is_clearly_visible(factors: Factors):
    region = regions(factors, "Smiling")
    rows, columns = region.any(axis=2), region.any(axis=1)
    assert rows.sum(axis=1).min() >= 8
    assert columns.sum(axis=1).min() >= 14
    assert not rows[:, : SIZE // 2 - 4].any()


def test_the_patch_changes_its_square_only(factors: Factors):
    region = regions(factors, "patch")
    assert (region.sum(axis=(1, 2)) <= PATCH_PIXELS**2).all()
    assert not region[:, PATCH_PIXELS + 2 :].any()
    assert not region[:, :, : SIZE - PATCH_PIXELS - 2].any()


@given(st.integers(0, 10**6), st.sampled_from(["Smiling", "Young", "Eyeglasses", "patch"]))
def test_pixels_outside_of_the_true_region_are_held(who: int, name: str):
    factors = draw(0, [who], [0])
    before, after = render(factors.do({name: 0})), render(factors.do({name: 1}))
    outside = ~true_region(before, after)[:, None]
    assert (np.abs(before.astype(int) - after) * outside).max() <= 2


@pytest.mark.parametrize("kind", ["identity", "nuisance"])
def test_every_factor_matters(kind: str):
    people = draw(0, range(16), [0] * 16)
    turns = np.arange(16)
    people = people.do(Eyeglasses=1, Rosy_Cheeks=1, patch=1, Wearing_Lipstick=turns % 2 == 0)
    people = people.do(Smiling=turns % 2, Wearing_Hat=turns % 4 == 3, No_Beard=turns % 3 > 0)
    people = people.do(Mouth_Slightly_Open=turns % 4 < 2, Bangs=turns % 8 < 4, Young=0)
    images = render(people)
    for column, name in enumerate(IDENTITY if kind == "identity" else NUISANCE):
        values = getattr(people, kind).copy()
        values[:, column] = (values[:, column] + 0.5) % 1
        assert true_region(images, render(replace(people, **{kind: values}))).any(), name


def test_true_region_is_the_largest_channel_difference_above_2():
    image = np.zeros((1, 3, 1, 3), dtype=np.uint8)
    other = image.copy()
    other[0, 1, 0] = [2, 3, 255]
    assert true_region(image, other).tolist() == [[[False, True, True]]]
