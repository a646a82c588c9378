"""Methods among latents from the command line, with a miniature Stable Diffusion of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from latent_miniatures import write_folder
from owntask import OwnTask
from PIL import Image
from safetensors import safe_open

PROMPTS = 'prompts = ["a photo of a dog", "a photo of a cat"]'
SHORT = ("--set", "chain=10", "--tau", "2")


def _task(path: Path, latent: str = PROMPTS) -> OwnTask:
    task = OwnTask(path).images(1)
    write_folder(path / "sd")
    section = f'[latent]\nstable_diffusion = "sd"\n{latent}\n'
    return task.toml(classifier=f'factory = "clf:build"\n{section}')


def _without_run(task: OwnTask) -> OwnTask:
    """The file without its [run] table, which is of a method in pixels."""
    text = task.config.read_text()
    task.config.write_text(text[: text.index("[run]")])
    return task


def test_a_run_reads_a_folder_and_prompts_of_ones_own(tmp_path: Path) -> None:
    task = _without_run(_task(tmp_path / "own"))
    command = ("run", "--config", task.config, "--method", "ldce-txt", *SHORT, "--limit", "2")
    first, second = tmp_path / "first", tmp_path / "second"
    assert task.call(*command, "--output", first) == 0
    words = ("--prompt-source", "a dog", "--prompt-target", "a face")
    assert task.call(*command, *words, "--output", second) == 0
    manifests = [json.loads((f / "manifest.json").read_text()) for f in (first, second)]
    assert [m["config"].get("prompts") for m in manifests] == [None, ["a dog", "a face"]]
    assert len(list(first.rglob("*.png"))) == len(list(second.rglob("*.png"))) > 0


def test_check_looks_at_the_latent_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = _task(tmp_path / "own")
    task.call("check", "--config", task.config)
    assert "latent: sd, reads prompts" in capsys.readouterr().out
    (task.path / "sd" / "tokenizer" / "merges.txt").unlink()
    assert task.call("check", "--config", task.config) == 1
    assert "has no vocab.json and merges.txt" in capsys.readouterr().out


def test_words_are_prepared_and_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = _without_run(_task(tmp_path / "own", 'tokens = "words.safetensors"'))
    words = task.path / "words.safetensors"
    few = ("--iterations", "2", "--batch-size", "2", "--rate", "0.01")
    prepare = ("prepare", "time", "--config", task.config, "--output", words, *few)
    assert task.call(*prepare) == 0
    with safe_open(str(words), framework="pt") as file:
        rows = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    assert len(rows) == 9
    assert not list(task.path.glob(".*state*"))
    once = words.read_bytes()
    assert task.call(*prepare) == 0
    assert words.read_bytes() == once
    assert capsys.readouterr().out.splitlines() == [str(words)] * 2
    output = tmp_path / "run"
    run = ("run", "--config", task.config, "--method", "time", "--set", "chain=10")
    assert task.call(*run, "--set", "lengths=2,3", "--limit", "1", "--output", output) == 0


def test_what_a_prompt_shows_is_drawn(tmp_path: Path) -> None:
    task = _task(tmp_path / "own")
    output = tmp_path / "drawn.png"
    said = ("show", "--config", task.config, "--prompt", "a photo of a dog")
    assert task.call(*said, "--output", output) == 0
    with Image.open(output) as picture:
        assert picture.width > picture.height > 16


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--prompt-source", "a"), "go together"),
        (("--prompt-source", "a", "--prompt-target", "b", "--method", "maskdime"), "no prompts"),
    ],
)
def test_prompts_that_nobody_reads_are_refused(
    words: tuple[str, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = _task(tmp_path / "own")
    assert task.run("--method", "ldce-txt", *words) == 2
    assert said in capsys.readouterr().err


def test_without_prompts_or_weights_one_sentence_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = _without_run(_task(tmp_path / "own", ""))
    run = ("run", "--config", task.config, "--method", "ldce-txt", *SHORT)
    assert task.call(*run, "--output", tmp_path / "run") == 2
    assert "[latent] needs prompts" in capsys.readouterr().err
    monkeypatch.setenv("VCEBENCH_WEIGHTS", str(tmp_path / "nothing"))
    assert task.call("prepare", "time", "--dataset", "celebahq") == 2
    error = capsys.readouterr().err
    assert "miniSD.ckpt" in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.parametrize("dataset", ["synthroads", "celeba"])
def test_a_set_without_a_latent_model_says_which_has_one(
    dataset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "drawn.png"
    task = OwnTask(tmp_path / "own")
    assert task.call("show", dataset, "--prompt", "a photo", "--output", output) == 2
    assert "use synthfaces" in capsys.readouterr().err
    assert not output.exists()
