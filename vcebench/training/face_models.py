"""Recipes of what makes faces of `synthfaces` again: bridge, autoencoder, semantic autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor

from vcebench.data.synthfaces.canvas import REGIONS
from vcebench.data.synthfaces.scm import NAMES
from vcebench.models.classifier import BinaryClassifier
from vcebench.models.shipped import ASSETS, load_network
from vcebench.training import augment
from vcebench.training.autoencoder import autoencoder_loss, autoencoder_part, balanced
from vcebench.training.bridge import HeldOut, bridge_loss, bridge_part
from vcebench.training.faces import face_maps, faces
from vcebench.training.loop import LoopSettings, Loss
from vcebench.training.parts import Part
from vcebench.training.segments import segments_part


def held_out() -> HeldOut:
    """The first 512 faces of `test`; whether they smile, the oracle says."""
    images, attributes = faces("test", 512)
    smiling = NAMES.index("Smiling")
    oracle = load_network(ASSETS / "synthfaces" / "oracle.safetensors")[0]
    return HeldOut(images, attributes[:, smiling].long(), BinaryClassifier(oracle, index=smiling))


def bridge() -> Part:
    def open_data() -> Loss:
        images, _ = faces("train")
        size = (images.shape[2], images.shape[3])
        return bridge_loss(lambda g: augment.draw(images, 16, g)[0], size, seed=181)

    return bridge_part(
        dataset="synthfaces",
        # The last level is narrower than the prior's: weights of 2.6 MB in place of 4.1.
        config={
            "model_channels": 32,
            "channel_mult": (1, 1, 2, 2),
            "num_res_blocks": 1,
            "attention_factors": (8,),
            "num_heads": 2,
            "resblock_updown": False,
        },
        settings=LoopSettings(steps=4500, seed=181, learning_rate=5e-4, ema=0.998),
        loss=open_data,
        held_out=held_out,
        floors={"gain": 3.0},
    )


def autoencoder() -> Part:
    def open_data() -> Loss:
        images, maps = face_maps("train", 20_000)

        def batch(generator: torch.Generator) -> tuple[Tensor, Tensor]:
            x, chosen = augment.draw(images, 32, generator)
            return x, balanced(maps[chosen], len(REGIONS))

        return autoencoder_loss(batch, ASSETS / "synthfaces/perceptual.safetensors", len(images))

    return autoencoder_part(
        dataset="synthfaces",
        config={"code": 64, "widths": (16, 32, 64, 96), "hidden": 256},
        settings=LoopSettings(steps=7500, seed=191, learning_rate=1e-3, ema=0.999),
        loss=open_data,
        pictures=lambda split: faces(split, 1000 if split == "train" else 512)[0],
        tasks=("smile", "age"),
    )


def segments() -> Part:
    return segments_part(
        dataset="synthfaces",
        regions=REGIONS,
        settings=LoopSettings(steps=6000, seed=201, learning_rate=2e-3, ema=0.999),
        batch=16,
        perceptual=ASSETS / "synthfaces/perceptual.safetensors",
        pictures=lambda split: face_maps(split, 10_000 if split == "train" else 512),
        tasks=("smile", "age"),
        swapped="mouth",
    )
