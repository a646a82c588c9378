"""The latent diffusion model of a recipe: trained in two stages, stored as a folder."""

from __future__ import annotations

import copy
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vcebench.folders.images import write_atomic
from vcebench.models.latent_files import libraries
from vcebench.training import latent
from vcebench.training.latent import Conditions
from vcebench.training.loop import LoopSettings, fit
from vcebench.training.progress import say

CARD = "card.json"
Figures = dict[str, Any]


def _nothing(folder: Path) -> Figures:
    return {}


@dataclass(frozen=True)
class Reader:
    """What turns conditions into contexts, and how it is kept.

    Attributes:
        build: a fresh network: ids (B, L) → context (B, L, C).
        conditions: opens those of the training pictures; may write what they need into the folder.
        save: writes the network into the folder.
    """

    build: Callable[[], nn.Module]
    conditions: Callable[[Path], Conditions]
    save: Callable[[nn.Module, Path], None]


@dataclass(frozen=True)
class LatentPart:
    """A latent diffusion model that ships with a data set.

    Attributes:
        title, summary: for the model card.
        autoencoder, unet: what AutoencoderKL and UNet2DConditionModel of diffusers are built from.
        first, second: how the autoencoder, and the U-Net with its reader, are trained.
        batches: pictures in a step of either.
        pictures: opens the training pictures, uint8 (N, 3, H, W).
        reader: of conditions.
        measure: figures of the stored folder, after the float16 round trip.
        floors: figure → what it has to reach at least.
    """

    title: str
    summary: str
    autoencoder: dict[str, Any]
    unet: dict[str, Any]
    first: LoopSettings
    second: LoopSettings
    batches: tuple[int, int]
    pictures: Callable[[], Tensor]
    reader: Reader
    measure: Callable[[Path], Figures] = _nothing
    floors: dict[str, float] = field(default_factory=dict)
    name: str = "latent"

    def recipe(self, stage: str) -> dict[str, Any]:
        """What has to be equal for a stored stage to count as this part's."""
        config, settings, batch = {
            "vae": (self.autoencoder, self.first, self.batches[0]),
            "unet": (self.unet, self.second, self.batches[1]),
        }[stage]
        facts = {"config": config, "settings": asdict(settings), "batch": batch}
        stored: dict[str, Any] = json.loads(json.dumps(facts))
        return stored


def train_latent(
    dataset: str, part: LatentPart, output: Path, *, restart: bool = False, progress: bool = True
) -> Path:
    """Train a latent diffusion model, or go on training it, and write OUTPUT/latent/.

    A stage that is stored, from the same recipe, is not repeated; its training state lies in
    OUTPUT/state.

    Returns:
        Path of the folder's card.
    """
    folder, state = output / part.name, output / "state"
    folder.mkdir(parents=True, exist_ok=True)
    card = _read(folder / CARD)
    if restart:
        card = {}
        for stage in ("vae", "unet"):
            (state / f"{part.name}-{stage}.pt").unlink(missing_ok=True)
    if card.get("vae", {}).get("recipe") != part.recipe("vae"):
        seconds = _train_autoencoder(part, folder, state, progress)
        card = {"vae": {"recipe": part.recipe("vae"), "train_seconds": round(seconds)}}
        _write(folder / CARD, card)
    if card.get("unet", {}).get("recipe") != part.recipe("unet"):
        seconds = _train_denoiser(part, folder, state, progress)
        card["unet"] = {"recipe": part.recipe("unet"), "train_seconds": round(seconds)}
        card |= _facts(dataset, part)
        _write(folder / CARD, card)
    if not part.floors.keys() <= card.get("measured", {}).keys():
        card["measured"] = part.measure(folder)
        _write(folder / CARD, card)
        say(f"{part.name}: {card['measured']}", progress)
    return folder / CARD


def _train_autoencoder(part: LatentPart, folder: Path, state: Path, progress: bool) -> float:
    diffusers, _ = libraries()
    network = _fresh(part.first.seed, lambda: diffusers.AutoencoderKL(**part.autoencoder))
    images = part.pictures()
    seconds = _fit(
        part,
        "vae",
        latent.AutoencoderTrainer(network),
        latent.autoencoder_loss(images, part.batches[0]),
        part.first,
        state,
        progress,
    )
    network.register_to_config(
        scaling_factor=latent.scaling_factor(latent.posteriors(network, images))
    )
    copy.deepcopy(network).half().save_pretrained(folder / "vae")
    (state / f"{part.name}-vae.pt").unlink(missing_ok=True)
    return seconds


def _train_denoiser(part: LatentPart, folder: Path, state: Path, progress: bool) -> float:
    diffusers, _ = libraries()
    autoencoder = diffusers.AutoencoderKL.from_pretrained(
        folder / "vae", torch_dtype=torch.float32, low_cpu_mem_usage=False
    )
    latents = latent.posteriors(autoencoder.eval(), part.pictures())
    conditions = part.reader.conditions(folder)

    def build() -> latent.DenoiserTrainer:
        network = diffusers.UNet2DConditionModel(**part.unet)
        return latent.DenoiserTrainer(network, part.reader.build())

    trained = _fresh(part.second.seed, build)
    # The fused attention of PyTorch takes long backwards on a CPU, with heads as narrow as these.
    plain = diffusers.models.attention_processor.AttnProcessor()
    trained.network.set_attn_processor(plain)
    loss = latent.denoiser_loss(
        latents, conditions, autoencoder.config.scaling_factor, part.batches[1]
    )
    seconds = _fit(part, "unet", trained, loss, part.second, state, progress)
    network: Any = trained.network
    copy.deepcopy(network).half().save_pretrained(folder / "unet")
    part.reader.save(trained.told, folder)
    chain = latent.CHAIN | {"beta_schedule": "scaled_linear", "steps_offset": 1}
    scheduler = diffusers.DDIMScheduler(**chain, clip_sample=False, set_alpha_to_one=False)
    scheduler.save_pretrained(folder / "scheduler")
    (state / f"{part.name}-unet.pt").unlink(missing_ok=True)
    return seconds


def _fit(
    part: LatentPart,
    stage: str,
    trained: nn.Module,
    loss: Any,
    settings: LoopSettings,
    state: Path,
    progress: bool,
) -> float:
    name = f"{part.name}-{stage}"
    recipe = part.recipe(stage)
    inputs = {"config": recipe["config"], "batch": recipe["batch"]}
    return fit(
        name, trained, loss, settings, state / f"{name}.pt", inputs=inputs, progress=progress
    ).seconds


def _fresh(seed: int, build: Callable[[], Any]) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def _facts(dataset: str, part: LatentPart) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "title": part.title,
        "summary": part.summary,
        "command": f"vcebench train {dataset} --part {part.name}",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return card


def _write(path: Path, card: dict[str, Any]) -> None:
    write_atomic(path, (json.dumps(card, indent=1) + "\n").encode())
