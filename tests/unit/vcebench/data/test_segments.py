"""What is where in a rendered picture; asking for it changes no picture."""

import numpy as np
import pytest

from vcebench.data.base import HasSegments
from vcebench.data.registry import open_dataset
from vcebench.data.synthfaces import render as faces
from vcebench.data.synthfaces.canvas import make_canvas as face_canvas
from vcebench.data.synthroads import render as roads
from vcebench.data.synthroads.canvas import make_canvas as road_canvas

SETS = {
    "synthfaces": (faces, face_canvas, (64, 64)),
    "synthroads": (roads, road_canvas, (64, 128)),
}


@pytest.mark.parametrize("name", SETS)
def test_maps_have_the_size_of_the_pictures_and_numbers_of_regions(name):
    images = open_dataset(name)
    assert isinstance(images, HasSegments)
    found = images.segments(range(12))
    assert found.dtype == np.uint8
    assert found.shape == (12, *SETS[name][2])
    assert set(np.unique(found)) <= set(range(len(images.regions)))
    assert np.array_equal(found[3:5], images.segments([3, 4]))


@pytest.mark.parametrize("name", SETS)
def test_what_is_drawn_is_the_same_bits_with_a_map_and_without(name):
    module, canvas, size = SETS[name]
    factors = open_dataset(name).factors(range(4))
    grain = module.pixel_noise(factors.texture, *size)
    plain, mapped = canvas(factors), canvas(factors, np.zeros((4, *size), dtype=np.uint8))
    for surface in (plain, mapped):
        module._draw(surface, grain)
    assert np.array_equal(plain.rgb, mapped.rgb)


@pytest.mark.parametrize(
    ("name", "cause", "region", "share"),
    [
        ("synthfaces", "Eyeglasses", "eyeglasses", 0.01),
        ("synthfaces", "Wearing_Hat", "hat", 0.03),
        ("synthroads", "Pedestrian", "walker", 0.01),
        ("synthroads", "Bystander", "bystander", 0.01),
    ],
)
def test_a_thing_is_where_it_changes_the_picture(name, cause, region, share):
    images = open_dataset(name)
    number = images.regions.index(region)
    factors = images.factors(range(16))
    off, on = (images.with_cause(factors, cause, value) for value in (0, 1))
    module = SETS[name][0]
    assert not (module.segments(off) == number).any()
    found = module.segments(on) == number
    assert (found.mean(axis=(1, 2)) > share).all()
    changed = (images.render(on) != images.render(off)).any(axis=1)
    assert changed[found].mean() > 0.95


def test_a_mouth_is_in_the_face_and_moves_with_a_smile():
    images = open_dataset("synthfaces", "smile")
    mouth, skin = (images.regions.index(name) for name in ("mouth", "skin"))
    factors = images.factors(range(16))
    grave, smiling = (
        faces.segments(images.with_cause(factors, "Smiling", value)) for value in (0, 1)
    )
    assert (grave == mouth).any(axis=(1, 2)).all()
    moved = (smiling == mouth) & (grave != mouth)
    assert moved.any(axis=(1, 2)).all()
    assert (grave[moved] == skin).mean() > 0.9


def test_scans_have_no_regions():
    assert not isinstance(open_dataset("digits"), HasSegments)


def test_an_example_outside_of_the_split_is_refused():
    with pytest.raises(IndexError):
        open_dataset("synthfaces").segments([2000])
