"""Directions, by hand: lengths, angles, and the cone's boundary."""

import math

import pytest
import torch

from vcebench.methods.core.directions import (
    angle,
    channel_angle,
    channels_on_cone,
    length,
    matched,
    on_cone,
    unit,
)


def image(*values):
    return torch.tensor([values]).view(1, 1, 1, -1)


def test_lengths_are_of_whole_images():
    a = torch.stack([torch.full((3, 2, 2), 1.0), torch.full((3, 2, 2), 2.0)])
    assert length(a).flatten().tolist() == pytest.approx([math.sqrt(12), 2 * math.sqrt(12)])


def test_a_matched_direction_has_the_length_of_the_other():
    found = matched(image(3.0, 4.0), image(0.0, 10.0))
    torch.testing.assert_close(found, image(6.0, 8.0))


def test_zero_has_no_direction():
    zero = image(0.0, 0.0)
    assert torch.equal(unit(zero), zero)
    assert torch.equal(matched(zero, image(1.0, 1.0)), zero)


def test_an_image_is_taken_by_itself():
    one, other = image(1.0, 2.0), image(-5.0, 0.5)
    both = torch.cat([one, other])
    axis = torch.cat([image(1.0, 0.0), image(0.0, 1.0)])
    together = on_cone(both, axis, 30)
    assert torch.equal(together[:1], on_cone(one, axis[:1], 30))
    assert torch.equal(together[1:], on_cone(other, axis[1:], 30))


@pytest.mark.parametrize("degrees", [0.0, 20.0, 45.0, 80.0])
@pytest.mark.parametrize("moved", [(0.0, 3.0, 0.0), (-2.0, 1.0, 1.0), (1.0, 0.1, -4.0)])
def test_the_moved_direction_lies_on_the_cone_in_the_plane_of_both(degrees, moved):
    axis = image(2.0, 0.0, 0.0)
    found = on_cone(image(*moved), axis, degrees)
    assert torch.rad2deg(angle(found, axis)).item() == pytest.approx(degrees, abs=1e-3)
    side = torch.tensor(moved[1:])
    torch.testing.assert_close(
        unit(found)[0, 0, 0, 1:], math.sin(math.radians(degrees)) * side / side.norm()
    )


def test_parallel_directions_give_the_axis():
    axis = image(1.0, 2.0, 2.0)
    torch.testing.assert_close(on_cone(3 * axis, axis, 30), unit(axis))
    assert angle(3 * axis, axis).item() == pytest.approx(0, abs=1e-3)
    assert angle(-axis, axis).item() == pytest.approx(math.pi, abs=1e-3)


def test_where_one_gradient_is_zero_the_other_decides():
    axis, zero = image(0.0, 2.0), image(0.0, 0.0)
    assert torch.equal(on_cone(zero, axis, 30), unit(axis))
    assert torch.rad2deg(angle(axis, zero)).item() == pytest.approx(90)
    torch.testing.assert_close(unit(on_cone(axis, zero, 30)), unit(axis))


def test_angles_of_points_are_those_of_their_channels():
    a = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])[None, :, None]  # two points of three
    b = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])[None, :, None]
    found = torch.rad2deg(channel_angle(a, b))
    assert found.shape == (1, 1, 1, 2)
    assert found[0, 0, 0, 0].item() == pytest.approx(45.0, abs=1e-4)
    assert found[0, 0, 0, 1].isnan()


def test_channels_are_turned_towards_others_by_an_angle():
    a = torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)
    towards = torch.tensor([-1.0, 3.0]).view(1, 2, 1, 1)
    turned = channels_on_cone(towards, a, 45.0)
    torch.testing.assert_close(turned.flatten(), torch.tensor([2.0, 2.0]))
