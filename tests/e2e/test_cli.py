"""The command line as a person uses it: results, refusals, continuation."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from vcebench.cli import main
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.store import open_store
from vcebench.methods.registry import METHODS
from vcebench.metrics.registry import METRICS
from vcebench.models.shipped import ASSETS

RUN = ("run", "--method", "maskdime", "--dataset", "digits")
SHORT = (*RUN, "--tau", "6", "--batch-size", "4")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def vcebench(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "vcebench.cli", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdout=pipe, stderr=pipe, text=True, env=ENVIRONMENT, **options
    )


def images(folder: Path) -> dict[str, bytes]:
    kinds = ("inputs", "counterfactuals", "masks")
    return {f"{k}/{p.name}": p.read_bytes() for k in kinds for p in (folder / k).iterdir()}


def results(folder: Path) -> list[dict[str, Any]]:
    return [{**vars(row), "seconds": 0} for row in RunFolder(folder).rows()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run from beginning to end."""
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert main([*SHORT, "--limit", "12", "--output", str(folder)]) == 0
    return folder


def test_run_prints_one_json_document_and_makes_the_pictures(tmp_path: Path) -> None:
    process = vcebench(*SHORT, "--limit", "3", "--format", "json", cwd=tmp_path)
    out, err = process.communicate()
    assert process.returncode == 0, err
    document = json.loads(out)
    assert [record["id"] for record in document["metrics"]] == list(METRICS)
    assert document["protocol"] == "ace-2023/1"
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("digits-3-8-maskdime-")
    names = {path.name for path in folder.iterdir()}
    assert {"manifest.json", "contact-sheet.png", "metrics.parquet", "metrics.json"} <= names
    assert len(list((folder / "counterfactuals").iterdir())) == 3
    assert "run folder" in err


def test_evaluate_gives_the_numbers_of_the_run(
    undisturbed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = json.loads((undisturbed / "metrics.json").read_text())
    assert main(["evaluate", str(undisturbed), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == stored


def test_the_same_command_makes_nothing_again(
    undisturbed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (undisturbed / "shards").iterdir()}
    assert main([*SHORT, "--limit", "12", "--output", str(undisturbed), "--format", "csv"]) == 0
    assert {path: path.stat().st_mtime_ns for path in (undisturbed / "shards").iterdir()} == before
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["id"] for row in rows] == list(METRICS)


def committed(folder: Path) -> int:
    return len(list((folder / "shards").glob("[0-9]*.parquet")))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "Ctrl-C"])
def test_a_run_continues_where_it_was_stopped(
    undisturbed: Path, tmp_path: Path, how: signal.Signals
) -> None:
    folder = tmp_path / "run"
    command = (*SHORT, "--limit", "12", "--output", str(folder))
    process = vcebench(*command)
    while process.poll() is None and committed(folder) < 1:
        time.sleep(0.01)
    process.send_signal(how)
    _, err = process.communicate()
    if how is signal.SIGINT and process.returncode != 0:
        assert process.returncode == 130
        assert err.splitlines()[-1].endswith("of 12 images; the same command continues")
    assert main(list(command)) == 0
    assert results(folder) == results(undisturbed)
    assert images(folder) == images(undisturbed)


def test_a_second_process_on_the_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest: dict[str, Any] = {"config": {}, "networks": {}}
    with open_store(tmp_path / "run", manifest):
        assert main([*SHORT, "--output", str(tmp_path / "run")]) == 2
    assert f"is in use by process {os.getpid()}" in capsys.readouterr().err


def test_a_subset_is_made_of_the_same_bits(undisturbed: Path, tmp_path: Path) -> None:
    assert main([*SHORT, "--limit", "5", "--output", str(tmp_path / "run")]) == 0
    part, whole = images(tmp_path / "run"), images(undisturbed)
    assert part == {name: whole[name] for name in part}


@pytest.mark.parametrize("batch_size", ["1", "7", "64"])
def test_batch_size_changes_almost_no_pixel_and_no_flip(
    undisturbed: Path, tmp_path: Path, batch_size: str
) -> None:
    command = [*SHORT, "--limit", "5", "--batch-size", batch_size]
    assert main([*command, "--output", str(tmp_path / "run")]) == 0
    here, there = RunFolder(tmp_path / "run"), RunFolder(undisturbed)
    rows = here.rows()
    assert [row.flipped for row in rows] == [row.flipped for row in there.rows()[:5]]
    same = here.images("counterfactuals", rows) == there.images("counterfactuals", rows)
    assert same.float().mean() >= 0.999


