"""The networks of a task of a real data set, from the weights folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from vcebench.data.base import Task
from vcebench.data.celeba_attributes import ATTRIBUTES
from vcebench.data.registry import dataset_entry
from vcebench.methods.core.bridge import Bridge, BridgePrior
from vcebench.methods.core.method import Method
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import Schedule, linear_schedule
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import BinaryClassifier, PairClassifier, TargetClassifier
from vcebench.models.latent_files import load_latent
from vcebench.models.latent_layouts import CLASS_CONDITIONAL_IMAGENET, STABLE_DIFFUSION_1
from vcebench.models.latent_role import CLASS, LATENT, TOLD, Told, tell, what_is_said
from vcebench.models.published import bridge_steps, load_published
from vcebench.models.tokens import prepared
from vcebench.settings.presets import preset
from vcebench.settings.prompts import Prompts
from vcebench.weights.cards import METHOD_ROLES, RUN_ROLES, Card, roles_of
from vcebench.weights.latents import LATENT_ROLES, LATENTS, latent_advice, latents_there
from vcebench.weights.shipped import NetworkFileError
from vcebench.weights.store import Found, advice, locate, verify, weights_root

# CelebA-HQ's decision model has three of CelebA's attributes; BDD's has four actions, the first
# of which is "move forward".
_LOGITS: dict[str, tuple[str, ...]] = {
    "celeba": ATTRIBUTES,
    "celebahq": ("Male", "Smiling", "Young"),
    "bdd100k": ("Forward",),
    "bddoia": ("Forward",),
}

_NOT_READ = {
    "autoencoder": "the autoencoder that DiVE published is of celeba alone",
    "segments": "STEEX's generators are published, and this package does not read them",
}
"""Role → what is known of a network of codes, for which there is no card."""

_NO_CARD = {
    "oracle": "no oracle is published for this data set",
    "identity": "this data set has no identities",
}


@dataclass(frozen=True)
class Located:
    """A role's checkpoint, or the reason why there is none."""

    role: str
    card: Card
    found: Found | None


def locate_roles(dataset: str, root: Path) -> list[Located]:
    """Where the checkpoint of every role of a data set lies; those needed for a run first.

    Raises NetworkFileError if the folder of a checkpoint holds several files.
    """
    listed = []
    for role, cards in roles_of(dataset).items():
        present = [(card, found) for card in cards if (found := locate(card, root))]
        card, found = present[0] if present else (cards[0], None)
        listed.append(Located(role, card, found))
    return sorted(listed, key=lambda item: item.role not in RUN_ROLES)


def load_real_bundle(
    dataset: str,
    task: Task,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    needs: Set[str] = Method.needs,
    metrics: bool = True,
    required: bool = True,
    prompts: Prompts | None = None,
) -> Bundle:
    """Load the published networks of a task; see `vcebench.models.loading.load_bundle`.

    Raises:
        NetworkFileError: the classifier or a network that is needed is missing (all of them are
            named, with what to fetch), or a file does not fit.
    """
    root = weights_root(folder)
    asked = needs | {"classifier"}
    # What makes images and is not asked for is left; the perceptual network measures σ_L, too.
    idle = {*RUN_ROLES, *METHOD_ROLES} - asked - {"perceptual"}
    wanted = [
        item
        for item in locate_roles(dataset, root)
        if item.role in asked or (metrics and item.role not in idle)
    ]
    lacking = [item for item in wanted if item.found is None]
    _require(dataset, (asked if required else needs) - TOLD, wanted, root)
    told = _told(dataset, task, needs, device, root, prompts)
    networks: dict[str, nn.Module] = {}
    hashes: dict[str, str] = {}
    for item in wanted:
        if item.found is not None:
            hashes[item.role] = verify(item.card, item.found, root)
            networks[item.role] = load_published(item.card, item.found.path).to(device)
    prior: Prior | None = None
    if "prior" in networks:
        prior = Prior(networks["prior"], _schedule(dataset, task)).to(device)
    elif "bridge" in networks:
        card = next(item.card for item in wanted if item.role == "bridge")
        prior = BridgePrior(networks["bridge"], Bridge(bridge_steps(card)))
    elif told is not None:
        prior = told[1].prior
    oracle, robust = networks.get("oracle"), networks.get("robust")
    explained = networks.get("classifier")
    return Bundle(
        classifier=None if explained is None else _classifier(dataset, task, explained),
        prior=prior,
        perceptual=networks.get("perceptual"),
        autoencoder=networks.get("autoencoder"),
        robust=None if robust is None else _classifier(dataset, task, robust),
        representation=networks.get("representation"),
        oracle=oracle,
        judge=None if oracle is None else _attribute_of(oracle, ATTRIBUTES, task),
        identity=networks.get("identity"),
        semantic=networks.get("semantic"),
        lpips=networks.get("lpips"),
        attributes=() if oracle is None else ATTRIBUTES,
        hashes=hashes | ({} if told is None else told[1].hashes),
        backbones={item.role: item.card.title for item in wanted if item.found}
        | ({} if told is None else dict.fromkeys(told[1].hashes, told[0])),
        missing=_reasons(lacking, {item.role for item in wanted}, root),
    )


