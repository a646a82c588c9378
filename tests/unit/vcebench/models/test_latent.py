"""Latent diffusion models from folders and single files, against published networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from latent_miniatures import (
    NULL,
    checkpoint,
    embedding,
    layout,
    tensors,
    write_folder,
    write_tokenizer,
)
from safetensors.torch import save_file

from vcebench.errors import UserError
from vcebench.models.latent import LatentModel
from vcebench.models.latent_files import load_latent
from vcebench.models.latent_layouts import CLASS_CONDITIONAL_IMAGENET, STABLE_DIFFUSION_1

TOLERANCE = 1e-5


def _close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    largest = max(1.0, float(wanted.abs().max()))
    assert float((found - wanted).abs().max()) <= TOLERANCE * largest


def _check(model: LatentModel, kind: str) -> None:
    """The forward passes that the networks' files come with."""
    wanted = tensors(f"forward_check_{kind}")
    with torch.no_grad():
        _close(model.network(wanted["z"], wanted["t"], wanted["context"]), wanted["unet_output"])
        mean, log_variance = model.autoencoder.encode(wanted["image"])  # type: ignore[operator]
        decoded = model.autoencoder.decode(wanted["z"] / model.scaling)  # type: ignore[operator]
    _close(decoded, wanted["decoded"])
    if kind == "cls":
        _close(mean, wanted["encoded"])
        assert bool(torch.isneginf(log_variance).all())
    else:
        _close(mean, wanted["posterior_mean"])
        _close((0.5 * log_variance).exp(), wanted["posterior_std"])


@pytest.mark.parametrize("kind", ["txt", "cls"])
def test_a_folder_gives_the_published_networks(kind: str, tmp_path: Path) -> None:
    _check(load_latent(write_folder(tmp_path, kind)), kind)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize("kind", ["txt", "cls"])
def test_a_single_file_gives_the_same(kind: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    state = checkpoint(kind)
    if suffix == ".ckpt":
        torch.save({"state_dict": state, "global_step": 3}, path)
    else:
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    write_tokenizer(tmp_path)
    model = load_latent(path, layout(kind))
    _check(model, kind)
    if kind == "txt":
        folder = load_latent(write_folder(tmp_path / "folder"))
        assert model.words is not None
        assert folder.words is not None
        said = ["a photo of the thing", ""]
        assert torch.equal(model.words.contexts(said), folder.words.contexts(said))
    else:
        assert torch.equal(model.told_classes([3, 7]).contexts[7], embedding()[7:8])
        assert torch.equal(model.told_classes([3]).null, embedding()[NULL:])


def test_prompts_are_padded_to_the_length_of_the_encoder_and_cut(tmp_path: Path) -> None:
    words = load_latent(write_folder(tmp_path)).words
    assert words is not None
    ids = words.ids(["", "photo " * 40])
    assert ids.shape == (2, 24)
    assert ids[0].tolist() == [191, *[192] * 23]
    assert ids[1, -1] == 192


def test_learned_words_have_the_rows_they_were_given(tmp_path: Path) -> None:
    model = load_latent(write_folder(tmp_path))
    words = model.words
    assert words is not None
    before = words.contexts(["a photo"])
    row = torch.linspace(-1, 1, 32)
    words.learn({"<new>": row})
    ids = words.ids(["a <new> photo"])
    assert 193 in ids[0].tolist()
    assert torch.equal(words.encoder.get_input_embeddings().weight[193], row)
    assert torch.equal(words.contexts(["a photo"]), before)
    with pytest.raises(UserError, match="knows '<new>' already"):
        words.learn({"<new>": row})


def test_a_prior_is_told_of_each_class(tmp_path: Path) -> None:
    model = load_latent(write_folder(tmp_path))
    prior = model.prior(model.told_words({0: "a photo of a dog", 1: "a photo of a cat"}))
    x = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    z = prior.space.encode(x)
    bound = prior.bind(torch.tensor([1, 0]), torch.tensor([0, 1]))
    with torch.no_grad():
        null, source, target = bound.noises(z, 3, "null", "source", "target")
    assert z.shape == null.shape == (2, 4, 8, 8)
    assert not torch.equal(source, target)
    assert not torch.equal(null, target)
    assert prior.schedule.timestep_map[:2].tolist() == [1, 21]


def test_pictures_of_another_size_are_resized_on_both_ways(tmp_path: Path) -> None:
    model = load_latent(write_folder(tmp_path)).seeing((16, 16), (8, 8))
    prior = model.prior(model.told_words({0: "", 1: ""}))
    z = prior.space.encode(torch.zeros(1, 3, 8, 8))
    assert z.shape == (1, 4, 8, 8)
    assert prior.space.decode(z).shape == (1, 3, 8, 8)


def test_what_is_missing_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no"):
        load_latent(tmp_path / "nowhere")
    folder = write_folder(tmp_path / "txt")
    (folder / "tokenizer" / "vocab.json").unlink()
    with pytest.raises(UserError, match=r"has no vocab\.json and merges\.txt"):
        load_latent(folder)
    path = tmp_path / "alone" / "model.ckpt"
    path.parent.mkdir()
    torch.save(checkpoint("txt"), path)
    with pytest.raises(UserError, match=r"has no vocab\.json"):
        load_latent(path, layout("txt"))


@pytest.mark.parametrize(
    ("name", "value"), [("prediction_type", "v_prediction"), ("beta_schedule", "linear")]
)
def test_other_noise_levels_are_refused(name: str, value: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    with pytest.raises(UserError, match=f"{name} is '{value}'"):
        load_latent(folder)


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    torch.save(checkpoint("cls"), path)
    with pytest.raises(UserError, match="does not hold this model's unet"):
        load_latent(path, layout("txt"))
    torch.save({"a": torch.zeros(2)}, path)
    with pytest.raises(UserError, match="does not hold this model's unet"):
        load_latent(path, layout("cls"))


def test_models_say_what_they_are_told(tmp_path: Path) -> None:
    words, classes = (
        load_latent(write_folder(tmp_path / "a")),
        load_latent(write_folder(tmp_path / "b", "cls")),
    )
    with pytest.raises(UserError, match="knows no classes"):
        words.told_classes([3])
    with pytest.raises(UserError, match="reads no prompts"):
        classes.told_words({0: "a photo"})
    with pytest.raises(UserError, match="has 1000 classes"):
        classes.told_classes([NULL])


@pytest.mark.slow  # networks of a billion parameters, without memory
@pytest.mark.parametrize(
    ("chosen", "unet", "vae"),
    [
        (STABLE_DIFFUSION_1, 859_520_964, 83_653_863),
        # Of its autoencoder no count is known.
        (CLASS_CONDITIONAL_IMAGENET, 400_920_579, None),
    ],
)
def test_the_layouts_have_the_published_sizes(chosen: object, unet: int, vae: int | None) -> None:
    from diffusers import AutoencoderKL, UNet2DConditionModel, VQModel

    with torch.device("meta"):
        network = UNet2DConditionModel(**chosen.unet)  # type: ignore[attr-defined]
        kind = VQModel if chosen.quantised else AutoencoderKL  # type: ignore[attr-defined]
        autoencoder = kind(**chosen.autoencoder)  # type: ignore[attr-defined]
    assert sum(p.numel() for p in network.parameters()) == unet
    if vae is not None:
        assert sum(p.numel() for p in autoencoder.parameters()) == vae
