"""Views: the first is the image, the others stay within the released ranges, keyed by image."""

import math

import pytest
import torch

from vcebench.methods.core.noise import KeyedNoise
from vcebench.methods.core.views import _homography, draw_grids, see

SHAPE = (3, 12, 12)


def noise(*ids):
    return KeyedNoise(0, "views", ids, SHAPE)


def grids(ids, views=40, which=0, step=0):
    return draw_grids(noise(*ids), step, which, views, SHAPE)


def images(count=2):
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(3))


def plain_grid():
    side = (2 * torch.arange(12) + 1) / 12 - 1
    return torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1)


def test_one_view_is_the_image_itself():
    x = images()
    assert see(x, 1, 6, None) is x


def test_all_images_come_first_and_then_their_warps_in_turn():
    x = images()
    still = plain_grid().expand(4, 12, 12, 2)
    seen = see(x, 3, 0, (still, still))
    torch.testing.assert_close(seen, x.repeat(3, 1, 1, 1), atol=1e-5, rtol=0)


def test_views_are_pooled_to_their_size():
    grid = draw_grids(noise("a", "b"), 0, 0, 3, (3, 6, 6))
    assert see(images(), 3, 6, grid).shape == (6, 3, 6, 6)


def test_warps_stay_within_their_ranges_and_are_applied_to_seven_in_ten():
    affine, perspective = grids([f"i{n}" for n in range(20)])
    still = plain_grid()
    for grid in (affine, perspective):
        moved = ((grid - still).abs().amax(dim=(1, 2, 3)) > 1e-4).float().mean()
        assert moved.item() == pytest.approx(0.7, abs=0.08)
    places = torch.cat([still.flatten(0, 1), torch.ones(144, 1)], dim=1)
    for grid in affine[::37]:
        matrix = torch.linalg.lstsq(places, grid.flatten(0, 1)).solution.T
        assert math.degrees(abs(math.atan2(matrix[1, 0], matrix[0, 0]))) <= 15.001
        assert matrix[:, 2].abs().max() <= 0.2001
        assert matrix[:, :2].det().item() == pytest.approx(1, abs=1e-4)
    # Corners move inwards, so the warp of a corner looks beyond it.
    assert perspective.abs().amax(dim=(1, 2, 3)).min() >= 0.9


def test_a_view_depends_on_its_image_alone():
    together, alone = grids(["a", "b"]), grids(["b"])
    for both, one in zip(together, alone, strict=True):
        assert torch.equal(both.view(39, 2, 12, 12, 2)[:, 1], one)


def test_classifiers_and_steps_see_other_views():
    first = grids(["a"])[0]
    assert not torch.equal(first, grids(["a"], which=1)[0])
    assert not torch.equal(first, grids(["a"], step=1)[0])


def test_a_homography_takes_corners_to_corners():
    source = torch.tensor([[[-0.4, -0.9], [0.8, -0.5], [0.7, 0.6], [-1.0, 0.9]]])
    target = torch.tensor([[[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]])
    points = torch.cat([source, torch.ones(1, 4, 1)], dim=-1)
    mapped = torch.einsum("mij,mpj->mpi", _homography(source, target), points)
    torch.testing.assert_close(mapped[..., :2] / mapped[..., 2:], target, atol=1e-5, rtol=0)
