"""Textual inversion of TiME's release: rows and gradients of new words, iteration by iteration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from latent_miniatures import write_folder
from safetensors import safe_open
from torch import Tensor

from vcebench.models.latent_files import load_latent
from vcebench.training.inversion import InversionSettings, Learner, NewWords, entry

TIME = Path(__file__).parent / "golden/latent/time"
TOLERANCE = 1e-5
WORDS = {
    "ctx": (("|<C*1>|", "|<C*2>|"), ("photo", "face")),
    "neg": (("|<AN*1>|", "|<AN*2>|"), ("serious", "serious")),
}


def _golden(name: str) -> tuple[dict[str, Tensor], dict[str, object]]:
    with safe_open(str(TIME / f"{name}.safetensors"), framework="pt") as file:
        meta = json.loads(file.metadata()["meta"])
        return {key: file.get_tensor(key) for key in file.keys()}, meta  # noqa: SIM118


@pytest.mark.parametrize("run", ["ctx", "neg"])
def test_rows_follow_the_released_program(run: str, tmp_path: Path) -> None:
    golden, meta = _golden(f"tokens_{run}")
    model = load_latent(write_folder(tmp_path))
    model = replace(model, chain=replace(model.chain, product="float32"))
    assert model.words is not None
    if run == "neg":  # the context's words are there before
        model.words.learn(dict(zip(WORDS["ctx"][0], golden["context_rows"], strict=True)))
    words, begin = WORDS[run]
    settings = InversionSettings(rate=1e-2, batch=4)
    learner = Learner(model, NewWords(run, words, begin, ()), settings)
    assert model.words.tokenizer.convert_tokens_to_ids(list(words)) == golden["token_ids"].tolist()
    torch.testing.assert_close(learner.rows.detach(), golden["embedding_rows"][0], rtol=0, atol=0)
    first = 0
    for step, parts in enumerate(meta["settings"]["mini_batches"]):  # type: ignore[index]
        rows = slice(first, first + sum(parts))
        first = rows.stop
        mean, log_variance = model.autoencoder.encode(golden["images"][rows])  # type: ignore[operator]
        spread = golden["noise_vae"][rows].float()
        z = model.scaling * (mean + (0.5 * log_variance).exp() * spread)
        noise = golden["noise_diffusion"][rows].float()
        learner.step(z, golden["input_ids"][rows], golden["timesteps"][rows], noise, parts[0])
        assert learner.rows.grad is not None
        wanted, decay = golden["gradient_rows"][step], 1e-4 * golden["embedding_rows"][step]
        largest = max(1.0, float(wanted.abs().max()))
        assert float((learner.rows.grad + decay - wanted).abs().max()) <= TOLERANCE * largest
        found = learner.rows.detach()
        assert float((found - golden["embedding_rows"][step + 1]).abs().max()) <= TOLERANCE


def test_a_word_that_is_no_entry_begins_as_the_end_token(tmp_path: Path) -> None:
    words = load_latent(write_folder(tmp_path)).words
    assert words is not None
    assert entry(words, "photo") == words.tokenizer.get_vocab()["photo</w>"]
    assert entry(words, "unphotographed") == 192
