"""Every kind of method among latents through the commands, on a miniature Stable Diffusion."""

from __future__ import annotations

from pathlib import Path

import pytest
from latent_miniatures import write_folder
from owntask import OwnTask

from vcebench.folders.runfolder import RunFolder

FEW = {
    "ldce-txt": ("--set", "chain=10", "--tau", "2"),
    "time": ("--set", "chain=10", "--set", "lengths=1,2", "--prompt-source", "a dog"),
    "latent-identity": (),
}
NFE = {"ldce-txt": {4}, "time": {8, 24}, "latent-identity": {0}}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> OwnTask:
    path = tmp_path_factory.mktemp("latent") / "own"
    task = OwnTask(path).images(1)
    write_folder(path / "sd")
    words = 'prompts = ["a photo of a dog", "a photo of a cat"]'
    section = f'[latent]\nstable_diffusion = "sd"\n{words}\n'
    task.toml(classifier=f'factory = "clf:build"\n{section}')
    text = task.config.read_text()
    task.config.write_text(text[: text.index("[run]")])
    return task


@pytest.mark.parametrize("method", FEW)
def test_a_plan_and_its_run(
    task: OwnTask, tmp_path: Path, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = FEW[method] + (("--prompt-target", "a cat") if method == "time" else ())
    command = ("--config", task.config, "--method", method, "--limit", "2", *words)
    assert task.call("run", *command, "--output", tmp_path / "run", "--dry-run") == 0
    assert "evaluations" in capsys.readouterr().out
    assert task.call("run", *command, "--output", tmp_path / "run") == 0
    rows = list(RunFolder(tmp_path / "run").rows())
    assert {row.nfe for row in rows} <= NFE[method]
    assert {row.lambda_class for row in rows} == {None}


def test_a_classifier_without_convolutions_is_refused_before_anything_is_made(
    task: OwnTask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("--config", task.config, "--method", "eced-v", "--limit", "2")
    assert task.call("run", *command, "--output", tmp_path / "run") == 2
    assert "the classifier has no convolution; use" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
