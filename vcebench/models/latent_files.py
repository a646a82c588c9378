"""Latent diffusion models from files: folders of diffusers, and single files of the authors.

Only safetensors and tensors of pickles are read, and nothing is looked up on a network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vcebench.errors import UserError, one_line
from vcebench.models.diffusers_config import SCHEDULER, read_config
from vcebench.models.latent import (
    Chain,
    Denoiser,
    KLAutoencoder,
    LatentModel,
    VQAutoencoder,
    Words,
)
from vcebench.models.latent_layouts import STABLE_DIFFUSION_1, Layout
from vcebench.weights.reading import load_file_safely

EMBEDDING = "class_embedding.safetensors"
_SAID = "needs `pip install 'vcebench[latent]'`"
_UNREADABLE = (OSError, ValueError, RuntimeError, TypeError, KeyError, SafetensorError)


def load_latent(path: Path, layout: Layout = STABLE_DIFFUSION_1) -> LatentModel:
    """The model of a folder of diffusers, or of a single file.

    A single file of Stable Diffusion holds no tokenizer: `tokenizer/` has to lie beside it.

    Args:
        path: folder, or .safetensors or .ckpt file.
        layout: of a single file.

    Raises UserError: the libraries are not installed, a part is missing or does not fit.
    """
    if not path.exists():
        raise UserError(f"there is no {path}; give the folder, or the file, of the latent model")
    return _from_folder(path) if path.is_dir() else _from_file(path, layout)


def _from_folder(folder: Path) -> LatentModel:
    diffusers, _ = libraries()
    kind = read_config(folder / "vae" / "config.json").get("_class_name", "AutoencoderKL")
    if kind not in ("AutoencoderKL", "VQModel"):
        raise UserError(f"{folder / 'vae'} holds a {kind}; an AutoencoderKL or a VQModel is read")
    autoencoder = _part(folder, "vae", getattr(diffusers, kind))
    unet = _part(folder, "unet", diffusers.UNet2DConditionModel)
    return LatentModel(
        network=Denoiser(unet),
        autoencoder=(VQAutoencoder if kind == "VQModel" else KLAutoencoder)(autoencoder),
        scaling=float(autoencoder.config.scaling_factor),
        chain=_chain(folder / SCHEDULER),
        words=_words(folder, None) if (folder / "text_encoder").is_dir() else None,
        classes=_embedding(folder / EMBEDDING) if (folder / EMBEDDING).is_file() else None,
    )


def _part(folder: Path, name: str, kind: Any) -> Any:
    """A network of a folder, float32, in evaluation mode, without gradients."""
    place = folder / name
    if not place.is_dir():
        raise UserError(f"{folder} has no folder {name}/; give that of a whole pipeline")
    try:
        network = kind.from_pretrained(
            place,
            torch_dtype=torch.float32,
            local_files_only=True,
            use_safetensors=True,
            **({} if name == "text_encoder" else {"low_cpu_mem_usage": False}),
        )
    except _UNREADABLE as error:
        raise UserError(f"{place} holds no {kind.__name__}: {one_line(error)[:300]}") from error
    return network.eval().requires_grad_(False)


def _words(folder: Path, encoder: Any) -> Words:
    """The tokenizer of a folder with its text encoder, or with the one given."""
    _, transformers = libraries()
    place = folder / "tokenizer"
    if not (place / "vocab.json").is_file() or not (place / "merges.txt").is_file():
        raise UserError(
            f"{place} has no vocab.json and merges.txt; put the tokenizer of "
            "openai/clip-vit-large-patch14 there"
        )
    try:
        tokenizer = transformers.CLIPTokenizer.from_pretrained(place, local_files_only=True)
    except _UNREADABLE as error:
        raise UserError(f"{place} holds no CLIPTokenizer: {one_line(error)[:300]}") from error
    chosen = encoder or _part(folder, "text_encoder", transformers.CLIPTextModel)
    return Words(tokenizer, chosen)


def _embedding(path: Path) -> Tensor:
    """Rows of the classes, float32 with shape (K, D), the null class behind the others."""
    try:
        return load_file(path)["embedding.weight"].float()
    except _UNREADABLE as error:
        raise UserError(f"{path} holds no embedding.weight: {one_line(error)}") from error


def _chain(path: Path) -> Chain:
    """The noise levels of a scheduler's file; what was trained on others is refused."""
    config = read_config(path)
    wanted = {
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "prediction_type": "epsilon",
        "trained_betas": None,
        "rescale_betas_zero_snr": False,
        "clip_sample": False,
    }
    for name, value in wanted.items():
        if config.get(name, value) != value:
            raise UserError(f"{path}: {name} is {config[name]!r}, only {value!r} is supported")
    first = STABLE_DIFFUSION_1.chain
    return Chain(
        float(config.get("beta_start", first.start)), float(config.get("beta_end", first.end))
    )


