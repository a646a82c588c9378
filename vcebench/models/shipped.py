"""The networks that ship with the package: single files, and all those of a task."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vcebench.data.base import Task
from vcebench.methods.core.bridge import Bridge, BridgePrior
from vcebench.methods.core.method import Method
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import Schedule, linear_schedule
from vcebench.models.autoencoder import ResidualAutoencoder
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import (
    BinaryClassifier,
    NoneOfClassifier,
    PairClassifier,
    TargetClassifier,
)
from vcebench.models.latent_files import load_latent
from vcebench.models.latent_role import CLASS, LATENT, TEXT, TOKENS, Told, tell, what_is_said
from vcebench.models.small import FeatureView, ResidualEncoder, SmoothClassifier, build_network
from vcebench.models.tokens import prepared, tokens_name
from vcebench.settings.prompts import Prompts
from vcebench.weights.shipped import NetworkFileError, read_network, sha256

ASSETS = Path(__file__).resolve().parent.parent / "assets"


@dataclass(frozen=True)
class Files:
    """Which shipped file plays which role; {task} stands for the task's name.

    Attributes:
        classifier: of most tasks.
        other: task → its classifier, where that is another file.
        robust: tasks that the data set's robust classifier decides too.
        identity: None where the data set has no identities.
        codes: roles of networks that lead to codes and back, which the data set has.
        latent: what its latent diffusion model is told, `latent-text` or `latent-class`.
    """

    classifier: str
    oracle: str
    other: Mapping[str, str] = field(default_factory=dict)
    robust: tuple[str, ...] = ()
    identity: str | None = None
    codes: tuple[str, ...] = ()
    latent: str | None = None
    prior: str = "prior"
    bridge: str = "bridge"
    perceptual: str = "perceptual"
    representation: str = "representation"

    def explained(self, task: str) -> str:
        """The classifier that a task explains."""
        return self.other.get(task, self.classifier.format(task=task))


FILES: dict[str, Files] = {
    # One network serves as representation and as oracle: it shares neither seed nor architecture
    # with the classifier.
    "digits": Files(
        classifier="classifier",
        oracle="representation",
        other={"3-8-plain": "classifier-plain", "3-8-robust": "robust"},
        robust=("3-8", "4-9", "1-7", "3-8-plain", "3-8-robust"),
        codes=("autoencoder",),
        latent=CLASS,
    ),
    "synthfaces": Files(
        classifier="classifier-{task}",
        oracle="oracle",
        other={"smile-robust": "robust"},
        robust=("smile", "age", "smile-plain", "smile-robust"),
        identity="identity",
        codes=("autoencoder", "segments"),
        latent=TEXT,
    ),
    "synthroads": Files(
        classifier="classifier",
        oracle="oracle",
        other={"forward-slowdown-plain": "classifier-plain"},
        robust=("forward-slowdown", "forward-slowdown-plain"),
        codes=("segments",),
    ),
}

IGNORANT: dict[tuple[str, str], tuple[str, ...]] = {("synthfaces", "smile"): ("random", "permuted")}
"""(data set, task) → classifiers that know nothing of the task, for the sanity check."""


def load_network(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Read a network and its card; the network is float32, on the CPU, in evaluation mode.

    Raises NetworkFileError if the file is missing, damaged, of another format, holds NaN or
    infinite weights, or has other weights than its architecture.
    """
    stored = read_network(path)
    module = build_network(stored.architecture, stored.config)
    try:
        module.load_state_dict({k: v.float() for k, v in stored.tensors.items()}, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise NetworkFileError(f"{path} does not fit its architecture: {detail}") from error
    return module.eval().requires_grad_(False), stored.card


def load_shipped_bundle(
    dataset: str,
    task: Task,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    needs: Set[str] = Method.needs,
    metrics: bool = True,
    classifier: str = "task",
    prompts: Prompts | None = None,
) -> Bundle:
    """Load the shipped networks of a task; see `vcebench.models.loading.load_bundle`."""
    root = folder or ASSETS / dataset
    names = _names(dataset, task, needs, metrics, classifier)
    told = _told(dataset, root, task, needs, device, prompts)
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
    oracle, robust = networks.get("oracle"), networks.get("robust")
    autoencoder = networks.get("autoencoder", networks.get("segments"))
    return Bundle(
        classifier=_classifier(networks["classifier"], task, cards["classifier"]),
        prior=_walked(networks, cards) if told is None else told.prior,
        perceptual=networks.get("perceptual"),
        robust=None if robust is None else _classifier(robust, task, cards["robust"]),
        autoencoder=autoencoder,
        fisher=_fisher(autoencoder, task),
        representation=_features(networks.get("representation")),
        oracle=oracle,
        judge=None if oracle is None else _classifier(oracle, task, cards["oracle"]),
        identity=networks.get("identity"),
        class_unit=float(cards["classifier"].get("unit", 1.0)),
        perceptual_unit=float(cards.get("perceptual", {}).get("unit", 1.0)),
        attributes=tuple(cards.get("oracle", {}).get("attributes", ())),
        certificate=cards["classifier"].get("measured", {}),
        hashes=hashes | ({} if told is None else told.hashes),
        backbones={role: str(card.get("title", names[role])) for role, card in cards.items()}
        | ({} if told is None else {role: f"{role}, {dataset}" for role in told.hashes}),
    )


def _told(
    dataset: str,
    root: Path,
    task: Task,
    needs: Set[str],
    device: torch.device | str,
    prompts: Prompts | None,
) -> Told | None:
    """The data set's latent model, told of a task, if a method asks for it."""
    if not needs & LATENT:
        return None
    folder = latent_folder(dataset, root)
    places = (root / tokens_name(task.name), prepared(dataset, task.name))
    said = what_is_said(task, needs, prompts, *places)
    return tell(load_latent(folder), folder, task.classes, needs, device, said)


def latent_folder(dataset: str, root: Path | None = None) -> Path:
    """Folder of the latent model of a set that ships. Raises NetworkFileError: it is not there."""
    place = root or ASSETS / dataset
    if FILES[dataset].latent is None:
        raise NetworkFileError(f"no latent diffusion model ships for {dataset}; use synthfaces")
    if not (place / "latent").is_dir():
        raise NetworkFileError(
            f"{place / 'latent'} is missing: run `vcebench train {dataset} --part latent --output "
            f"{place}`"
        )
    return place / "latent"


def _names(
    dataset: str, task: Task, needs: Set[str], metrics: bool, classifier: str
) -> dict[str, str]:
    """Role → name of its file, of what a method and, if asked for, the metrics work with."""
    files = FILES[dataset]
    making = {
        "prior": files.prior,
        "classifier": files.explained(task.name)
        + ("" if classifier == "task" else f"-{classifier}"),
        "perceptual": files.perceptual,
        "bridge": files.bridge,
        **{role: role for role in files.codes},
    } | ({"robust": "robust"} if task.name in files.robust else {})
    told = {files.latent, *([TOKENS] if files.latent == TEXT else [])}
    for role in sorted(needs - making.keys() - told):
        raise NetworkFileError(
            f"no {role} network ships for {dataset} {task.name}; `vcebench list methods` shows "
            "methods that do without"
        )
    measuring = {
        "perceptual": files.perceptual,
        "representation": files.representation,
        "oracle": files.oracle,
    } | ({"identity": files.identity} if files.identity else {})
    kept = {role: name for role, name in making.items() if role == "classifier" or role in needs}
    return kept | (measuring if metrics else {})


def lacking(dataset: str, task: Task, needs: Set[str]) -> str | None:
    """Why a task's networks do not do for a method; None if they do. Nothing is loaded.

    Args:
        dataset, task: an embedded set's.
        needs: roles that the method asks for besides the classifier.
    """
    try:
        names = _names(dataset, task, needs, metrics=False, classifier="task")
    except NetworkFileError as error:
        return str(error)
    gone = [f"{n}.safetensors" for n in names.values() if not _path(dataset, n).is_file()]
    if needs & LATENT and not (ASSETS / dataset / "latent").is_dir():
        gone.append("latent/")
    if TOKENS in needs and not (ASSETS / dataset / tokens_name(task.name)).is_file():
        gone.append(tokens_name(task.name))
    return f"{dataset} ships without {', '.join(gone)}" if gone else None


def digests(dataset: str, task: Task, needs: Set[str]) -> dict[str, str]:
    """Role → SHA-256 of the files that images are made with; a file that lacks has none.

    Args:
        dataset, task, needs: see `lacking`; raises NetworkFileError for a role that does not ship.
    """
    names = _names(dataset, task, needs, metrics=False, classifier="task")
    paths = {role: _path(dataset, name) for role, name in names.items()}
    return {role: sha256(path) for role, path in paths.items() if path.is_file()}


def _path(dataset: str, name: str) -> Path:
    return ASSETS / dataset / f"{name}.safetensors"


def check_classifier(dataset: str, task: str, classifier: str) -> None:
    """Refuse a classifier that the task does not have."""
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


def _fisher(network: nn.Module | None, task: Task) -> Tensor | None:
    """The Fisher matrix of a task's classifier, if an autoencoder keeps one."""
    if not isinstance(network, ResidualAutoencoder) or task.name not in network.questions:
        return None
    return network.fisher[network.questions.index(task.name)]


def _features(network: nn.Module | None) -> nn.Module | None:
    if isinstance(network, SmoothClassifier | ResidualEncoder):
        return FeatureView(network).eval()
    return network


def _walked(
    networks: Mapping[str, nn.Module], cards: Mapping[str, Mapping[str, Any]]
) -> Prior | None:
    """The network that a method walks on, with its schedule; None without one."""
    if "prior" in networks:
        return Prior(networks["prior"], _schedule(cards["prior"]))
    if "bridge" in networks:
        return bridge_of(networks["bridge"], cards["bridge"])
    return None


def bridge_of(network: nn.Module, card: Mapping[str, Any]) -> BridgePrior:
    """A trained network on the bridge that its card describes; raises NetworkFileError."""
    described = card.get("bridge", {})
    if described.keys() != {"steps", "beta_max"}:
        raise NetworkFileError(f"no bridge is described by {described or 'the card'}")
    return BridgePrior(network, Bridge(int(described["steps"]), float(described["beta_max"])))


def _schedule(card: Mapping[str, Any]) -> Schedule:
    described = card.get("schedule", {})
    if described.get("name") != "linear":
        raise NetworkFileError(f"unknown schedule of the prior: {described}")
    return linear_schedule(int(described["steps"]), int(described["respacing"]))
