"""Pictures of a report: differences, masks, strips of steps."""

import io

import numpy as np
import torch
from PIL import Image

from vcebench.showing.report import pictures
from vcebench.showing.report.pictures import COLUMNS, difference, film_of, mask_picture


def grey(level, size=4):
    return torch.full((3, size, size), level, dtype=torch.uint8)


def trace(steps, masked=True, size=4):
    mask = torch.zeros(steps, 1, size, size, dtype=torch.bool)
    return {
        "index": torch.arange(steps).flip(0),
        "z": torch.zeros(steps, 3, size, size),
        "x_t": torch.linspace(-1, 1, steps)[:, None, None, None].expand(steps, 3, size, size),
        "mask_z": mask if masked else ~mask,
        "mask_x": (mask if masked else ~mask).clone(),
    }


def size_of(content):
    return Image.open(io.BytesIO(content)).size


def test_an_unchanged_image_has_a_transparent_difference():
    assert difference(grey(90), grey(90))[3].sum() == 0


def test_brighter_is_red_and_darker_blue():
    red, blue = difference(grey(0), grey(99))[:, 0, 0], difference(grey(99), grey(0))[:, 0, 0]
    assert red[0] > red[2]
    assert blue[2] > blue[0]


def test_half_the_range_is_fully_opaque():
    assert difference(grey(0), grey(128))[3].unique().tolist() == [255]


def test_the_inner_mask_lies_over_the_outer():
    outer, inner = torch.zeros(2, 2, 2, dtype=torch.bool)
    outer[0], inner[0, 0] = True, True
    picture = mask_picture(grey(100, 2), outer, inner)
    colours = {tuple(c) for c in picture.flatten(1).T.tolist()}
    assert len(colours) == 3
    assert picture[0, 0, 0] > picture[2, 0, 0]


def test_a_strip_has_all_steps_in_lines():
    film = film_of(trace(12), grey(0))
    assert film.indices == tuple(range(11, -1, -1))
    assert size_of(film.strips["x_t"]) == (4 * COLUMNS, 4 * 2)
    strip = np.asarray(Image.open(io.BytesIO(film.strips["x_t"])))
    assert strip[0, 0, 0] == 0
    assert strip[4, 4, 0] == 255  # step 12: second line, second column


def test_masks_that_are_everywhere_are_not_shown():
    assert "mask" in film_of(trace(3), grey(0)).strips
    assert "mask" not in film_of(trace(3, masked=False), grey(0)).strips


def test_a_long_trace_keeps_its_first_and_last_step(monkeypatch):
    monkeypatch.setattr(pictures, "MOST_FRAMES", 5)
    film = film_of(trace(30), grey(0))
    assert len(film.indices) == 5
    assert (film.indices[0], film.indices[-1]) == (29, 0)
