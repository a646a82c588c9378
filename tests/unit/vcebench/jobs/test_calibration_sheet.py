"""The picture of a calibration."""

import torch

from vcebench.jobs.calibrating import Calibration, Trial


def test_the_sheet_shows_images_from_the_first_to_the_last_and_every_unit():
    images = [torch.full((3, 8, 8), k, dtype=torch.uint8) for k in range(16)]
    trials = [Trial(0.5, 0.5, 0.01, images), Trial(1.0, 1.0, 0.02, images)]
    few = Calibration("maskdime", trials[1], trials[:1], images).sheet()
    both = Calibration("maskdime", trials[1], trials, images, images, 1.0).sheet()
    assert both.width == 2 * few.width - 6  # four columns instead of two; one gap is shared
    colours = {both.getpixel((20, y))[0] for y in range(both.height)}
    assert {0, 15} <= colours
