"""Attributions and regions against the authors' code over captum: regions exactly."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.nn import functional as F

from vcebench.methods.core.attributions import integrated_gradients, saliency
from vcebench.methods.core.regions import cell_sums, normalised, released_cells

GOLDEN = Path(__file__).parent / "golden" / "rcsb"


def meta(name):
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        return json.loads(file.metadata()["meta"])


REGIONS = meta("regions")["regions"]
LARGE = meta("regions_large")["regions"]


@pytest.fixture(scope="module")
def run(golden_file):
    return golden_file("rcsb/regions")


def images(run):
    return run["x_uint8"].float() / 127.5 - 1


def close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_integrated_gradients(run, five):
    close(integrated_gradients(images(run), run["source"], five), run["attr_integrated_gradients"])


def test_integrated_gradients_of_an_attribute(run, pair):
    first = torch.zeros_like(run["source"])
    found = integrated_gradients(images(run), first, pair)
    close(found, run["attr_integrated_gradients_binary"])


def test_saliency(run, five):
    close(saliency(images(run), run["source"], five), run["attr_saliency"])


SIGNS = {
    "absolute_value": lambda total: total.abs(),
    "positive": lambda total: total.clamp_min(0),
    "all": lambda total: total,
}


def smoothed(values, kernel_size, sigma):
    offsets = torch.arange(kernel_size) - kernel_size // 2
    kernel = torch.exp(-0.5 * (offsets / sigma).square())
    kernel = kernel / kernel.sum()
    pad = [kernel_size // 2] * 4
    padded = F.pad(values, pad, mode="reflect")
    return F.conv2d(padded, kernel[None, None, :, None] * kernel)


def strided(values, cell):
    """Mean of two grids of cells, half a cell apart, at twice their resolution."""
    half = cell // 2
    shifted = F.pad(values, [half] * 4)
    grids = [
        cell_sums(grid, cell).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        for grid in (values, shifted)
    ]
    return (grids[0] + grids[1][..., 1:-1, 1:-1]) / 2


def cells_of(values, settings):
    if settings["smoothing"]:
        return smoothed(values, **settings["smoothing"])
    if settings["cell_strided"]:
        return strided(values, settings["cell_size"])
    return cell_sums(values, settings["cell_size"] or 1)


@pytest.mark.parametrize("name", REGIONS)
def test_regions(run, name):
    """Signs, smoothing, quantiles, strided and scaled cells are not for users: made up here."""
    entry, size = REGIONS[name], (16, 16)
    settings = entry["settings"]
    total = run[f"attr_{entry['attr']}"].sum(dim=1, keepdim=True)
    values = cells_of(normalised(SIGNS[settings["sign"]](total)), settings)
    if settings["quantile"]:
        flat = values.flatten(1)
        kept = flat >= flat.quantile(settings["quantile"], dim=1, keepdim=True)
        kept = (kept & (flat > 0)).view_as(values)
        side = size[0] // values.shape[2]
        region = kept.repeat_interleave(side, dim=2).repeat_interleave(side, dim=3)
    else:
        region = released_cells(values, settings["area"], size)
    if settings["scale"]:
        enlarged = F.interpolate(values, size, mode="nearest") * region
        low, high = enlarged.amin(dim=(1, 2, 3)), enlarged.amax(dim=(1, 2, 3))
        scaled = (enlarged - low.view(-1, 1, 1, 1)) / (high - low).view(-1, 1, 1, 1)
        close(scaled[:, 0], run[name])
    else:
        assert torch.equal(region[:, 0], run[name].bool())


@pytest.mark.parametrize("attr", ["integrated_gradients", "sparse", "gradcam"])
def test_normalised_maps(run, attr):
    total = run[f"attr_{attr}"].sum(dim=1, keepdim=True).abs()
    assert torch.equal(normalised(total)[:, 0], run[f"normalised_{attr}"])


@pytest.mark.parametrize(("cell", "name"), [(4, "cells4_area30"), (2, "cells2_area20")])
def test_cells(run, cell, name):
    total = run["attr_integrated_gradients"].sum(dim=1, keepdim=True).abs()
    close(cell_sums(normalised(total), cell)[:, 0], run[f"cells_{name}"])


@pytest.mark.parametrize("name", LARGE)
def test_large_regions(golden_file, name):
    run, entry = golden_file("rcsb/regions_large"), LARGE[name]
    total = run["attr"].sum(dim=1, keepdim=True).abs()
    values = cell_sums(normalised(total), entry["cell_size"])
    region = released_cells(values, entry["area"], (128, 128))
    expected = np.unpackbits(run[name].numpy()).reshape(entry["shape"])
    np.testing.assert_array_equal(region[:, 0].numpy(), expected.astype(bool))
