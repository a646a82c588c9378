"""How the networks are built that a single file of a latent diffusion model holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vcebench.models.latent import Chain


@dataclass(frozen=True)
class Layout:
    """How networks that a single file holds are built; such a file says nothing of it.

    Attributes:
        unet, autoencoder: configurations of UNet2DConditionModel and of AutoencoderKL or VQModel.
        quantised: the autoencoder is a VQModel.
        text: configuration of CLIPTextModel; None if the model is told classes.
        scaling: c of the latents.
        chain: noise levels.
    """

    unet: Mapping[str, Any]
    autoencoder: Mapping[str, Any]
    scaling: float
    chain: Chain
    text: Mapping[str, Any] | None = None
    quantised: bool = False


_UP, _DOWN = "CrossAttnUpBlock2D", "CrossAttnDownBlock2D"
STABLE_DIFFUSION_1 = Layout(
    unet={
        "sample_size": 64,
        "in_channels": 4,
        "out_channels": 4,
        "down_block_types": (_DOWN, _DOWN, _DOWN, "DownBlock2D"),
        "up_block_types": ("UpBlock2D", _UP, _UP, _UP),
        "block_out_channels": (320, 640, 1280, 1280),
        "layers_per_block": 2,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,  # the number of heads, whatever its name says
    },
    autoencoder={
        "sample_size": 512,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (128, 256, 512, 512),
        "layers_per_block": 2,
        "latent_channels": 4,
    },
    scaling=0.18215,
    chain=Chain(0.00085, 0.012),
    text={
        "vocab_size": 49408,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "projection_dim": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "max_position_embeddings": 77,
        "hidden_act": "quick_gelu",
        "bos_token_id": 49406,
        "eos_token_id": 49407,
        "pad_token_id": 49407,
    },
)
"""Stable Diffusion 1.x, and what was trained on from it."""

CLASS_CONDITIONAL_IMAGENET = Layout(
    unet={
        "sample_size": 64,
        "in_channels": 3,
        "out_channels": 3,
        "down_block_types": ("DownBlock2D", _DOWN, _DOWN, _DOWN),
        "up_block_types": (_UP, _UP, _UP, "UpBlock2D"),
        "block_out_channels": (192, 384, 576, 960),
        "layers_per_block": 2,
        "cross_attention_dim": 512,
        "attention_head_dim": 1,  # the number of heads
    },
    autoencoder={
        "sample_size": 256,
        "down_block_types": ("DownEncoderBlock2D",) * 3,
        "up_block_types": ("UpDecoderBlock2D",) * 3,
        "block_out_channels": (128, 256, 512),
        "layers_per_block": 2,
        "latent_channels": 3,
        "num_vq_embeddings": 8192,
    },
    scaling=1.0,
    chain=Chain(0.0015, 0.0195, "float64"),
    quantised=True,
)
"""cin256-v2: 1,000 classes of ImageNet and the null class, latents of a VQ autoencoder."""