def _from_file(path: Path, layout: Layout) -> LatentModel:
    diffusers, transformers = libraries()
    from diffusers.loaders import single_file_utils as converting

    content = load_file_safely(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else {}
    state = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}

    def filled(build: Callable[..., nn.Module], config: Mapping[str, Any], part: str) -> Any:
        convert = getattr(converting, f"convert_ldm_{part}_checkpoint")
        return _filled(build(**config), lambda: convert(dict(state), config), path, part)

    unet = filled(diffusers.UNet2DConditionModel, layout.unet, "unet")
    if layout.quantised:
        kind: Any = diffusers.VQModel
    else:
        kind = diffusers.AutoencoderKL
    autoencoder = _autoencoder(kind, layout, state, path, converting)
    words, classes = None, None
    if layout.text is None:
        classes = state.get("cond_stage_model.embedding.weight")
        if classes is None:
            raise UserError(f"{path} has no cond_stage_model.embedding.weight; it knows no classes")
        classes = classes.float()
    else:
        build = transformers.CLIPTextModel
        text = build(transformers.CLIPTextConfig(**layout.text))
        words = _words(path.parent, _filled(text, lambda: _text_state(text, state), path, "text"))
    wrap = VQAutoencoder if layout.quantised else KLAutoencoder
    return LatentModel(
        Denoiser(unet), wrap(autoencoder), layout.scaling, layout.chain, words, classes
    )


def _autoencoder(
    kind: Any, layout: Layout, state: dict[str, Tensor], path: Path, converting: Any
) -> Any:
    def converted() -> dict[str, Tensor]:
        found: dict[str, Tensor] = converting.convert_ldm_vae_checkpoint(
            dict(state), layout.autoencoder
        )
        if layout.quantised:  # the converter knows no codebook
            codes = "quantize.embedding.weight"
            found[codes] = state[f"first_stage_model.{codes}"]
        return found

    return _filled(kind(**layout.autoencoder), converted, path, "autoencoder")


_TEXT = "cond_stage_model.transformer."


def _text_state(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The text encoder's tensors by the names that this version of transformers has."""
    found = {k.removeprefix(_TEXT): v for k, v in state.items() if k.startswith(_TEXT)}
    own = network.state_dict().keys()
    bare = {k.removeprefix("text_model."): v for k, v in found.items()}
    prefix = "text_model." if any(key.startswith("text_model.") for key in own) else ""
    named = {f"{prefix}{key}": value for key, value in bare.items()}
    return {key: value for key, value in named.items() if not key.endswith("position_ids")}


def _filled(
    network: Any, convert: Callable[[], Mapping[str, Tensor]], path: Path, part: str
) -> Any:
    try:
        network.load_state_dict({k: v.float() for k, v in convert().items()}, strict=True)
    except (KeyError, IndexError, RuntimeError, AttributeError) as error:
        raise UserError(
            f"{path} does not hold this model's {part}: {one_line(error)[:300]}"
        ) from error
    return network.eval().requires_grad_(False)


def libraries() -> tuple[Any, Any]:
    """diffusers and transformers. Raises UserError with what to install if they are not there."""
    try:
        import diffusers
        import transformers
    except ImportError as error:
        raise UserError(f"a latent diffusion model {_SAID}") from error
    for library in (diffusers, transformers):  # they would draw bars for files of kilobytes
        library.utils.logging.disable_progress_bar()
    return diffusers, transformers
