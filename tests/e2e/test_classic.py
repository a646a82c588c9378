"""DiVE and STEEX as a person starts them, with networks that nobody trained."""

import json

import pytest
import torch

from vcebench.cli import main
from vcebench.data.registry import open_dataset
from vcebench.folders.runfolder import RunFolder
from vcebench.models import shipped
from vcebench.models.small import build_network
from vcebench.weights.shipped import save_network, sha256

CODED = {"code": 8, "widths": [8, 8], "hidden": 16, "size": [32, 32], "questions": ["3-8", "4-9"]}
PAINTED = {"code": 4, "features": [8, 8, 8], "widths": [8, 8, 8]}
KINDS = {
    "digits": ("autoencoder", "residual-autoencoder", CODED),
    "synthfaces": ("segments", "semantic-autoencoder", PAINTED),
}


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """Assets with untrained networks of codes beside the shipped ones."""
    for dataset, (role, architecture, config) in KINDS.items():
        folder = tmp_path / "assets" / dataset
        folder.mkdir(parents=True)
        for path in (shipped.ASSETS / dataset).glob("*.safetensors"):
            (folder / path.name).symlink_to(path)
        if role == "segments":
            config = config | {"regions": list(open_dataset(dataset, "smile").regions)}
        torch.manual_seed(0)
        network = build_network(architecture, config)
        if role == "autoencoder":
            found = torch.rand(2, 8, 8)
            network.fisher.copy_(found + found.transpose(1, 2))
        (folder / f"{role}.safetensors").unlink(missing_ok=True)
        save_network(folder / f"{role}.safetensors", network, architecture, config, {})
    monkeypatch.setattr(shipped, "ASSETS", tmp_path / "assets")
    return tmp_path / "assets"


def run(tmp_path, method, dataset, *more):
    folder = tmp_path / method
    asked = ["run", "--method", method, "--dataset", dataset, "--output", str(folder)]
    code = main([*asked, "--threads", "1", "--batch-size", "2", "--limit", "2", *more])
    return code, RunFolder(folder)


@pytest.mark.parametrize(("method", "most"), [("dive", 60), ("dive-fisher-inv", 6)])
def test_codes_are_moved_in_one_try(tmp_path, networks, method, most):
    more = ["--set", "explanations=3", "--trace", "1"]
    if "fisher" in method:
        more += ["--set", "iterations=2"]
    code, folder = run(tmp_path, method, "digits", *more)
    assert code == 0
    rows = folder.rows()
    assert [row.tries for row in rows] == [1, 1]
    assert all(0 < row.nfe <= most and row.backward == row.nfe for row in rows)
    assert all(row.lambda_class is None for row in rows)
    steps = folder.trace(rows[0])
    assert len(steps["z"]) == len(steps["x_t"]) >= rows[0].nfe // 3
    stored = folder.manifest()["networks"]["autoencoder"]["sha256"]
    assert stored == sha256(networks / "digits/autoencoder.safetensors")


def test_the_look_of_a_named_region_is_moved(tmp_path, networks):
    settings = ["--set", "iterations=2", "--set", "regions=mouth,skin"]
    code, folder = run(tmp_path, "steex", "synthfaces", *settings)
    assert code == 0
    assert [row.nfe for row in folder.rows()] == [2, 2]


def test_a_region_that_no_picture_has_is_refused(tmp_path, networks, capsys):
    code, _ = run(tmp_path, "steex", "synthfaces", "--set", "regions=mouht")
    assert code != 0
    assert "did you mean 'mouth'" in capsys.readouterr().err


def test_less_than_full_precision_is_refused(tmp_path, networks, capsys):
    code, _ = run(tmp_path, "dive", "digits", "--precision", "bf16")
    assert code != 0
    assert "--precision exact or fast" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "dataset", "said"),
    [
        ("steex", "digits", "no segments network ships for digits 3-8"),
        ("dive", "synthroads", "no autoencoder network ships for synthroads"),
    ],
)
def test_what_a_data_set_has_not_is_said(tmp_path, method, dataset, said, capsys):
    code, _ = run(tmp_path, method, dataset)
    assert code != 0
    assert said in capsys.readouterr().err


def test_they_are_listed_with_their_costs(capsys):
    assert main(["list", "methods", "--format", "json"]) == 0
    listed = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed["dive-100"]["fixed"] == {"iterations": 100}
    assert "decoder" in listed["dive"]["nfe"]
    assert "pick" in listed["dive"]["parameters"]
