"""A robust classifier of somebody's own images: trained from the task's file, and used by it."""

import json

import numpy as np
import pytest
from PIL import Image
from torch import nn

from vcebench.cli import main
from vcebench.models.shipped import load_network
from vcebench.training.own_robust import usual_radius
from vcebench.weights.shipped import read_card

MODEL = """
from torch import nn

class Warmth(nn.Module):
    def forward(self, x):
        return 3 * (x[:, 0] - x[:, 2]).mean(dim=(1, 2))

def build():
    return Warmth()
"""

TOML = """
name = "fruit"
[data]
folder = "images"
size = 16
classes = ["plum", "cherry"]
[classifier]
factory = "warmth_model:build"
[prior]
trained = "own/prior.safetensors"
{robust}
[run]
tau = 2
batch_size = 2
"""


def disc(seed, warm):
    noise = np.random.default_rng(seed).integers(0, 60, (20, 20, 3))
    colour = np.array([180, 60, 20]) if warm else np.array([20, 60, 180])
    return Image.fromarray((noise + colour).astype(np.uint8))


def written(folder, robust='[robust]\ntrained = "own/robust.safetensors"'):
    (folder / "mine.toml").write_text(TOML.format(robust=robust))
    return folder / "mine.toml"


def make(folder, count=20):
    for index in range(count):
        name = ("plum", "cherry")[index % 2]
        (folder / "images" / name).mkdir(parents=True, exist_ok=True)
        disc(index, index % 2).save(folder / "images" / name / f"{index}.png")
    (folder / "warmth_model.py").write_text(MODEL)
    return written(folder, robust="")


def call(*words):
    return main([str(word) for word in words])


