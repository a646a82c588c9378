"""Regions: cells chosen by hand, strokes of one's own noise."""

import dataclasses

import pytest
import torch

from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import Guidance
from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.core.regions import (
    STROKE_DRAWS,
    Cells,
    FreeForm,
    ReleasedCells,
    best_cells,
    cell_sums,
    everything,
    normalised,
    released_cells,
    strokes,
)


def grid(*rows):
    return torch.tensor(rows, dtype=torch.float32)[None, None]


def bound(world):
    x, target, _, guidance, noise = world
    return guidance.bind(x, target), noise


def test_a_map_is_divided_by_the_value_that_reaches_98_percent_of_its_mass():
    """Ascending 1, 1, 97, 101: 99 of 200 below, so that the last one passes 196."""
    found = normalised(grid([1, 97, 101, -1]))
    torch.testing.assert_close(found, grid([1 / 101, 97 / 101, 1, -1 / 101]))


def test_outliers_are_cut():
    values = torch.cat([torch.ones(99), torch.tensor([1.5])]).view(1, 1, 10, 10)
    assert normalised(values).flatten()[-1] == 1
    assert normalised(torch.zeros(1, 1, 2, 2)).abs().max() == 0


def test_cells_are_sums():
    values = torch.arange(16.0).view(1, 1, 4, 4)
    assert cell_sums(values, 2).flatten().tolist() == [10, 18, 42, 50]
    with pytest.raises(MethodError, match="cells of 3 pixels do not fill an image of 4x4"):
        cell_sums(values, 3)


@pytest.mark.parametrize(
    ("area", "chosen"), [(0.1, [3]), (0.5, [3, 1]), (0.99, [3, 1, 0]), (1.0, [3, 1, 0])]
)
def test_the_best_cells_within_the_area_at_least_one_and_never_an_empty_one(area, chosen):
    region = best_cells(grid([1, 2], [0, 3]), area, (4, 4))
    cells = region[0, 0, ::2, ::2].flatten()
    assert cells.nonzero().flatten().tolist() == sorted(chosen)
    assert torch.equal(region[0, 0, 1::2, 1::2].flatten(), cells)


def test_ties_go_to_the_first_cell():
    assert best_cells(grid([5, 5, 5, 5]), 0.5, (1, 4)).flatten().tolist() == [
        True,
        True,
        False,
        False,
    ]


def test_a_map_of_zeros_has_an_empty_region():
    assert not best_cells(torch.zeros(2, 1, 2, 2), 0.5, (4, 4)).any()
    assert not released_cells(torch.zeros(2, 1, 2, 2), 0.5, (4, 4)).any()


def test_released_everything_where_one_cell_is_more_than_the_area():
    assert released_cells(grid([1, 2], [3, 4]), 0.2, (4, 4)).all()
    assert best_cells(grid([1, 2], [3, 4]), 0.2, (4, 4)).sum() == 4


def test_released_area_is_measured_against_the_square_of_the_width():
    tall = torch.arange(1.0, 9.0).view(1, 1, 4, 2)
    assert released_cells(tall, 0.5, (4, 2)).sum() == 2
    assert best_cells(tall, 0.5, (4, 2)).sum() == 4


def test_cells_follow_the_attribution_of_the_source(world):
    """A made-up attribution that points at a corner, by class."""

    def corner(x, class_, classifier):
        maps = torch.zeros_like(x)
        for row, value in enumerate(class_.tolist()):
            maps[row, :, -4 * value - 1, -4 * value - 1] = -2.0  # the sign does not matter
        return maps

    guidance, noise = bound(world)
    source = torch.tensor([0, 1, 1])
    guidance = dataclasses.replace(
        guidance, weights=dataclasses.replace(guidance.weights, source=source)
    )
    region = Cells(area=0.5, cell=4, attribution=corner)(guidance, noise)
    for row, value in enumerate(source.tolist()):
        expected = torch.zeros(12, 12, dtype=torch.bool)
        start = 8 - 4 * value
        expected[start : start + 4, start : start + 4] = True
        assert torch.equal(region[row, 0], expected)


def test_without_a_source_it_is_what_the_classifier_predicts(world):
    seen = []

    def listen(x, class_, classifier):
        seen.append(class_)
        return torch.ones_like(x)

    guidance, noise = bound(world)
    Cells(attribution=listen)(guidance, noise)
    assert torch.equal(seen[0], guidance.weights.classifier.predict(guidance.x))


@pytest.mark.parametrize("region", [Cells(0.3, 4), ReleasedCells(0.3, 4), FreeForm(0.1, 0.2)])
def test_no_region_depends_on_another_image(region, world):
    guidance, noise = bound(world)
    x, target, _, weights, _ = world
    one = Guidance(weights.classifier, weights.lambda_class[1:2], weights.perceptual)
    own = KeyedNoise(noise.seed, noise.dataset, noise.image_ids[1:2], noise.shape)
    together = region(guidance, noise)
    assert together.dtype == torch.bool
    assert together.shape == (3, 1, 12, 12)
    assert torch.equal(together[1:2], region(one.bind(x[1:2], target[1:2]), own))


def test_free_forms_keep_to_their_range_and_differ(world):
    guidance, _ = bound(world)
    ids = [f"image {k}" for k in range(3)]
    regions = FreeForm(0.1, 0.2)(guidance, KeyedNoise(0, "tiny", ids, (3, 12, 12)))
    areas = regions.float().mean(dim=(1, 2, 3))
    assert areas.min() >= 0.1
    assert areas.max() <= 0.2
    assert len({region.numpy().tobytes() for region in regions}) == 3
    again = FreeForm(0.1, 0.2)(guidance, KeyedNoise(0, "tiny", ids, (3, 12, 12)))
    assert torch.equal(regions, again)


def test_a_range_that_no_drawing_hits_is_refused(world):
    with pytest.raises(MethodError, match="ask for a wider range"):
        FreeForm(0.999, 1.0)(*bound(world))


def test_strokes_are_as_thick_as_they_say():
    """One line of two segments along the row of its start; the width is .08 of the shorter side."""
    draws = torch.full((STROKE_DRAWS,), 1e-6)
    draws[1:3] = torch.tensor([0.5, 0.25])  # starts at half the height, a quarter of the width
    covered = strokes(draws, 100, 200)
    assert covered[50].nonzero().flatten().tolist() == list(range(46, 74))
    assert covered[:, 60].nonzero().flatten().tolist() == list(range(46, 54))


def test_everything_is_the_whole_image(world):
    assert everything(*bound(world)).all()
