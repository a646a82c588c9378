"""Training of a latent diffusion model: captions, stages that are not repeated, what is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPTokenizer

from vcebench.data.synthfaces.dataset import SynthFaces
from vcebench.data.synthfaces.scm import INDEX
from vcebench.methods.core.schedule import scaled_linear_schedule
from vcebench.models.latent_files import load_latent
from vcebench.models.shipped import ASSETS
from vcebench.settings.prompts import prompts_of
from vcebench.training import latent_recipes
from vcebench.training.captions import LENGTH, WORDS, captions, write_tokenizer
from vcebench.training.card import write_model_card
from vcebench.training.latent import alphas_cumprod
from vcebench.training.latent_figures import latent_figures, reconstruction_figures
from vcebench.training.latent_part import LatentPart, train_latent
from vcebench.training.loop import LoopSettings


def _tokenizer(folder: Path) -> CLIPTokenizer:
    write_tokenizer(folder)
    return CLIPTokenizer.from_pretrained(folder)


def test_every_word_is_one_token_of_303(tmp_path: Path) -> None:
    tokenizer = _tokenizer(tmp_path)
    assert len(tokenizer) == 303
    assert all(len(tokenizer(word)["input_ids"]) == 3 for word in WORDS)
    assert tokenizer("A Photo")["input_ids"] == tokenizer("a photo")["input_ids"]


def test_captions_are_true_and_fit(tmp_path: Path) -> None:
    tokenizer = _tokenizer(tmp_path)
    attributes = SynthFaces(split="train").factors(range(200)).attributes
    written = captions(attributes, 4, np.random.default_rng(0))
    assert written == captions(attributes, 4, np.random.default_rng(0))
    seen = set()
    for row, texts in zip(attributes, written, strict=True):
        for text in texts:
            words = text.replace("non-smiling", "serious").split()
            assert len(tokenizer(text)["input_ids"]) <= LENGTH
            assert ("smiling" not in words) or row[INDEX["Smiling"]]
            assert ("serious" not in words) or not row[INDEX["Smiling"]]
            assert ("young" not in words) or row[INDEX["Young"]]
            assert ("woman" not in words) or not row[INDEX["Male"]]
            assert ("hat" not in words) or row[INDEX["Wearing_Hat"]]
            assert ("eyeglasses" not in words) or row[INDEX["Eyeglasses"]]
            seen |= set(words)
    assert {"smiling", "serious", "old", "man", "person", "hat", "beard", "portrait"} <= seen


def test_the_chain_is_stable_diffusions() -> None:
    wanted = scaled_linear_schedule(0.00085, 0.012, 1000, 0, "float32").alphas_cumprod
    assert torch.equal(alphas_cumprod().double(), torch.from_numpy(wanted))


def _short(part: LatentPart, steps: int = 2) -> LatentPart:
    def few(settings: LoopSettings) -> LoopSettings:
        return replace(settings, steps=steps, warmup=1)

    return replace(part, first=few(part.first), second=few(part.second), batches=(2, 2), floors={})


@pytest.mark.parametrize("kind", ["faces", "digits"])
def test_both_stages_are_stored_and_not_repeated(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(latent_recipes, "PICTURES", 8)
    build = latent_recipes.faces_part if kind == "faces" else latent_recipes.digits_part
    part = _short(build())
    pictures = part.pictures()[:8]
    part = replace(part, pictures=lambda: pictures)
    if kind == "digits":
        told = part.reader.conditions(tmp_path)
        reader = replace(part.reader, conditions=lambda folder: told._replace(ids=told.ids[:8]))
        part = replace(part, reader=reader)
    path = train_latent(kind, part, tmp_path)
    said = capsys.readouterr().err
    assert "latent-vae" in said
    assert "latent-unet" in said
    card = json.loads(path.read_text())
    assert card["vae"]["recipe"] == part.recipe("vae")
    assert not list((tmp_path / "state").glob("*"))
    before = (tmp_path / "latent/unet/diffusion_pytorch_model.safetensors").read_bytes()
    train_latent(kind, part, tmp_path)
    assert "step" not in capsys.readouterr().err
    train_latent(kind, replace(part, second=replace(part.second, steps=3)), tmp_path)
    said = capsys.readouterr().err
    assert "latent-vae" not in said
    assert (tmp_path / "latent/unet/diffusion_pytorch_model.safetensors").read_bytes() != before
    model = load_latent(tmp_path / "latent")
    if kind == "faces":
        assert model.words is not None
        assert model.words.contexts(["a photo of a smiling person"]).shape == (1, 24, 64)
    else:
        assert model.told_classes([3, 8]).contexts[8].shape == (1, 32)
    text = write_model_card(kind, "Text.", tmp_path, latent_floors={"psnr": 30.0}).read_text()
    assert "## `latent/`: latent diffusion with" in text
    assert "psnr at least 30: **not reached**" in text
    assert model.scaling == pytest.approx(model.autoencoder.network.config.scaling_factor)  # type: ignore[union-attr]


def test_reconstructions_are_measured() -> None:
    x = torch.zeros(2, 3, 16, 16)
    figures = reconstruction_figures(x, x + 0.02)
    assert figures["psnr"] == pytest.approx(40.0, abs=1e-3)
    assert figures["pixel_l1"] == pytest.approx(0.01)
    assert figures["colour_l1"] == pytest.approx(0.01)
    fine = x.clone()
    fine[..., ::2] = 0.02
    fine[..., 1::2] = -0.02
    assert reconstruction_figures(x, fine)["colour_l1"] == pytest.approx(0.0, abs=1e-7)


def test_what_is_said_of_the_tasks_is_in_the_vocabulary(tmp_path: Path) -> None:
    from vcebench.data.registry import dataset_entry

    tokenizer = _tokenizer(tmp_path)
    for task in dataset_entry("synthfaces").tasks:
        if task.attribute == "patch":
            continue
        for prompt in prompts_of(task).values():
            words = prompt.replace("-", " - ").split()
            assert len(tokenizer(prompt)["input_ids"]) == len(words) + 2, prompt


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "tasks"), [("synthfaces", ("smile", "age")), ("digits", ("3-8",))]
)
def test_shipped_models_keep_their_floors(dataset: str, tasks: tuple[str, ...]) -> None:
    folder = ASSETS / dataset / "latent"
    if not folder.is_dir():
        pytest.skip(f"no latent model ships for {dataset} yet")
    build = latent_recipes.faces_part if dataset == "synthfaces" else latent_recipes.digits_part
    if dataset == "synthfaces":
        from vcebench.training.faces import faces

        images = faces("test", 64)[0]
    else:
        from vcebench.data.digits import arrays

        images = arrays("test")[0][:64]
    drawn = images if dataset == "synthfaces" else latent_recipes.threes_and_eights()[:64]
    figures = latent_figures(folder, images, dataset, tasks, drawn)
    for name, floor in build().floors.items():
        if name == "psnr":
            assert figures[name] >= floor - 0.5
        else:
            assert figures[name] >= floor - 3 * (floor * (1 - floor) / 64) ** 0.5