def test_a_changed_configuration_is_refused_with_the_difference(
    undisturbed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = [*SHORT, "--limit", "12", "--seed", "1", "--output", str(undisturbed)]
    assert main(changed) == 2
    assert "seed: 0 → 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--method", "mskdime", "--dataset", "digits"), "did you mean 'maskdime'"),
        (("run", "--method", "maskdime", "--dataset", "digts"), "digits"),
        ((*RUN, "--task", "3-9"), "3-8"),
        ((*RUN, "--top-k", "0"), "use a number in (0, 1]"),
        ((*RUN, "--rho", "1.01"), "use a number in (0, 1]"),
        ((*RUN, "--top-k", "nan"), "use a number in (0, 1]"),
        ((*RUN, "--tau", "201"), "schedule has 200 steps; use 1 … 200"),
        ((*RUN, "--tau", "x"), "--tau"),
        ((*RUN, "--set", "colour=red"), "it has tau"),
        ((*RUN, "--lambda-class", "8,x"), "give numbers such as 8,10,15"),
        ((*RUN, "--batch-size", "0"), "--batch-size"),
        ((*RUN, "--precision", "double"), "--precision"),
        ((*RUN, "--output", "/dev/null/run"), "give another --output"),
        (("run", "--dataset", "digits"), "--method"),
        (("evaluate", "nowhere"), "is not a run folder"),
        (("list", "nothing"), "methods"),
        (("rum",), "run"),
        (("train", "digts"), "digits"),
        (("show", "digts"), "digits"),
    ],
    ids=lambda value: " ".join(value)[-24:] if isinstance(value, tuple) else "",
)
def test_a_bad_request_is_one_line_on_stderr(
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_device_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN, "--device", "cuda"]) == 2
    assert "use --device cpu" in capsys.readouterr().err


def test_nan_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assets = tmp_path / "assets" / "digits"
    shutil.copytree(ASSETS / "digits", assets)
    path = assets / "classifier.safetensors"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    next(iter(tensors.values())).view(-1)[0] = torch.nan
    save_file(tensors, path, metadata)
    monkeypatch.setattr("vcebench.models.shipped.ASSETS", tmp_path / "assets")
    assert main([*RUN, "--output", str(tmp_path / "run")]) == 2
    assert "holds NaN or infinity" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_list_methods_has_parameters_and_references(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "methods", "--format", "json"]) == 0
    listed = {entry["id"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(METHODS)
    assert listed["maskdime"]["parameters"]["top_k"]["default"] == 0.05
    assert "Eq" in listed["maskdime"]["reference"]
    assert listed["maskdime-rho1"]["fixed"] == {"rho": 1.0}


@pytest.mark.parametrize("what", ["methods", "datasets", "metrics", "presets"])
@pytest.mark.parametrize("form", ["github", "csv", "json", "latex"])
def test_every_list_prints_in_every_format(
    what: str, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["list", what, "--format", form]) == 0
    out, err = capsys.readouterr()
    assert "digits" in out or "maskdime" in out or "fid" in out
    assert err == ""


def test_presets_of_methods_are_listed_with_their_source(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list", "presets", "--format", "json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    (one,) = [r for r in listed if (r["method"], r["dataset"]) == ("ace-l1", "imagenet")]
    assert one["settings"] == {"respacing": 25, "iterations": 100}
    assert (one["task"], one["batch_size"]) == ("(others)", 1)
    assert one["source"].startswith("released scripts of ACE")
    shared = next(row for row in listed if (row["dataset"], row["method"]) == ("celeba", "(all)"))
    assert shared["settings"]["guidance_scale"] == 8
    assert shared["lambda_class"] == "8, 10, 15"
    assert main(["list", "presets"]) == 0
    assert "respacing=25, iterations=100" in capsys.readouterr().out


def test_show_draws_a_sheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "digits", "--output", str(tmp_path / "d.png")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'd.png'}\n"
    assert (tmp_path / "d.png").stat().st_size > 1000


@pytest.mark.parametrize(
    "command",
    [(), ("run",), ("evaluate",), ("list",), ("train",), ("show",), ("merge",), ("submit",)],
)
def test_help_teaches_without_loading_torch(command: tuple[str, ...]) -> None:
    code = (
        "import sys; from vcebench.cli import main\n"
        f"code = main([*{command!r}, '--help'])\n"
        "sys.exit(code or ('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "vcebench" in done.stdout
    assert "Examples" in done.stdout or not command


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("vcebench 0.")
