"""Runs inside a region, as a person starts them."""

import json
from importlib import import_module

import numpy as np
import pytest
import torch
from PIL import Image

from vcebench.cli import main
from vcebench.data.registry import open_dataset
from vcebench.folders.runfolder import RunFolder
from vcebench.models.shipped import ASSETS, load_network
from vcebench.training.bridge import HeldOut, bridge_figures
from vcebench.training.registry import recipe_of
from vcebench.weights.shipped import read_card

FEW = ["--threads", "1", "--batch-size", "2", "--limit", "2"]


def run(tmp_path, *arguments, method="maskdime", dataset="digits"):
    folder = tmp_path / "run"
    asked = ["run", "--method", method, "--dataset", dataset, "--output", str(folder), *FEW]
    return main([*asked, *arguments]), RunFolder(folder)


def unchanged_outside(folder):
    for row in folder.rows():
        before, after = (folder.image(kind, row) for kind in ("inputs", "counterfactuals"))
        region = folder.region(row)
        assert torch.equal(before[:, ~region], after[:, ~region])
        yield region


@pytest.mark.parametrize("region", ["cells:20", "free-form:10-20"])
def test_outside_of_a_region_nothing_changes(tmp_path, region):
    code, folder = run(tmp_path, "--set", "tau=4", "--region", region)
    assert code == 0
    for found in unchanged_outside(folder):
        assert 0.09 <= float(found.float().mean()) <= 0.2
    assert all(values["outside_change"] == 0 for values in folder.per_image().values())


def test_rcsb_has_a_region_of_its_own(tmp_path):
    code, folder = run(tmp_path, "--set", "moves=3", method="rcsb-c")
    assert code == 0
    assert len(list(unchanged_outside(folder))) == 2
    assert [(row.tries, row.nfe, row.backward) for row in folder.rows()] == [(1, 3, 3)] * 2
    assert not (folder.path / "masks").exists()


def test_parts_are_those_of_the_picture(tmp_path):
    code, folder = run(tmp_path, "--set", "tau=3", "--region", "part:mouth", dataset="synthfaces")
    assert code == 0
    images = open_dataset("synthfaces", "smile")
    for index, found in enumerate(unchanged_outside(folder)):
        assert torch.equal(found, images.region(index, "mouth"))


def test_masks_of_ones_own_are_part_of_the_runs_identity(tmp_path, capsys):
    images = open_dataset("digits", "3-8")
    masks = tmp_path / "masks"
    masks.mkdir()
    pixels = np.zeros((32, 32), np.uint8)
    pixels[8:20, 10:22] = 1
    for index in range(2):
        Image.fromarray(pixels).save(masks / f"{images[index].id}.png")
    asked = ("--set", "tau=3", "--region", str(masks))
    code, folder = run(tmp_path, *asked)
    assert code == 0
    for found in unchanged_outside(folder):
        assert torch.equal(found, torch.from_numpy(pixels > 0))
    config = json.loads((folder.path / "manifest.json").read_text())["config"]
    assert config["region"].startswith("files:")
    Image.fromarray(255 - pixels).save(masks / f"{images[0].id}.png")
    assert run(tmp_path, *asked)[0] == 2
    assert "was made with another configuration (region:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--region", "truth"), "where things are in digits is not known"),
        (("--region", "moutn"), "is neither cells, pixels"),
        (("--region", "cells:captum:gradcma"), "did you mean 'gradcam'"),
    ],
)
def test_what_cannot_be_is_one_sentence_before_anything_is_made(
    tmp_path, capsys, arguments, message
):
    code, folder = run(tmp_path, "--set", "tau=3", *arguments)
    assert code == 2
    assert message in capsys.readouterr().err
    assert not (folder.path / "shards").exists()


SHIPPED = [
    pytest.param(dataset, marks=() if dataset == "digits" else pytest.mark.slow)
    for dataset in ("digits", "synthfaces", "synthroads")
    if (ASSETS / dataset / "bridge.safetensors").exists()
]


@pytest.mark.parametrize("dataset", SHIPPED)
def test_a_shipped_bridge_keeps_what_its_card_says(dataset):
    """Recomputed on the first 64 images; shares within three deviations of so many draws."""
    path = ASSETS / dataset / "bridge.safetensors"
    part = next(p for p in recipe_of(dataset).parts if p.name == "bridge")
    module = {"synthfaces": "face_models"}.get(dataset, dataset)
    whole = import_module(f"vcebench.training.{module}").held_out()
    few = HeldOut(whole.images[:64], whole.labels[:64], whole.judge)
    card = read_card(path)["measured"]
    with torch.no_grad():
        found = bridge_figures(load_network(path)[0], part.initial()[0], few)
    assert found["x0_error"] == pytest.approx(card["x0_error"], rel=0.35)
    for name, ceiling in part.ceilings.items():
        assert found[name] <= ceiling
    # A card says which floor was not reached; what was reached has to hold all the same.
    assert found["gain"] >= 0.95 * min(part.floors.get("gain", 3.0), card["gain"])
    for share in (card["label_kept"], part.floors["label_kept"]):
        assert found["label_kept"] >= share - 3 * (share * (1 - share) / 64) ** 0.5
    assert found["label_seen"] > 0.9
