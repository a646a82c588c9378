"""One part of a recipe: how a shipped network is trained, stored and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vcebench.models.shipped import load_network
from vcebench.models.small import build_network
from vcebench.running.cost import device_name
from vcebench.training.latent_part import LatentPart
from vcebench.training.loop import Fitted, LoopSettings, Loss, fit
from vcebench.training.progress import say
from vcebench.weights.shipped import read_card, save_network, sha256, update_card


def _same(network: nn.Module) -> nn.Module:
    return network


def _as_trained(network: nn.Module) -> None:
    return None


def _nothing(network: nn.Module) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Part:
    """A network that ships with a data set.

    Attributes:
        name: stem of the file, such as "prior" or "classifier-smile".
        title: how tables call the network where they name a backbone.
        summary: what it is for and on what it is trained, for the model card.
        architecture, config: what `build_network` takes.
        loss: opens the data and returns the loss; called only when there is something to train.
        measure: figures of the network as users load it, after the float16 round trip.
        wrap: puts training-only layers around the network; they are not shipped. The loss then
            gets the wrapper, which must use the very network given.
        finish: last change of the trained network, in place, before it is stored.
        floors: figures of `measure` → what they have to reach at least; stated on the model card.
        ceilings: figures of `measure` → what they may be at most, alike.
        begin: network file whose weights the training starts from, wherever names and shapes agree;
            without one, from weights drawn by the seed.
        facts: further entries of the card, such as a prior's schedule or an oracle's attributes.
        inputs: what else decides the weights, where it is not fixed by the name: images, batch.
            A network that has some is of one's own images, and may be trained longer later.
        watch, device: see `vcebench.training.loop.fit`.
    """

    name: str
    title: str
    summary: str
    architecture: str
    config: dict[str, Any]
    settings: LoopSettings
    loss: Callable[[], Loss]
    measure: Callable[[nn.Module], dict[str, Any]] = _nothing
    wrap: Callable[[nn.Module], nn.Module] = _same
    finish: Callable[[nn.Module], None] = _as_trained
    floors: dict[str, float] = field(default_factory=dict)
    ceilings: dict[str, float] = field(default_factory=dict)
    begin: Path | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)
    watch: Callable[[nn.Module], None] | None = None
    device: str = "cpu"

    def recipe(self) -> dict[str, Any]:
        """What has to be equal for a stored network to count as this part's."""
        begun = {"begun_from": sha256(self.begin)} if self.begin else {}
        return {
            "architecture": self.architecture,
            "config": {k: list(v) if isinstance(v, tuple) else v for k, v in self.config.items()},
            "settings": asdict(self.settings),
            **({"inputs": self.inputs} if self.inputs else {}),
        } | begun

    def initial(self) -> tuple[nn.Module, nn.Module]:
        """The network before its first step, and what wraps it in training."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.settings.seed)
            network = build_network(self.architecture, self.config)
            trained = self.wrap(network)
        if self.begin is not None:
            take_over(network, self.begin)
        return network, trained


@dataclass(frozen=True)
class Recipe:
    """All parts of one data set; `text` opens its model card."""

    dataset: str
    text: str
    parts: tuple[Part, ...]
    latent: LatentPart | None = None


def train_part(
    dataset: str, part: Part, output: Path, *, restart: bool = False, progress: bool = True
) -> Path:
    """Train a part, or go on training it, and write OUTPUT/NAME.safetensors.

    A part whose network file is already there, from the same recipe, is left alone, but for its
    card where a figure that has a bound by now was not measured then. One of somebody's own images,
    from another recipe, is kept under another name.

    Args:
        output: folder of the network files; the training state lies in its folder `state`.
        restart: train from the beginning, whatever there is.
        progress: report on stderr.

    Returns:
        Path of the network file.
    """
    path = output / f"{part.name}.safetensors"
    checkpoint = output / "state" / f"{part.name}.pt"
    if restart:
        checkpoint.unlink(missing_ok=True)
    elif path.exists() and (card := read_card(path)).get("recipe") == part.recipe():
        say(f"{part.name}: already trained ({path})", progress)
        if not {*part.floors, *part.ceilings} <= card.get("measured", {}).keys():
            _measure(path, part, progress)
        return path
    output.mkdir(parents=True, exist_ok=True)
    network, trained = part.initial()
    own = bool(part.inputs)
    fitted = fit(
        part.name,
        trained,
        part.loss(),
        part.settings,
        checkpoint,
        inputs=part.inputs,
        progress=progress,
        longer=own,
        watch=part.watch,
        log=checkpoint.with_suffix(".log") if own else None,
        device=part.device,
    )
    part.finish(network)
    if part.inputs and path.exists():
        _keep_aside(path, part, progress)
    save_network(path, network, part.architecture, part.config, _card(dataset, part, fitted))
    _measure(path, part, progress)
    if not own:
        checkpoint.unlink(missing_ok=True)
    return path


def _measure(path: Path, part: Part, progress: bool) -> None:
    """Write on a network's card what it measures after the float16 round trip, and its recipe."""
    reloaded, _ = load_network(path)
    with torch.no_grad():
        measured = part.measure(reloaded)
    update_card(path, measured=measured, recipe=part.recipe())
    say(f"{part.name}: {measured}", progress and not part.inputs)


def take_over(network: nn.Module, path: Path) -> None:
    """Give a network the weights of another wherever names and shapes agree, in place.

    The last layer of a U-Net that also finds a variance is cut to the rows that find the noise.
    """
    given = load_network(path)[0].state_dict()
    own = network.state_dict()
    for key in own.keys() & given.keys():
        value = given[key][: len(own[key])] if key.startswith("out.2.") else given[key]
        if value.shape == own[key].shape:
            own[key].copy_(value)


def _card(dataset: str, part: Part, fitted: Fitted) -> dict[str, Any]:
    return {
        **part.facts,
        "dataset": dataset,
        "part": part.name,
        "title": part.title,
        "summary": part.summary,
        "command": f"vcebench train {dataset} --part {part.name}",
        "seed": part.settings.seed,
        "steps": part.settings.steps,
        "train_seconds": round(fitted.seconds),
        **({"continued_at": list(fitted.stages)} if fitted.stages else {}),
        "threads": torch.get_num_threads() if part.device == "cpu" else None,
        "torch": torch.__version__,
        "machine": device_name(torch.device(part.device)),
        **({"begun_from": part.begin.name} if part.begin else {}),
    }


def _keep_aside(path: Path, part: Part, progress: bool) -> None:
    """Give a network of another recipe another name: it may have taken days."""
    before, now = read_card(path).get("recipe") or {}, part.recipe()
    others = [key for key in now if before.get(key) != now[key]]
    place = path.with_name(f"{path.stem}-{sha256(path)[:8]}{path.suffix}")
    path.rename(place)
    say(f"{part.name}: that of before differs in {', '.join(others)}, kept as {place}", progress)
