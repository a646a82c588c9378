"""vcebench check, vcebench weights, and a whole run on CelebA at full network size."""

import json
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from vcebench.cli import main

RUN_CARDS = ("celeba-prior", "celeba-classifier", "vgg19")
METRIC_CARDS = ("celeba-oracle", "vggface2", "inception", "simsiam", "lpips")


@pytest.fixture(scope="module")
def weights(tmp_path_factory, published_state):
    """Random weights at full size, as imported; float16 files are half as large"""
    root = tmp_path_factory.mktemp("weights")
    for id in (*RUN_CARDS, *METRIC_CARDS):
        state = {
            k: v.half() if v.is_floating_point() else v for k, v in published_state(id).items()
        }
        save_file(state, root / f"{id}.safetensors")
    yield root
    shutil.rmtree(root)  # pytest keeps folders of past sessions


@pytest.fixture
def said(capsys):
    """said("check", …) → (exit code, stdout, stderr)"""

    def call(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def states(out):
    return {row["item"]: row["state"] for row in json.loads(out)}


def test_check_reports_everything_missing(said, tmp_path):
    code, out, err = said("check", "--dataset", "celeba", "--weights", tmp_path, "--format", "json")
    assert code == 1
    found = states(out)
    assert found.pop("images (smile)") == "missing"
    assert {role for role, state in found.items() if state == "missing"} == {
        "prior",
        "classifier",
        "perceptual",
    }
    assert {role for role, state in found.items() if state == "optional"} == {
        "autoencoder",
        "bridge",
        "latent-text",
        "oracle",
        "identity",
        "representation",
        "semantic",
        "lpips",
    }
    assert "not ready" in err


def test_check_reports_what_is_there(said, weights, celeba_tree):
    place = ("--data-root", celeba_tree(), "--weights", weights, "--format", "json")
    code, out, err = said("check", "--dataset", "celeba", *place)
    assert code == 0
    assert "ready: vcebench run" in err
    found = states(out)
    assert found.pop("number of images") == "optional"
    for role in ("autoencoder", "bridge", "latent-text"):
        assert found.pop(role) == "optional"  # the fixture has none
    assert set(found.values()) == {"ok"}


def test_check_notices_missing_and_wrong_files(said, weights, celeba_tree):
    root = celeba_tree()
    folder = root / "celeba" / "img_align_celeba"
    place = ("--data-root", root, "--weights", weights, "--format", "json")
    Image.new("RGB", (128, 128)).save(folder / "162772.jpg")
    code, out, _ = said("check", "--dataset", "celeba", *place)
    assert code == 1
    assert states(out)["images (smile, val)"] == "wrong"
    assert "128x128, not 178x218" in out
    (folder / "162772.jpg").unlink()
    code, out, _ = said("check", "--dataset", "celeba", *place)
    assert code == 1
    assert states(out)["images (smile, val)"] == "missing"
    assert "1 of 2 files" in out


def test_thorough_check_reads_the_networks(said, tmp_path, published_state):
    state = published_state("vgg19")
    state["features.0.bias"][0] = float("nan")
    save_file(state, tmp_path / "vgg19.safetensors")
    arguments = ("check", "--dataset", "bdd100k", "--weights", tmp_path, "--format", "json")
    assert states(said(*arguments)[1])["perceptual"] == "ok"
    code, out, _ = said(*arguments, "--thorough")
    assert code == 1
    assert states(out)["perceptual"] == "wrong"


def test_check_of_an_embedded_set_has_nothing_to_say(said):
    assert said("check", "--dataset", "digits")[0] == 0


def test_weights_lists_every_role_with_its_source(said, weights):
    code, out, _ = said("weights", "--weights", weights, "--format", "json")
    assert code == 0
    rows = {(row["dataset"], row["role"], row["card"]): row for row in json.loads(out)}
    prior = rows["celeba", "prior", "celeba-prior"]
    assert prior["state"] == "ok"
    assert prior["file"] == "ddpm-celeba.pt"
    assert "DiME" in prior["where"]
    assert prior["tensors"] == 492
    assert rows["imagenet", "prior", "imagenet-prior"]["state"] == "missing"
    assert rows["celebahq", "perceptual", "vgg19"]["sha256"] == "dcbb9e9d…"


def test_weights_import_then_check(said, tmp_path, published_state):
    path = tmp_path / "checkpoint.tar"
    torch.save({"model_state_dict": published_state("bdd-classifier")}, path)
    root = tmp_path / "weights"
    code, out, _ = said("weights", "import", path, "--as", "bddoia/classifier", "--weights", root)
    assert code == 0
    assert out.strip() == str(root / "bdd-classifier.safetensors")
    out = said("weights", "--dataset", "bdd100k", "--weights", root, "--format", "json")[1]
    row = next(row for row in json.loads(out) if row["role"] == "classifier")
    assert row["state"] == "ok"
    assert len(row["sha256"]) == 64


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("weights", "import", "x.pt", "--as", "celeba-priro"), "did you mean celeba-prior"),
        (("weights", "import", "none.pt", "--as", "celeba-prior"), "none.pt is missing"),
        (("weights", "--dataset", "celebba"), "did you mean celeba"),
        (("check", "--dataset", "celebba"), "did you mean celeba"),
        (("run", "--method", "maskdime", "--dataset", "celeba"), "get img_align_celeba.zip"),
    ],
)
def test_bad_requests_are_one_line_and_code_2(said, arguments, text):
    code, out, err = said(*arguments)
    assert code == 2
    assert not out
    assert text in err
    assert err.count("\n") == 1


