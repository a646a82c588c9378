"""Recipes of the latent diffusion models: faces, told in words, and digits, told by class."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vcebench.data.digits import CLASSES, arrays
from vcebench.models.latent_files import EMBEDDING
from vcebench.training.captions import LENGTH, captions, write_tokenizer
from vcebench.training.faces import faces
from vcebench.training.latent import ClassReader, Conditions, TextReader
from vcebench.training.latent_figures import latent_figures
from vcebench.training.latent_part import LatentPart, Reader
from vcebench.training.loop import LoopSettings

PICTURES, CAPTIONS, WIDTH = 12_288, 4, 64
CLASS_WIDTH = 32
DRAWN = 256
"""Pictures, at most, that a model draws again to say whether it does as told."""


def faces_part() -> LatentPart:
    """A Stable Diffusion in small, for faces of 64 pixels."""
    return LatentPart(
        title="latent diffusion with prompts, synthfaces",
        summary=(
            "An autoencoder, and a U-Net in its latents that reads a prompt: classes and files of "
            "Stable Diffusion, in small. Captions were written from the known causes of the first "
            f"{PICTURES:,} faces of `train`."
        ),
        autoencoder=_autoencoder((24, 48, 96), size=64),
        unet=_unet(
            (48, 64, 72),
            ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
            ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
            size=16,
            context=WIDTH,
        ),
        first=LoopSettings(steps=4500, seed=211, learning_rate=1e-3, ema=0.998),
        second=LoopSettings(steps=4000, seed=212, learning_rate=1.2e-3, ema=0.998),
        batches=(16, 32),
        pictures=lambda: faces("train", PICTURES)[0],
        reader=Reader(_text_encoder, _captioned, _save_text_encoder),
        measure=_faces_figures,
        floors={"psnr": 30.0, "smile agreement": 0.98, "smile obedience": 0.85},
    )


def digits_part() -> LatentPart:
    """A class-conditional latent diffusion model, for digits of 32 pixels."""
    down, up = ["CrossAttnDownBlock2D"] * 2, ["CrossAttnUpBlock2D"] * 2
    return LatentPart(
        title="latent diffusion with classes, digits",
        summary=(
            "An autoencoder, and a U-Net in its latents that is told which of ten digits to draw, "
            "or none. Learnt from the 4,000 scans of `train`."
        ),
        autoencoder=_autoencoder((16, 32, 48), size=32),
        unet=_unet((32, 48), down, up, size=8, context=CLASS_WIDTH),
        first=LoopSettings(steps=4500, seed=221, learning_rate=1e-3, ema=0.998),
        second=LoopSettings(steps=4000, seed=222, learning_rate=1.2e-3, ema=0.998),
        batches=(16, 32),
        pictures=lambda: arrays("train")[0],
        reader=Reader(lambda: ClassReader(CLASSES, CLASS_WIDTH), _labelled, _save_embedding),
        measure=_digits_figures,
        floors={"psnr": 30.0, "3-8 agreement": 0.98, "3-8 obedience": 0.85},
    )


def _faces_figures(folder: Path) -> dict[str, Any]:
    images = faces("test", 512)[0]
    return latent_figures(folder, images, "synthfaces", ("smile", "age"), images[:DRAWN])


def _digits_figures(folder: Path) -> dict[str, Any]:
    images = arrays("test")[0]
    return latent_figures(folder, images, "digits", ("3-8",), threes_and_eights()[:DRAWN])


def threes_and_eights() -> Tensor:
    """The scans of `test` that the task 3-8 asks about, uint8 (N, 3, H, W)."""
    images, labels = arrays("test")
    return images[(labels == 3) | (labels == 8)]


def _labelled(folder: Path) -> Conditions:
    labels = arrays("train")[1]
    return Conditions(labels[:, None, None], torch.tensor([CLASSES]))


def _save_embedding(told: nn.Module, folder: Path) -> None:
    weight = told.state_dict()["embedding.weight"].half().contiguous()
    save_file({"embedding.weight": weight}, folder / EMBEDDING)


def _unet(
    widths: tuple[int, ...], down: list[str], up: list[str], *, size: int, context: int
) -> dict[str, Any]:
    return {
        "sample_size": size,
        "in_channels": 4,
        "out_channels": 4,
        "down_block_types": down,
        "up_block_types": up,
        "block_out_channels": list(widths),
        "layers_per_block": 1,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
        "cross_attention_dim": context,
    }


def _autoencoder(widths: tuple[int, ...], size: int) -> dict[str, Any]:
    return {
        "sample_size": size,
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 4,
        "down_block_types": ["DownEncoderBlock2D"] * len(widths),
        "up_block_types": ["UpDecoderBlock2D"] * len(widths),
        "block_out_channels": list(widths),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "mid_block_add_attention": False,
    }


def _text_encoder() -> nn.Module:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=303,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        bos_token_id=301,
        eos_token_id=302,
        pad_token_id=302,
    )
    return TextReader(CLIPTextModel(config))


def _captioned(folder: Path) -> Conditions:
    from transformers import CLIPTokenizer

    write_tokenizer(folder / "tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")

    def ids(texts: list[str]) -> Tensor:
        found = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
        rows: Tensor = found["input_ids"]
        return rows

    attributes = faces("train", PICTURES)[1].numpy()
    written = captions(attributes, CAPTIONS, np.random.default_rng(213))
    rows = ids([text for texts in written for text in texts])
    return Conditions(rows.view(len(written), CAPTIONS, LENGTH), ids([""])[0])


def _save_text_encoder(told: nn.Module, folder: Path) -> None:
    encoder: Any = copy.deepcopy(told.encoder)
    encoder.to(torch.float16).save_pretrained(folder / "text_encoder")