def _told(
    dataset: str,
    task: Task,
    needs: Set[str],
    device: torch.device | str,
    root: Path,
    prompts: Prompts | None,
) -> tuple[str, Told] | None:
    """Title of the latent model that a method asks for, and the model, told of a task."""
    for role in sorted(needs & LATENT):
        ids = LATENT_ROLES.get(dataset, {}).get(role, ())
        if not ids:
            raise NetworkFileError(
                f"no {role} network is published for {dataset}; `vcebench list methods` shows "
                "methods that do without"
            )
        there = latents_there(dataset, role, root)
        if not there:
            raise NetworkFileError(latent_advice(LATENTS[ids[0]], root))
        card, place = there[0]
        layout = CLASS_CONDITIONAL_IMAGENET if role == CLASS else STABLE_DIFFUSION_1
        shown = dataset_entry(dataset).size
        model = load_latent(place, layout).seeing((card.size, card.size), shown)
        said = what_is_said(task, needs, prompts, prepared(dataset, task.name))
        return card.title, tell(model, place, task.classes, needs, device, said)
    return None


def _require(dataset: str, required: Set[str], there: Iterable[Located], root: Path) -> None:
    located = {item.role: item for item in there}
    for role in sorted(required - located.keys()):
        if role in _NOT_READ:
            raise NetworkFileError(
                f"{_NOT_READ[role]}; pass a network of your own to vcebench.explain(autoencoder=…)"
            )
        raise NetworkFileError(
            f"no {role} network is published for {dataset}; `vcebench list methods` shows methods "
            "that do without"
        )
    lacking = [item for role, item in located.items() if role in required and item.found is None]
    needed = [advice(item.card, root) for item in lacking]
    if needed:
        raise NetworkFileError(
            f"{dataset} needs {len(needed)} checkpoints that are not in {root}. "
            + ". ".join(f"({n}) {line}" for n, line in enumerate(needed, start=1))
        )


def _reasons(lacking: Sequence[Located], asked: set[str], root: Path) -> dict[str, str]:
    reasons = {role: text for role, text in _NO_CARD.items() if role not in asked}
    return reasons | {item.role: advice(item.card, root) for item in lacking}


def _schedule(dataset: str, task: Task) -> Schedule:
    chosen = preset(dataset, task.name)
    return linear_schedule(chosen.steps, chosen.respacing)


def _classifier(dataset: str, task: Task, network: nn.Module) -> TargetClassifier:
    if task.kind == "pair":
        first, second = task.classes
        return PairClassifier(network, (first, second)).eval()
    return _attribute_of(network, _LOGITS[dataset], task)


def _attribute_of(network: nn.Module, names: Sequence[str], task: Task) -> TargetClassifier:
    return BinaryClassifier(network, index=names.index(str(task.attribute))).eval()
