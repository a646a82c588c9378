"""A latent diffusion model as methods walk on it: made of networks of diffusers and transformers.

References: High-Resolution Image Synthesis with Latent Diffusion Models (Rombach et al., 2022);
Learning Transferable Visual Models From Natural Language Supervision (Radford et al., 2021), whose
text encoder reads the prompts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.errors import UserError
from vcebench.methods.core.prior import ByClass, ConditionalPrior
from vcebench.methods.core.schedule import scaled_linear_schedule
from vcebench.methods.core.space import Latents

STEPS, OFFSET = 50, 1
"""Of the chain that a prior is loaded with; methods keep other steps of it."""


@dataclass(frozen=True)
class Chain:
    """The noise levels that a model was trained on; see `scaled_linear_schedule`."""

    start: float
    end: float
    product: Literal["float64", "float32"] = "float32"


class Denoiser(nn.Module):
    """diffusers' UNet2DConditionModel as a prior calls it.

    It may be told something of fewer ids than others: contexts have one length for all images.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """Noise (B, c, h, w) in latents at timesteps t (B,), under contexts (B, L, D)."""
        out: Tensor = self.network(z, t, context, return_dict=False)[0]
        return out


class KLAutoencoder(nn.Module):
    """diffusers' AutoencoderKL: latents have a spread."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latents of pictures."""
        posterior = self.network.encode(x).latent_dist
        return posterior.mean, posterior.logvar

    def decode(self, z: Tensor) -> Tensor:
        """Pictures of latents."""
        made: Tensor = self.network.decode(z, return_dict=False)[0]
        return made


class VQAutoencoder(nn.Module):
    """diffusers' VQModel: the decoder quantises, the encoder does not; gradients pass straight."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Latents of pictures, without any spread."""
        mean: Tensor = self.network.encode(x).latents
        return mean, torch.full_like(mean, -math.inf)

    def decode(self, z: Tensor) -> Tensor:
        """Pictures of latents."""
        made: Tensor = self.network.decode(z, return_dict=False)[0]
        return made


class Resized(nn.Module):
    """An autoencoder that sees pictures at its own size: they are resized on both ways, bilinearly.

    Args:
        autoencoder: `KLAutoencoder` or `VQAutoencoder`.
        size: its height and width.
        shown: height and width of the pictures.
    """

    def __init__(
        self, autoencoder: nn.Module, size: tuple[int, int], shown: tuple[int, int]
    ) -> None:
        super().__init__()
        self.autoencoder: Any = autoencoder
        self.size, self.shown = size, shown

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the latents of pictures."""
        mean, log_variance = self.autoencoder.encode(_bilinear(x, self.size))
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Pictures of latents."""
        return _bilinear(self.autoencoder.decode(z), self.shown)


def _bilinear(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


class Words:
    """A tokenizer and a text encoder: prompts to what a U-Net is told.

    Args:
        tokenizer: transformers' CLIPTokenizer.
        encoder: transformers' CLIPTextModel.
    """

    def __init__(self, tokenizer: Any, encoder: Any) -> None:
        self.tokenizer, self.encoder = tokenizer, encoder

    def ids(self, prompts: Sequence[str]) -> Tensor:
        """Token ids, int64 with shape (N, L), padded and cut to the length the encoder has."""
        found = self.tokenizer(
            list(prompts),
            padding="max_length",
            max_length=self.encoder.config.max_position_embeddings,
            truncation=True,
            return_tensors="pt",
        )
        rows: Tensor = found["input_ids"]
        return rows.to(self.encoder.device)

    @torch.no_grad()
    def contexts(self, prompts: Sequence[str]) -> Tensor:
        """Last hidden states, float32 with shape (N, L, D)."""
        out: Tensor = self.encoder(self.ids(prompts))[0]
        return out

    def learn(self, rows: Mapping[str, Tensor]) -> None:
        """Add words, each with its own row (D,) of the table of tokens."""
        given = [word for word in rows if word in self.tokenizer.get_vocab()]
        if given:
            raise UserError(f"the text encoder knows {given[0]!r} already; learn another word")
        self.tokenizer.add_tokens(list(rows))
        table = self.encoder.resize_token_embeddings(len(self.tokenizer), mean_resizing=False)
        with torch.no_grad():
            for word, row in rows.items():
                table.weight[self.tokenizer.convert_tokens_to_ids(word)] = row


@dataclass(frozen=True, eq=False)
class LatentModel:
    """The networks of a latent diffusion model, in evaluation mode and without gradients.

    Attributes:
        network: (z, t, context) → noise.
        autoencoder: see `vcebench.methods.core.space.Autoencoder`.
        scaling: c of its latents.
        chain: its noise levels.
        words: what reads prompts, if it is told words.
        classes: rows (K, D) of its classes, the last one the null class, if it is told classes.
    """

    network: nn.Module
    autoencoder: nn.Module
    scaling: float
    chain: Chain
    words: Words | None = None
    classes: Tensor | None = None

    def to(self, device: torch.device | str) -> LatentModel:
        """The same on a device; the networks are moved."""
        self.network.to(device)
        self.autoencoder.to(device)
        if self.words is not None:
            self.words.encoder.to(device)
        classes = None if self.classes is None else self.classes.to(device)
        return replace(self, classes=classes)

    def seeing(self, size: tuple[int, int], shown: tuple[int, int]) -> LatentModel:
        """The same for pictures that are `shown` at another height and width than `size`."""
        if size == shown:
            return self
        return replace(self, autoencoder=Resized(self.autoencoder, size, shown).eval())

    def prior(self, conditions: ByClass) -> ConditionalPrior:
        """What a method walks on."""
        chain = self.chain
        schedule = scaled_linear_schedule(chain.start, chain.end, STEPS, OFFSET, chain.product)
        space = Latents(self.autoencoder, self.scaling)  # type: ignore[arg-type]  # by its methods
        return ConditionalPrior(self.network, schedule, conditions, space).eval()

    def told_words(self, prompts: Mapping[int, str]) -> ByClass:
        """Class → what a prompt tells the U-Net; the null one is empty."""
        if self.words is None:
            raise UserError("this latent network reads no prompts; use ldce-cls, or another one")
        null, *others = self.words.contexts(["", *prompts.values()])
        return ByClass(null, dict(zip(prompts, others, strict=True)))

    def told_classes(self, classes: Sequence[int]) -> ByClass:
        """Class → its row; one id each."""
        table = self.classes
        if table is None:
            raise UserError("this latent network knows no classes; use ldce-txt, or another one")
        if max(classes) >= len(table) - 1:
            raise UserError(f"this latent network has {len(table) - 1} classes, not {max(classes)}")
        return ByClass(table[-1:], {k: table[k : k + 1] for k in classes})