def train(folder, *more, role="robust"):
    how = ["--steps", "30", "--batch-size", "8", "--output", folder / "own"]
    return call("train", role, "--config", folder / "mine.toml", *how, *more)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A task with a prior of two steps and a robust classifier of thirty."""
    folder = tmp_path_factory.mktemp("own")
    make(folder)
    assert train(folder, "--width", "32", "--steps", "2", role="prior") == 0
    assert train(folder, "--epsilon", "1.0") == 0
    return folder


@pytest.fixture
def own(tmp_path, trained):
    make(tmp_path, 4)
    (tmp_path / "own").mkdir()
    for role in ("prior", "robust"):
        (tmp_path / "own" / f"{role}.safetensors").symlink_to(
            trained / "own" / f"{role}.safetensors"
        )
    return tmp_path


def run(own, method="dvce", *more):
    words = ["run", "--config", own / "mine.toml", "--method", method, "--output", own / "run"]
    return call(*words, *more)


def test_it_is_measured_on_images_it_has_not_seen(trained):
    card = read_card(trained / "own" / "robust.safetensors")
    assert card["classes"] == ["plum", "cherry"]
    assert card["epsilon"] == 1.0
    measured = card["measured"]
    assert measured["held_out"] == 2
    assert measured["clean"] == 1
    assert 0 <= measured["pgd20"] <= measured["clean"]
    assert card["recipe"]["inputs"]["images"] == 20


def test_the_same_command_finds_it_done_and_other_images_make_another(trained, tmp_path, capsys):
    assert train(trained, "--epsilon", "1.0") == 0
    assert "already trained" in capsys.readouterr().err
    make(tmp_path, 20)
    path = tmp_path / "images" / "plum" / "0.png"
    path.rename(tmp_path / "images" / "cherry" / "0.png")  # the same pixels, another label
    assert train(tmp_path, "--epsilon", "1.0", "--steps", "1") == 0
    first, second = (read_card(at / "own" / "robust.safetensors") for at in (trained, tmp_path))
    assert first["recipe"]["inputs"]["pixels"] != second["recipe"]["inputs"]["pixels"]


def test_the_usual_radius_and_stages_follow_the_size(tmp_path):
    make(tmp_path, 20)
    assert train(tmp_path, "--steps", "1") == 0
    network, card = load_network(tmp_path / "own" / "robust.safetensors")
    assert card["epsilon"] == pytest.approx(usual_radius(16, 16))
    assert network.head.out_features == 2
    assert sum(isinstance(part, nn.AvgPool2d) for part in network.stages) == 2


def test_dvce_runs_with_it_and_its_weights_are_part_of_the_run(own, trained, capsys):
    written(own)
    assert run(own) == 0, capsys.readouterr().err
    roles = json.loads((own / "run" / "manifest.json").read_text())["networks"]
    assert set(roles) >= {"classifier", "prior", "robust"}
    (own / "own" / "robust.safetensors").unlink()
    other = own / "other"
    make(other, 20)
    assert train(other, "--steps", "1") == 0
    (other / "own" / "robust.safetensors").rename(own / "own" / "robust.safetensors")
    assert run(own, "dvce", "--limit", "4") == 2
    assert "robust" in capsys.readouterr().err


def test_a_method_without_that_need_reads_none(own):
    written(own, '[robust]\ntrained = "not/there.safetensors"')
    assert run(own, "dvce-no-cone") == 0


@pytest.mark.parametrize(
    ("robust", "message"),
    [
        ("", "add [robust]"),
        ('[robust]\ntrained = "own/prior.safetensors"', "no robust classifier"),
        ('[robust]\ntrained = "own/none.safetensors"', "none.safetensors"),
        ('[robust]\nfactory = "warmth_model:gone"', "gone"),
        ('[robust]\noutputs = "logits"', "give one of factory"),
        ('[robust]\ntrained = "a"\ntorchscript = "b"', "give one of factory"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(own, capsys, robust, message):
    written(own, robust)
    assert run(own) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not (own / "run").exists()


def test_another_number_of_classes_is_refused(own, capsys):
    (own / "warmth_model.py").write_text(
        MODEL + "\ndef three():\n    return nn.Sequential(nn.Flatten(), nn.Linear(768, 3))\n"
    )
    written(own, '[robust]\nfactory = "warmth_model:three"')
    assert run(own) == 2
    err = capsys.readouterr().err
    assert "[robust]" in err
    assert "3 outputs" in err


def test_a_factory_beside_the_file_will_do(own):
    written(own, '[robust]\nfactory = "warmth_model:build"')
    assert run(own) == 0


def test_it_can_be_the_classifier_that_is_explained(own):
    text = written(own).read_text()
    factory = 'factory = "warmth_model:build"'
    (own / "mine.toml").write_text(text.replace(factory, 'trained = "own/robust.safetensors"'))
    assert run(own, "dvce-no-cone") == 0
    named = json.loads((own / "run" / "manifest.json").read_text())["networks"]
    assert named["classifier"]["name"] == "robust.safetensors"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["robust"], "--config FILE.toml"),
        (["robust", "--config", "mine.toml", "--epsilon", "0"], "above 0"),
        (["robust", "--config", "mine.toml"], "at least 10"),
        (["robust", "--config", "mine.toml", "--data", "images"], "leave --data away"),
        (["prior", "--config", "mine.toml", "--epsilon", "1"], "has no --epsilon"),
        (["prior"], "--data FOLDER, or --config FILE.toml"),
    ],
)
def test_what_training_lacks_is_said(tmp_path, monkeypatch, capsys, words, message):
    make(tmp_path, 4)
    monkeypatch.chdir(tmp_path)
    assert call("train", *words) == 2
    assert message in capsys.readouterr().err


def test_images_without_labels_are_refused(tmp_path, capsys):
    make(tmp_path, 2)
    for index in range(12):
        disc(index, index % 2).save(tmp_path / "images" / f"{index}.png")
    for name in ("plum", "cherry"):
        for path in (tmp_path / "images" / name).iterdir():
            path.unlink()
        (tmp_path / "images" / name).rmdir()
    assert train(tmp_path) == 2
    assert "without a label" in capsys.readouterr().err
