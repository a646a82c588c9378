"""What was made before the harness moved into rooms still works: a run folder, configurations.

`before/run` is `vcebench run --method maskdime --dataset digits --limit 3 --tau 12`, and
`before/configurations.json` the hashes of every method's configurations, both made at 93e2d2c.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vcebench.cli import main
from vcebench.settings.config import build_config
from vcebench.settings.custom import CustomTask
from vcebench.settings.request import Request, resolve

BEFORE = Path(__file__).with_name("before")
PINS: dict[str, str] = json.loads((BEFORE / "configurations.json").read_text())
RUN = ["run", "--method", "maskdime", "--dataset", "digits", "--limit", "3", "--tau", "12"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BEFORE / "run", tmp_path / "run"))


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "counterfactuals").iterdir()}


def test_an_old_run_is_finished_for_the_same_command(run: Path, capsys) -> None:
    before = pictures(run)
    assert main([*RUN, "--output", str(run)]) == 0
    assert pictures(run) == before
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["sittings"][0]["images"] == 3
    assert len(list((run / "shards").iterdir())) == 1


def test_an_old_run_is_made_again(tmp_path: Path, run: Path) -> None:
    assert main([*RUN, "--output", str(tmp_path / "again")]) == 0
    for path in (run / "counterfactuals").iterdir():
        made_again = tmp_path / "again" / "counterfactuals" / path.name
        before, after = (np.asarray(Image.open(file)) for file in (path, made_again))
        # Bit-equal where it was made; other processors round otherwise.
        assert (before == after).mean() >= 0.999


def test_an_old_run_is_evaluated_to_the_same_figures(run: Path) -> None:
    before = pd.read_parquet(run / "per-image.parquet")
    assert main(["evaluate", str(run)]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(run / "per-image.parquet"), before)


@pytest.mark.parametrize("command", ["report", "table", "figures"])
def test_an_old_run_is_read(command: str, run: Path, tmp_path: Path) -> None:
    words = {
        "report": ["report", str(run), "-o", str(tmp_path / "site")],
        "table": ["table", "3", "--runs", str(run.parent)],
        "figures": ["figures", str(run), "-o", str(tmp_path / "figures")],
    }
    assert main(words[command]) == 0


@pytest.mark.parametrize("name", [name for name in PINS if not name.startswith("leaves")])
def test_hashes_of_configurations_stay(name: str) -> None:
    dataset, task, method = name.split()
    config, _ = resolve(Request(method=method, dataset=dataset, task=task, device="cpu"))
    assert config.digest() == PINS[name]


def test_the_hash_of_an_own_task_stays() -> None:
    own = CustomTask(
        name="leaves",
        target="healthy",
        data={"folder": "/data/images", "size": 64, "classes": ("healthy", "rust")},
        classifier={"factory": "leaves_model:build", "folder": "/data"},
        prior={"trained": "/data/prior.safetensors"},
    )
    config = build_config(
        method="maskdime", dataset="leaves", task="own", limit=8, custom=own.model_dump(mode="json")
    )
    assert config.digest() == PINS["leaves own maskdime"]
