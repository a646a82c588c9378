"""The guidance unit of a classifier, on the shipped networks of `digits`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vcebench.models.loading import load_bundle
from vcebench.models.shipped import ASSETS
from vcebench.training import calibrate as module
from vcebench.training.calibrate import PERCEPTUAL_SHARE, calibrate, load_images, perceptual_ratio
from vcebench.weights.shipped import sha256


@pytest.fixture
def folder(tmp_path) -> Path:
    return Path(shutil.copytree(ASSETS / "digits", tmp_path / "digits"))


def test_the_unit_is_the_smallest_that_flips_enough(folder, monkeypatch) -> None:
    monkeypatch.setattr(module, "GRID", (2.0**-20, 1.0, 64.0))
    weak = calibrate("digits", "3-8", folder, count=2, wanted=0.0)
    assert weak.unit == 2.0**-20
    found = calibrate("digits", "3-8", folder, count=2, wanted=1.0)
    assert found.unit > weak.unit
    assert found.flipped == 1.0
    assert found.l1 > weak.l1


def test_a_unit_is_given_up_once_it_cannot_flip_enough(folder, monkeypatch) -> None:
    bundle = load_bundle("digits", "3-8", folder=folder)
    images = load_images("digits", "3-8", bundle, 7)
    monkeypatch.setattr(module, "CHUNK", 3)
    flips = iter([1.0, 2 / 3, 1.0])
    seen: list[list[str]] = []

    def attempt(bundle, images, dataset, task, unit, perceptual) -> module.Trial:
        seen.append(images.ids)
        return module.Trial(unit, next(flips), 0.1 * len(seen), len(images.x))

    monkeypatch.setattr(module, "attempt", attempt)
    asked = (bundle, images, "digits", "3-8", 1.0, 0.0)
    found = module.attempt_until(*asked, wanted=1.0)
    assert seen == [images.ids[:3], images.ids[3:6]]
    assert found.images == 6
    assert found.flipped == pytest.approx(5 / 6)
    assert found.l1 == pytest.approx(0.15)
    seen.clear()
    flips = iter([1.0, 2 / 3, 1.0])
    found = module.attempt_until(*asked, wanted=6 / 7)
    assert seen == [images.ids[:3], images.ids[3:6], images.ids[6:]]
    assert found.flipped == pytest.approx(6 / 7)


def test_both_units_go_into_the_cards(folder, monkeypatch) -> None:
    monkeypatch.setattr(module, "GRID", (0.25,))
    calibrate("digits", "3-8", folder, count=2, wanted=0.0)
    bundle = load_bundle("digits", "3-8", folder=folder)
    ratio = perceptual_ratio(bundle, load_images("digits", "3-8", bundle, 2))
    assert bundle.class_unit == 0.25
    assert bundle.perceptual_unit == pytest.approx(PERCEPTUAL_SHARE * ratio * 0.25)


def test_later_tasks_keep_the_perceptual_unit(folder, monkeypatch) -> None:
    monkeypatch.setattr(module, "GRID", (0.25,))
    before = sha256(folder / "perceptual.safetensors")
    calibrate("digits", "3-8", folder, count=2, wanted=0.0, first=False)
    assert sha256(folder / "perceptual.safetensors") == before


def test_a_classifier_that_nothing_flips_keeps_its_card(folder, monkeypatch) -> None:
    monkeypatch.setattr(module, "GRID", (2.0**-20,))
    before = sha256(folder / "classifier.safetensors")
    with pytest.raises(ValueError, match="flips 100% of the images of digits 3-8"):
        calibrate("digits", "3-8", folder, count=2, wanted=1.0)
    assert sha256(folder / "classifier.safetensors") == before
