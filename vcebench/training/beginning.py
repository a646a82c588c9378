"""What the training of a prior begins from: a shipped, published, own or diffusers prior."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vcebench.errors import UserError, one_line, user_errors
from vcebench.models.diffusers_prior import DiffusersPrior, load_diffusers
from vcebench.models.guided_diffusion import config_from_flags
from vcebench.models.own_prior import channels_of, linear_chain, load_guided_diffusion
from vcebench.models.published import PRIOR_FLAGS, load_published
from vcebench.models.shipped import ASSETS, load_network
from vcebench.models.unet import UNet
from vcebench.settings.custom import read_custom
from vcebench.weights.cards import CARDS
from vcebench.weights.shipped import read_network, save_network
from vcebench.weights.store import advice, locate, verify, weights_root


@dataclass(frozen=True)
class Beginning:
    """A network file to begin from.

    Attributes:
        path: of this package's format.
        architecture, config: what it holds, see `vcebench.models.small.build_network`.
        chain: T that it was trained on.
    """

    path: Path
    architecture: str
    config: dict[str, Any]
    chain: int


def beginning(source: str, folder: Path) -> Beginning:
    """The prior of a name or place, as a network file.

    Args:
        source: an embedded data set; the id of a published prior, such as "celeba-prior"; a file of
            `vcebench train prior`; the folder of a diffusers model; or a task's TOML file, for what
            its [prior] says.
        folder: where priors of other formats are written as network files, in float16.

    Raises UserError: there is no such prior, or it cannot be read.
    """
    with user_errors():
        return _found(source, folder)


def _found(source: str, folder: Path) -> Beginning:
    path = Path(source)
    if (shipped := ASSETS / source / "prior.safetensors").is_file():
        return _own(shipped)
    if source in PRIOR_FLAGS:
        return _published(source, folder)
    if path.suffix == ".safetensors":
        return _own(path)
    if path.suffix == ".toml":
        return _of_task(path, folder)
    if path.is_dir():
        network, steps, _ = load_diffusers(path)
        return _written(network, steps, path.resolve().name, folder)
    raise UserError(
        f"--from is {source!r}; give an embedded data set, a published prior "
        f"({', '.join(PRIOR_FLAGS)}), a .safetensors of `train prior`, the folder of a diffusers "
        "model, or a task's .toml with its [prior]"
    )


@torch.no_grad()
def check_fit(begun: Beginning, size: tuple[int, int], channels: int) -> None:
    """Refuse a prior that does not fit images of a size; raises UserError."""
    network = load_network(begun.path)[0]
    has = channels_of(network)
    if has != channels:
        raise UserError(
            f"{begun.path.name} is of images with {has} channels, yours have {channels}; take "
            "another --from, or none"
        )
    x = torch.zeros(1, channels, *size)
    try:
        out = network(x, torch.zeros(1))
        if out.shape[2:] != x.shape[2:]:
            raise ValueError(f"it gives {tuple(out.shape[2:])}")
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"{begun.path.name} does not fit images of {size[0]}x{size[1]}: {one_line(error)[:200]}"
        ) from error


def _own(path: Path) -> Beginning:
    stored = read_network(path)
    steps = int(linear_chain(stored.card, path)["steps"])
    return Beginning(path, stored.architecture, stored.config, steps)


def _published(id: str, folder: Path) -> Beginning:
    root, card = weights_root(), CARDS[id]
    found = locate(card, root)
    if found is None:
        raise UserError(advice(card, root))
    verify(card, found, root)
    return _written(
        load_published(card, found.path), config_from_flags(PRIOR_FLAGS[id])[1], id, folder
    )


def _of_task(path: Path, folder: Path) -> Beginning:
    part = read_custom(path)[0].prior
    if part is None:
        raise UserError(f"{path} has no [prior] to begin from")
    if part.trained is not None:
        return _own(part.trained)
    if part.diffusers is not None:
        return beginning(str(part.diffusers), folder)
    assert part.checkpoint is not None
    network, steps, _ = load_guided_diffusion(part.checkpoint, part.flags, part.entry)
    return _written(network, steps, part.checkpoint.stem, folder)


def _written(network: nn.Module, chain: int, name: str, folder: Path) -> Beginning:
    """The network as a file in the folder."""
    if isinstance(network, DiffusersPrior):
        architecture, config = "diffusers-unet", network.config()
    else:
        assert isinstance(network, UNet)
        architecture, config = "unet", asdict(network.config)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"from-{name}.safetensors"
    card = {"schedule": {"name": "linear", "steps": chain}, "title": name}
    save_network(path, network, architecture, config, card)
    return _own(path)
