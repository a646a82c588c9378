"""Learning words goes on where it was interrupted, to the same rows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from latent_miniatures import write_folder
from torch import Tensor

from vcebench.models.latent_files import load_latent
from vcebench.training import inversion
from vcebench.training.inversion import InversionSettings, Learner, NewWords, learn

NEW = NewWords("both", ("<a>", "<b>"), ("photo", "face"), ("A <a> <b> photo", "A <a> photo"))
SETTINGS = InversionSettings(iterations=4, batch=2, rate=1e-2)


def _latents() -> Tensor:
    return torch.randn(3, 8, 8, 8, generator=torch.Generator().manual_seed(0)).half()


def _learnt(folder: Path, checkpoint: Path, images: str = "these") -> dict[str, Tensor]:
    model = load_latent(folder)
    inputs = {"images": images}
    return learn(model, NEW, _latents(), SETTINGS, checkpoint, inputs=inputs, progress=False)


def test_an_interrupted_training_gives_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_folder(tmp_path / "sd")
    whole = _learnt(folder, tmp_path / "whole")
    monkeypatch.setattr(inversion, "SAVE_SECONDS", 0)
    step, taken = Learner.step, []

    def failing(self: Learner, *arguments: Tensor) -> float:
        if len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(1)
        return step(self, *arguments)

    monkeypatch.setattr(Learner, "step", failing)
    with pytest.raises(KeyboardInterrupt):
        _learnt(folder, tmp_path / "parts")
    taken.clear()
    parts = _learnt(folder, tmp_path / "parts")
    assert len(taken) == 2
    assert all(torch.equal(parts[word], row) for word, row in whole.items())


def test_a_state_of_other_images_or_a_damaged_one_is_begun_anew(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "sd")
    state = tmp_path / "state"
    rows = _learnt(folder, state)
    state.write_bytes(state.read_bytes()[:100])
    again = _learnt(folder, state)
    assert all(torch.equal(again[word], row) for word, row in rows.items())
    others = _learnt(folder, state, images="others")
    assert all(torch.equal(others[word], row) for word, row in rows.items())


def test_only_the_new_rows_move(tmp_path: Path) -> None:
    model = load_latent(write_folder(tmp_path / "sd"))
    assert model.words is not None
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    table = model.words.encoder.get_input_embeddings().weight.clone()
    rows = learn(model, NEW, _latents(), SETTINGS, tmp_path / "s", inputs={}, progress=False)
    after = model.words.encoder.get_input_embeddings().weight
    assert torch.equal(after[: len(table)], table)
    assert all(torch.equal(v, before[k]) for k, v in model.network.state_dict().items())
    assert torch.equal(after[len(table) :], torch.stack([rows["<a>"], rows["<b>"]]))
    assert not torch.equal(rows["<a>"], table[model.words.tokenizer.get_vocab()["photo</w>"]])
