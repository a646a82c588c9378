"""The renderer of the driving scenes: a pure function of the factors, with local interventions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vcebench.data.rendered.dataset import true_region
from vcebench.data.synthroads import scm
from vcebench.data.synthroads.canvas import HEIGHT, WIDTH
from vcebench.data.synthroads.factors import NUISANCE, Factors, draw
from vcebench.data.synthroads.render import CHUNK, render

GOLDEN = Path(__file__).with_name("test_synthroads_golden.png")

# Smallest number of pixels and largest share of the picture that a local intervention may touch.
LOCAL = {
    "Red_Light": (60, 0.05),
    "Pedestrian": (60, 0.06),
    "Car_Near": (250, 0.14),
    "Bystander": (30, 0.06),
}


@pytest.fixture(scope="module")
def factors() -> Factors:
    return draw(0, range(32))


def regions(factors: Factors, name: str) -> np.ndarray:
    return true_region(render(factors.do({name: 0})), render(factors.do({name: 1})))


def test_pictures_are_uint8_and_varied(factors: Factors):
    images = render(factors[:24])
    assert images.dtype == np.uint8
    assert images.shape == (24, 3, HEIGHT, WIDTH)
    assert len(np.unique(images.reshape(24, -1), axis=0)) == 24
    assert images.std(axis=0).mean() > 25


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=CHUNK + 2))
def test_a_picture_does_not_depend_on_its_batch(scenes: list[int]):
    together = render(draw(0, scenes))
    assert np.array_equal(together[-1], render(draw(0, scenes[-1:]))[0])


def test_no_scenes_give_no_pictures():
    assert render(draw(0, [])).shape == (0, 3, HEIGHT, WIDTH)


def test_the_pixels_are_those_the_networks_were_trained_on():
    with Image.open(GOLDEN) as picture:
        expected = np.array(picture).reshape(4, HEIGHT, WIDTH, 3).transpose(0, 3, 1, 2)
    difference = np.abs(render(draw(0, range(4))).astype(int) - expected)
    # Exponentials may differ in the last bit between builds of NumPy.
    assert (difference > 0).mean() < 1e-3
    assert difference.max() <= 2


@pytest.mark.parametrize("name", sorted(LOCAL))
def test_an_intervention_is_local_and_visible_in_every_scene(factors: Factors, name: str):
    least, share = LOCAL[name]
    region = regions(factors, name)
    assert region.sum(axis=(1, 2)).min() >= least
    assert region.mean(axis=(1, 2)).max() <= share


@pytest.mark.parametrize("name", ["Rain", "Night", "Buildings"])
def test_the_context_changes_much_of_a_scene(factors: Factors, name: str):
    assert regions(factors[:12], name).mean(axis=(1, 2)).min() > 0.2


def test_the_light_is_above_the_road(factors: Factors):
    assert not regions(factors, "Red_Light")[:, HEIGHT // 2 + 2 :].any()


def test_a_red_light_is_red_and_a_green_one_green(factors: Factors):
    for value, strong, weak in ((1, 0, 1), (0, 1, 0)):
        before, after = (render(factors.do(Red_Light=v)) for v in (1 - value, value))
        lamp = true_region(before, after) & (after.max(axis=1) > before.max(axis=1))
        shown = after.transpose(0, 2, 3, 1)[lamp].astype(int)
        assert (shown[:, strong] - shown[:, weak]).mean() > 40


@given(st.integers(0, 10**6), st.sampled_from(sorted(LOCAL)))
def test_pixels_outside_of_the_true_region_are_held(scene: int, name: str):
    factors = draw(0, [scene])
    before, after = render(factors.do({name: 0})), render(factors.do({name: 1}))
    outside = ~true_region(before, after)[:, None]
    assert (np.abs(before.astype(int) - after) * outside).max() <= 2


def test_every_factor_matters():
    turns = np.arange(6)
    scenes = draw(0, range(6)).do(Pedestrian=1, Bystander=1, Rain=turns % 2, Night=turns % 3 == 0)
    scenes = scenes.do(Buildings=turns < 3, Red_Light=turns % 2, Car_Near=turns % 2 == 0)
    images = render(scenes)
    for column, name in enumerate(NUISANCE):
        values = scenes.nuisance.copy()
        values[:, column] = (values[:, column] + 0.5) % 1
        assert true_region(images, render(replace(scenes, nuisance=values))).any(), name


def test_all_variables_are_drawn(factors: Factors):
    assert {*LOCAL, "Rain", "Night", "Buildings"} == set(scm.NAMES)
