"""A prior in the format of the library diffusers, which is needed only here."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vcebench.errors import UserError, one_line


class DiffusersPrior(nn.Module):
    """A diffusers `UNet2DModel` called like our networks: its output without the wrapping."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        """Noise (and variance) of z (B, C, H, W) at original timesteps t (B,)."""
        out: Tensor = self.network(z, t, return_dict=False)[0]
        return out


def load_diffusers(folder: Path) -> tuple[nn.Module, int]:
    """The UNet2DModel of a folder (a pipeline's, or a bare model's), and its T.

    Only safetensors are read. Raises UserError: diffusers is not installed, no such model, or a
    schedule that is not the linear one of DDPM with noise prediction.
    """
    try:
        from diffusers import UNet2DModel  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise UserError("a diffusers prior needs `pip install vcebench[diffusers]`") from error
    place = folder / "unet" if (folder / "unet").is_dir() else folder
    try:
        load: Any = UNet2DModel.from_pretrained
        network: nn.Module = load(place, use_safetensors=True, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{place} holds no UNet2DModel: {one_line(error)[:300]}") from error
    return DiffusersPrior(network), _steps(folder / "scheduler" / "scheduler_config.json")


def _steps(path: Path) -> int:
    """T of a scheduler's configuration; 1,000 where there is none."""
    if not path.is_file():
        return 1000
    try:
        config: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is damaged: {one_line(error)}") from error
    steps = int(config.get("num_train_timesteps", 1000))
    wanted: dict[str, str | float] = {
        "beta_schedule": "linear",
        "prediction_type": "epsilon",
        "beta_start": 1e-4 * 1000 / steps,
        "beta_end": 0.02 * 1000 / steps,
    }
    for name, value in wanted.items():
        found = config.get(name, value)
        same = found == value if isinstance(value, str) else math.isclose(found, value)
        if not same:
            raise UserError(f"{path}: {name} is {found}, only {value} is supported for T = {steps}")
    return steps