def test_run_without_data_says_all_that_is_to_be_fetched_and_where_it_goes(said):
    code, out, err = said("run", "--method", "maskdime", "--dataset", "celeba")
    assert code == 2
    assert not out
    for file in ("img_align_celeba.zip", "ddpm-celeba.pt", "classifier.pth", "vgg19-dcbb9e9d.pth"):
        assert file in err
    assert "Traceback" not in err


def test_another_error_does_not_speak_of_networks(said):
    code, _, err = said("run", "--method", "mskdime", "--dataset", "celeba")
    assert code == 2
    assert "ddpm-celeba.pt" not in err


def test_run_without_weights_names_every_file_at_once(said, celeba_tree, tmp_path, monkeypatch):
    monkeypatch.setenv("VCEBENCH_WEIGHTS", str(tmp_path / "weights"))
    run = ("run", "--method", "maskdime", "--dataset", "celeba", "--data-root", celeba_tree())
    code, _, err = said(*run)
    assert code == 2
    for word in (
        "ddpm-celeba.pt",
        "classifier.pth",
        "vgg19-dcbb9e9d.pth",
        "vcebench weights import",
    ):
        assert word in err
    assert "oracle.pth" not in err
    assert str(tmp_path / "weights") in err
    assert err.count("\n") == 1


def test_celeba_from_images_to_metrics(said, weights, celeba_tree, tmp_path, monkeypatch):
    monkeypatch.setenv("VCEBENCH_WEIGHTS", str(weights))
    output = tmp_path / "run"
    run = ["run", "--method", "maskdime", "--dataset", "celeba", "--data-root", celeba_tree()]
    run += ["--tau", "2", "--batch-size", "2", "--lambda-class", "8", "--output", output]
    code, out, err = said(*run, "--format", "json")
    assert code == 0, err
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["config"]["split"] == "val"
    assert manifest["config"]["settings"]["guidance_scale"] == 8.0
    assert manifest["networks"]["prior"]["name"] == "DiME DDPM, CelebA 128"
    assert len(manifest["networks"]["prior"]["sha256"]) == 64
    for folder in ("inputs", "counterfactuals", "masks"):
        names = sorted(path.name for path in (output / folder).iterdir())
        assert names == ["162771.png", "162772.png"]
    assert (output / "contact-sheet.png").exists()
    assert len(list((output / "shards").glob("*.parquet"))) == 1
    row = json.loads((output / "metrics.json").read_text())
    text = json.dumps(row)
    for backbone in ("SimSiam", "DenseNet-121, DiVE/DiME"):
        assert backbone in text
    assert json.loads(out)
