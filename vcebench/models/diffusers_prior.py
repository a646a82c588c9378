"""A prior in the format of the library diffusers, which is needed only here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vcebench.errors import UserError, one_line
from vcebench.models.diffusers_config import SCHEDULER, read_config

_STEPS = 1000

_TRAINED_ALIKE = frozenset(
    (
        *("DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "LMSDiscreteScheduler"),
        *("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler"),
        *("DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "DPMSolverSDEScheduler"),
        *("KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "DEISMultistepScheduler"),
        *("UniPCMultistepScheduler", "DDIMParallelScheduler", "DDPMParallelScheduler"),
    )
)
"""Schedulers that all sample what was trained on DDPM's discrete chain."""


class DiffusersPrior(nn.Module):
    """A diffusers `UNet2DModel` called like our networks: its output without the wrapping."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        """Noise (and variance) of z (B, C, H, W) at original timesteps t (B,)."""
        out: Tensor = self.network(z, t, return_dict=False)[0]
        return out

    def config(self) -> dict[str, Any]:
        """What rebuilds it, see `build_diffusers`; JSON can hold it."""
        found: Any = self.network.config
        return {name: value for name, value in found.items() if not name.startswith("_")}


def build_diffusers(**config: Any) -> DiffusersPrior:
    """A freshly initialised UNet2DModel. Raises UserError: diffusers is not installed."""
    try:
        from diffusers import UNet2DModel
    except ImportError as error:
        raise UserError("a diffusers prior needs `pip install vcebench[diffusers]`") from error
    build: Any = UNet2DModel
    return DiffusersPrior(build(**config))


def load_diffusers(folder: Path) -> tuple[nn.Module, int, tuple[str, ...]]:
    """The UNet2DModel of a folder (a pipeline's, its `unet`, or a bare model's), T, and notes.

    Only safetensors are read, and only from the folder.

    Raises UserError: diffusers is not installed, no such model, one that takes more than an image
    of three channels, or a schedule that is not the linear one of DDPM with noise prediction.
    """
    try:
        from diffusers import UNet2DModel  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise UserError("a diffusers prior needs `pip install vcebench[diffusers]`") from error
    place = folder / "unet" if (folder / "unet").is_dir() else folder
    # A name that is no folder here would be looked up among models fetched from the hub.
    if not place.is_dir():
        raise UserError(f"there is no folder {folder}; give the folder of the diffusers model")
    described = place / "config.json"
    _check_network(read_config(described) if described.is_file() else {}, place)
    steps, notes = _steps(folder)
    try:
        load: Any = UNet2DModel.from_pretrained
        network: nn.Module = load(place, use_safetensors=True, local_files_only=True)
    except (OSError, ValueError, RuntimeError, TypeError, KeyError) as error:
        raise UserError(f"{place} holds no UNet2DModel: {one_line(error)[:300]}") from error
    return DiffusersPrior(network), steps, notes


def _check_network(config: dict[str, Any], place: Path) -> None:
    kind = config.get("_class_name", "UNet2DModel")
    if kind != "UNet2DModel":
        raise UserError(f"{place} holds a {kind}; a prior is an unconditional UNet2DModel")
    channels = config.get("in_channels", 3)
    if channels not in (1, 3):
        raise UserError(
            f"{place}: in_channels is {channels}; a prior takes images of 3 channels, or of 1"
        )
    for name in ("num_class_embeds", "class_embed_type"):
        if config.get(name) is not None:
            raise UserError(
                f"{place}: {name} is {config[name]}: it draws images of a class that it is told; a "
                "prior is unconditional"
            )
    embedding = config.get("time_embedding_type", "positional")
    if embedding not in ("positional", "learned"):
        raise UserError(
            f"{place}: time_embedding_type is {embedding}: it is told noise levels, not timesteps"
        )


def _steps(folder: Path) -> tuple[int, tuple[str, ...]]:
    """T of the scheduler of a model's folder, in it or beside it; 1,000 where there is none."""
    base = folder.resolve()
    places = [base / SCHEDULER, base / SCHEDULER.name]
    if base.name == "unet":
        places.append(base.parent / SCHEDULER)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return _STEPS, (
            f"{folder.name}: no {SCHEDULER} is there: taken as trained on DDPM's {_STEPS} linear "
            "steps, to predict noise",
        )
    return _linear_steps(path), ()


def _linear_steps(path: Path) -> int:
    """T of a scheduler's configuration; whatever makes other noise levels or targets is refused."""
    config = read_config(path)
    kind = config.get("_class_name", "DDPMScheduler")
    if kind not in _TRAINED_ALIKE:
        raise UserError(f"{path}: {kind} does not sample what was trained on DDPM's chain")
    steps = config.get("num_train_timesteps", _STEPS)
    if type(steps) is not int or steps < 1:
        raise UserError(f"{path}: num_train_timesteps is {steps!r}, not a number of steps")
    wanted: dict[str, object] = {
        "beta_schedule": "linear",
        "beta_start": 1e-4 * 1000 / steps,
        "beta_end": 0.02 * 1000 / steps,
        "trained_betas": None,
        "rescale_betas_zero_snr": False,
        "use_flow_sigmas": False,
        "prediction_type": "epsilon",
    }
    if config.get("variance_type") == "learned":
        raise UserError(f"{path}: variance_type is learned, only learned_range is supported")
    for name, value in wanted.items():
        found = config.get(name, value)
        if isinstance(value, float) and isinstance(found, int | float):
            same = math.isclose(found, value)
        else:
            same = found == value
        if not same:
            shown = "given" if isinstance(found, list) else found
            raise UserError(f"{path}: {name} is {shown}, only {value} is supported for T = {steps}")
    return steps
