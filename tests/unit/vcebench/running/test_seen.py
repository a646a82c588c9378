"""What is said of the first batch: an edit of a person's kind, and one of an attack's."""

from types import SimpleNamespace

import pytest
import torch

from vcebench.running.seen import fine_share, seen

SMOOTH = torch.linspace(40, 200, 32).expand(3, 32, 32).round().to(torch.uint8)


def finals(edit, masks=None, **outcome):
    """Two images with an edit added to each."""
    after = (SMOOTH.float() + edit).clamp(0, 255).to(torch.uint8)
    found = {"finite": True, "already": False, "flipped": True, "image": after, "mask_z": masks}
    item = SimpleNamespace(image=SMOOTH)
    one = SimpleNamespace(
        attempt=SimpleNamespace(item=item), outcome=SimpleNamespace(**{**found, **outcome})
    )
    return [one, one]


def disc():
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    return ((y - 12) ** 2 + (x - 20) ** 2 < 36).float()


def noise():
    return torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_white_noise_has_eight_ninths_and_a_ramp_almost_nothing():
    generator = torch.Generator().manual_seed(0)
    white = torch.randn(8, 3, 64, 64, generator=generator)
    assert fine_share(white) == pytest.approx(8 / 9, abs=0.02)
    assert fine_share(SMOOTH.float()[None]) < 0.01
    assert fine_share(torch.zeros(2, 3, 8, 8)) == 0


def test_a_smooth_edit_is_told_without_a_warning():
    (line,) = seen(finals(30 * disc(), masks=(disc() > 0)[None]))
    assert line.startswith("first batch: 2 of 2 flipped; beyond the edit pixels moved by 0.0 of")


def test_what_moved_outside_of_the_mask_is_told():
    (line,) = seen(finals(30 * disc() + 2, masks=(disc() > 0)[None]))
    assert "pixels moved by 2.0 of 255 levels" in line


def test_an_attack_is_called_one():
    lines = seen(finals(4 * noise().sign()))
    assert "adversarial attack" in lines[1]
    assert "docs/own-data.md#calibrate" in lines[1]


def test_images_that_are_noise_themselves_may_have_such_edits():
    lines = seen(finals(4 * noise().sign()))
    rough = (128 + 40 * noise()).clamp(0, 255).to(torch.uint8)
    for final in finals(0):
        final.attempt.item.image = rough
        final.outcome.image = (rough.float() + 4 * noise().sign()).clamp(0, 255).to(torch.uint8)
        assert len(seen([final])) == 1 < len(lines)


@pytest.mark.parametrize("outcome", [{"finite": False}, {"already": True}])
def test_nothing_is_said_of_images_without_an_edit(outcome):
    assert seen(finals(0, **outcome)) == []
