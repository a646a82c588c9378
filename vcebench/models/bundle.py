"""All networks that a task needs: shipped ones from the package, published ones from a folder."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vcebench.data.base import Task
from vcebench.data.registry import dataset_entry
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import Schedule, linear_schedule
from vcebench.models.classifier import (
    BinaryClassifier,
    NoneOfClassifier,
    PairClassifier,
    TargetClassifier,
)
from vcebench.models.small import FeatureView, ResidualEncoder, SmoothClassifier
from vcebench.weights.shipped import NetworkFileError, load_network, sha256

ASSETS = Path(__file__).resolve().parent.parent / "assets"


@dataclass(frozen=True)
class Files:
    """Which shipped file plays which role; {task} stands for the task's name.

    identity is None where the data set has no identities.
    """

    classifier: str
    oracle: str
    identity: str | None = None
    prior: str = "prior"
    perceptual: str = "perceptual"
    representation: str = "representation"


FILES: dict[str, Files] = {
    # One network serves as representation and as oracle: it shares neither seed nor architecture
    # with the classifier.
    "digits": Files(classifier="classifier", oracle="representation"),
    "synthfaces": Files(classifier="classifier-{task}", oracle="oracle", identity="identity"),
    "synthroads": Files(classifier="classifier", oracle="oracle"),
}

IGNORANT: dict[tuple[str, str], tuple[str, ...]] = {("synthfaces", "smile"): ("random", "permuted")}
"""(data set, task) → classifiers that know nothing of the task, for the sanity check."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """The networks of one task, on one device, in evaluation mode.

    Attributes:
        prior: the diffusion prior.
        classifier: the classifier that is explained.
        perceptual: φ of the perceptual loss: (B, 3, H, W) → (B, C, H', W').
        representation: features of set distances: (B, 3, H, W) → (B, D).
        oracle: independent network: (B, 3, H, W) → logits (B, K).
        judge: the oracle as a classifier of this very task.
        semantic: features of S3 where they are not the representation's.
        lpips: distance of two batches of images → (B,), if the published one is there.
        attributes: names of the oracle's logits if it decides attributes, else empty.
        identity: identity embedder (B, 3, H, W) → (B, D), if the data set has identities.
        class_unit, perceptual_unit: guidance units, calibrated on `val`.
        certificate: figures of the classifier's card; where a shortcut is planted, what it uses.
        hashes: role → SHA-256 of the file.
        backbones: role → readable name, for tables.
        missing: role → why the network is not there (roles that only metrics need).
    """

    prior: Prior
    classifier: TargetClassifier
    perceptual: nn.Module
    representation: nn.Module | None
    oracle: nn.Module | None
    judge: TargetClassifier | None
    identity: nn.Module | None
    class_unit: float
    perceptual_unit: float
    attributes: tuple[str, ...] = ()
    certificate: dict[str, Any] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    backbones: dict[str, str] = field(default_factory=dict)
    semantic: nn.Module | None = None
    lpips: nn.Module | None = None
    missing: dict[str, str] = field(default_factory=dict)


def load_bundle(
    dataset: str,
    task: str | None = None,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    roles: Collection[str] | None = None,
    classifier: str = "task",
) -> Bundle:
    """Load the networks of a task; nothing is cached.

    Args:
        dataset, task: names; the default task if none is given.
        device: where the networks shall live.
        folder: network files to use instead of the shipped ones; for the real data sets the
            weights folder (default: see `vcebench.weights.store.weights_root`).
        roles: published networks to read besides prior, classifier and perceptual network; all of
            them by default.
        classifier: the task's own, or one of `IGNORANT`.

    Raises:
        NetworkFileError: a file is missing or damaged; the message says what to do.
        UnknownNameError: no such data set or task. Both are ValueErrors.
    """
    chosen = dataset_entry(dataset).task(task)
    _check_classifier(dataset, chosen.name, classifier)
    if dataset not in FILES:
        from vcebench.models.real_bundle import load_real_bundle

        return load_real_bundle(dataset, chosen, device, folder, roles)
    files = FILES[dataset]
    root = folder or ASSETS / dataset
    names = {
        "prior": files.prior,
        "classifier": files.classifier.format(task=chosen.name)
        + ("" if classifier == "task" else f"-{classifier}"),
        "perceptual": files.perceptual,
        "representation": files.representation,
        "oracle": files.oracle,
    } | ({"identity": files.identity} if files.identity else {})
    networks: dict[str, nn.Module] = {}
    cards: dict[str, dict[str, Any]] = {}
    hashes: dict[str, str] = {}
    for role, name in names.items():
        path = root / f"{name}.safetensors"
        if not path.exists():
            raise NetworkFileError(
                f"{path} is missing: run `vcebench train {dataset} --part {name} --output {root}`"
            )
        networks[role], cards[role] = load_network(path)
        networks[role].to(device)
        hashes[role] = sha256(path)
    attributes = tuple(cards["oracle"].get("attributes", ()))
    return Bundle(
        prior=Prior(networks["prior"], _schedule(cards["prior"])).to(device),
        classifier=_classifier(networks["classifier"], chosen, cards["classifier"]),
        perceptual=networks["perceptual"],
        representation=_features(networks["representation"]),
        oracle=networks["oracle"],
        judge=_classifier(networks["oracle"], chosen, cards["oracle"]),
        identity=networks.get("identity"),
        class_unit=float(cards["classifier"].get("unit", 1.0)),
        perceptual_unit=float(cards["perceptual"].get("unit", 1.0)),
        attributes=attributes,
        certificate=cards["classifier"].get("measured", {}),
        hashes=hashes,
        backbones={role: str(card.get("title", names[role])) for role, card in cards.items()},
    )


def _check_classifier(dataset: str, task: str, classifier: str) -> None:
    if classifier != "task" and classifier not in IGNORANT.get((dataset, task), ()):
        known = ", ".join(" ".join(key) for key in IGNORANT)
        raise NetworkFileError(f"{dataset} {task} has no {classifier} classifier, only: {known}")


def _classifier(network: nn.Module, task: Task, card: dict[str, Any]) -> TargetClassifier:
    unit = float(card.get("unit", 1.0))
    if task.kind == "pair":
        first, second = task.classes
        return PairClassifier(network, (first, second), unit)
    if task.attribute in card.get("none_of", {}):
        # An oracle of causes: the label follows from the rule over them.
        columns = [card["causes"].index(name) for name in card["none_of"][task.attribute]]
        return NoneOfClassifier(network, columns, unit)
    attributes = card.get("attributes")
    return BinaryClassifier(network, unit, attributes.index(task.attribute) if attributes else None)


def _features(network: nn.Module) -> nn.Module:
    if isinstance(network, SmoothClassifier | ResidualEncoder):
        return FeatureView(network).eval()
    return network


def _schedule(card: dict[str, Any]) -> Schedule:
    described = card.get("schedule", {})
    if described.get("name") != "linear":
        raise NetworkFileError(f"unknown schedule of the prior: {described}")
    return linear_schedule(int(described["steps"]), int(described["respacing"]))
