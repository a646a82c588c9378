"""Priors of one's own images: how training begins and goes on, what it leaves, one channel."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from owntask import OwnTask, picture, save
from PIL import Image

from vcebench.data.ids import ids_of
from vcebench.data.spread import spread
from vcebench.errors import UserError
from vcebench.folders.manifest import one_ending
from vcebench.models.shipped import ASSETS, load_network
from vcebench.training.beginning import beginning, check_fit
from vcebench.training.folder import train_own
from vcebench.training.own_plan import OwnPlan, usual
from vcebench.training.own_prior import denoising_errors
from vcebench.weights.shipped import read_card, read_network

SIZE = (16, 16)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number in range(3):
        save(tmp_path / "pictures" / f"{number}.png", picture("bar", number))
    return tmp_path / "pictures"


def plan(steps: int, **other) -> OwnPlan:
    return OwnPlan(size=SIZE, width=32, steps=steps, batch=2, **other)


def train(images: Path, output: Path, steps: int, **other) -> Path:
    return train_own("prior", images, output, plan(steps, **other), progress=False)


def test_a_training_leaves_a_picture_a_log_and_its_figures(images, tmp_path):
    drawn = []

    def draw(columns):
        drawn.append({name: len(column) for name, column in columns.items()})
        return b"a picture"

    path = train_own("prior", images, tmp_path / "out", plan(2), progress=False, draw=draw)
    assert (tmp_path / "out" / "prior.png").read_bytes() == b"a picture"
    assert drawn == [{"image": 3, "from step 60": 3, "from noise": 3}]
    lines = (tmp_path / "out" / "state" / "prior.log").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["prior: step 1/2", "prior: step 2/2"]
    errors = read_card(path)["measured"]["noise_mse"]
    assert sorted(map(int, errors)) == [10, 30, 60, 100, 150, 190]
    assert all(0 < error < 10 for error in errors.values())


def test_more_steps_go_on_where_a_training_ended(images, tmp_path):
    train(images, tmp_path / "out", 2)
    path = train(images, tmp_path / "out", 4)
    log = (tmp_path / "out" / "state" / "prior.log").read_text().splitlines()
    assert [line.partition(",")[0] for line in log[2:]] == ["prior: step 3/4", "prior: step 4/4"]
    card = read_card(path)
    assert (card["steps"], card["continued_at"]) == (4, [2])
    assert len(list((tmp_path / "out").glob("prior-*.safetensors"))) == 1  # that of 2 steps


def test_the_same_steps_train_nothing(images, tmp_path):
    path = train(images, tmp_path / "out", 2)
    before = path.read_bytes()
    assert train(images, tmp_path / "out", 2) == path
    assert path.read_bytes() == before


def test_other_images_begin_anew_after_a_training_that_ended(images, tmp_path):
    train(images, tmp_path / "out", 2)
    save(images / "new.png", picture("disc", 7))
    path = train(images, tmp_path / "out", 1)
    assert read_card(path)["steps"] == 1
    assert "continued_at" not in read_card(path)


def test_a_training_begins_from_another_prior(images, tmp_path):
    source = train(images, tmp_path / "first", 1)
    begun = beginning(str(source), tmp_path)
    path = train(images, tmp_path / "second", 1, begin=begun, seed=1)
    first, second = read_network(source), read_network(path)
    assert second.config == first.config
    assert second.card["begun_from"] == source.name
    near = [
        float((value.float() - second.tensors[key].float()).abs().max())
        for key, value in first.tensors.items()
    ]
    assert 0 < max(near) < 0.01  # one step of a warming-up training away


def test_a_shipped_prior_is_begun_from_by_its_name(tmp_path):
    begun = beginning("digits", tmp_path)
    assert begun.path == ASSETS / "digits" / "prior.safetensors"
    check_fit(begun, (32, 32), 3)
    with pytest.raises(UserError, match="3 channels, yours have 1"):
        check_fit(begun, (32, 32), 1)


def test_the_prior_of_a_tasks_file_is_begun_from(tmp_path):
    task = OwnTask(tmp_path / "own")
    begun = beginning(str(task.config), tmp_path)
    assert begun.path == task.path / "prior.safetensors"


@pytest.mark.parametrize(
    "source", ["nowhere", "nowhere.safetensors", "nowhere.toml", "celeba-prior"]
)
def test_what_is_no_prior_is_one_sentence(source, tmp_path, monkeypatch):
    monkeypatch.setenv("VCEBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(UserError):
        beginning(source, tmp_path)


def test_a_diffusers_prior_is_begun_from(images, tmp_path):
    diffusers = pytest.importorskip("diffusers")
    network = diffusers.UNet2DModel(
        sample_size=16,
        block_out_channels=(32, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
    )
    network.save_pretrained(tmp_path / "model")
    begun = beginning(str(tmp_path / "model"), tmp_path / "state")
    assert begun.chain == 1000
    path = train(images, tmp_path / "out", 1, begin=begun)
    assert read_card(path)["schedule"]["steps"] == 1000
    out = load_network(path)[0](torch.zeros(1, 3, *SIZE), torch.zeros(1))
    assert out.shape == (1, 3, *SIZE)


def test_what_is_usual_takes_an_hour_for_64_pixels():
    assert usual((32, 32)) == {"width": 32, "budget": 900.0}
    assert usual((64, 64)) == {"width": 32, "budget": 3600.0}
    assert usual((128, 128))["width"] == 64


def test_a_network_that_finds_nothing_is_off_by_one():
    class Nothing(torch.nn.Module):
        def forward(self, z, t):
            return torch.zeros_like(z)

    errors = denoising_errors(Nothing(), torch.zeros(64, 3, 8, 8), 500)
    assert errors == pytest.approx(dict.fromkeys(errors, 1.0), abs=0.05)


@pytest.mark.parametrize("wanted", [1, 2, 5, 9])
def test_images_are_spread_from_the_first_to_the_last(wanted):
    found = spread(5, wanted)
    assert len(found) == min(5, wanted)
    assert found[0] == 0
    assert wanted == 1 or found[-1] == 4


@pytest.mark.parametrize("apart", [True, False])
def test_a_prior_is_judged_on_images_that_it_did_not_learn_from(tmp_path, capsys, apart):
    task = OwnTask(tmp_path / "own").images(3)
    for number in range(2):  # these two are among the task's
        save(task.path / "others" / f"{number}.png", picture("bar", number))
    more = ("--data", task.path / "others") if apart else ()
    words = ("--steps", 1, "--threads", 1, "-o", task.path / "made")
    assert task.call("train", "prior", "--config", task.config, *more, *words) == 0
    found = read_card(task.path / "made" / "prior.safetensors")["measured"]
    count = 4 if apart else 6
    assert (found["unseen"], found["images"], found["kept_of"]) == (apart, count, count)
    low, high = found["kept_interval"]
    assert 0 <= low <= found["kept"] <= high <= 1
    assert low < high
    whose = "has not seen" if apart else "learned from"
    assert f"of {count} images that it {whose} keep their class" in capsys.readouterr().err


# What check says of a classifier


def test_check_tells_how_often_the_classifier_is_right(tmp_path, capsys):
    task, found = OwnTask(tmp_path / "own").images(4), []
    for classes in ('"bar", "disc"', '"disc", "bar"'):
        task.toml(data=f"classes = [{classes}]")
        task.call("check", "--config", task.config)
        (line,) = (one for one in capsys.readouterr().out.splitlines() if "it says" in one)
        right, of = map(int, re.search(r"(\d+) of (\d+) as they are labelled", line).groups())
        assert of == 8
        assert ("mean, std" in line) == line.startswith("note") == (right <= 4)
        found.append(right)
    assert sum(found) == 8  # the other order makes right what was wrong


# Names of stored files


def test_files_of_a_run_end_once_and_are_found_again(tmp_path, capsys):
    task = OwnTask(tmp_path / "own").images(2)
    assert task.run() == 0, capsys.readouterr().err
    folder = task.folder()
    names = sorted(path.name for path in (folder.path / "inputs").iterdir())
    assert names == [row.id for row in sorted(folder.rows(), key=lambda row: row.id)]
    assert task.call("check", folder.path) == 0
    (folder.path / "counterfactuals" / names[0]).write_bytes(b"damaged")
    assert task.call("check", folder.path) == 1
    assert task.run() == 0
    assert task.call("check", folder.path) == 0


def test_a_run_of_before_keeps_its_names(tmp_path, capsys):
    task = OwnTask(tmp_path / "own").images(1)
    assert task.run("--limit", 1) == 0
    path = task.folder().path / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest.pop("one_ending")
    path.write_text(json.dumps(manifest))
    for kind in ("inputs", "counterfactuals", "masks"):
        for file in (path.parent / kind).iterdir():
            file.rename(file.with_name(f"{file.name}.png"))
    capsys.readouterr()
    assert task.call("check", path.parent) == 0, capsys.readouterr().out


def test_ids_that_would_be_stored_alike_differ():
    assert len({one_ending(f"{id}.png") for id in ids_of(["a", "a.png"])}) == 2


# One channel


@pytest.fixture
def grey(tmp_path: Path) -> OwnTask:
    """A task with a classifier and a trained prior of one channel."""
    task = OwnTask(tmp_path / "own").images(2)
    data = 'classes = ["bar", "disc"]\nchannels = 1'
    classifier = 'factory = "clf:one"\nchannels = 1\nmean = [0.13]\nstd = [0.3]'
    task.toml(data=data, classifier=classifier, prior='trained = "grey/prior.safetensors"')
    words = ("--steps", 1, "--threads", 1, "-o", task.path / "grey")
    assert task.call("train", "prior", "--config", task.config, *words) == 0
    return task


def test_a_run_is_in_the_one_channel_of_its_prior(grey, capsys):
    with Image.open(grey.path / "grey" / "prior.png") as drawn:
        drawn.verify()
    card = read_card(grey.path / "grey" / "prior.safetensors")
    assert card["recipe"]["config"]["in_channels"] == 1
    assert {"kept", "tau"} <= card["measured"].keys()
    assert grey.run() == 0, capsys.readouterr().err
    folder = grey.folder()
    rows = list(folder.rows())
    assert len(rows) == 4
    for kind in ("inputs", "counterfactuals"):
        images = folder.images(kind, rows)
        assert bool((images == images[:, :1]).all())
    changed = folder.images("counterfactuals", rows).float() - folder.images("inputs", rows).float()
    assert float(changed.abs().max()) > 0
    assert grey.call("show", "--config", grey.config, "--prior", "-o", grey.path / "s.png") == 0
    assert grey.call("check", "--config", grey.config) == 0
    assert json.loads((folder.path / "manifest.json").read_text())["status"] == "finished"


def test_a_classifier_of_three_channels_is_explained_in_one(grey, capsys):
    text = grey.config.read_text()
    mean = "channels = 1\nmean = [0.13]\nstd = [0.3]\n"
    grey.config.write_text(text.replace("clf:one", "clf:build").replace(mean, ""))
    assert grey.run() == 0, capsys.readouterr().err


def test_coloured_images_are_refused_with_what_to_say(grey, capsys):
    grey.config.write_text(grey.config.read_text().replace("channels = 1\n", "", 1))
    assert grey.run() == 2
    assert "say channels = 1 in [data]" in capsys.readouterr().err
    assert not (grey.path / "run").exists()
