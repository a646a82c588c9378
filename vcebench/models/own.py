"""All networks of somebody's own task: any classifier, any prior, and what metrics find."""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import Path

import torch

from vcebench.errors import UserError
from vcebench.methods.core.method import Method
from vcebench.models.bundle import Bundle
from vcebench.models.latent_role import LATENT
from vcebench.models.own_classifier import explained, load_classifier, state_digest, state_of
from vcebench.models.own_latent import load_own_latent
from vcebench.models.own_metrics import with_metric_networks
from vcebench.models.own_prior import LoadedPrior, load_bridge, load_prior
from vcebench.models.own_robust import load_robust
from vcebench.models.published import load_published
from vcebench.settings.custom import CustomTask
from vcebench.settings.prompts import Prompts
from vcebench.weights.cards import CARDS
from vcebench.weights.store import Found, advice, locate, verify, weights_root

METRIC_ROLES = {"representation": "inception", "semantic": "simsiam", "lpips": "lpips"}


def load_own_bundle(
    task: CustomTask,
    device: torch.device | str = "cpu",
    weights: Path | None = None,
    needs: Set[str] = Method.needs,
    metrics: bool = True,
    required: bool = True,
    prompts: Prompts | None = None,
) -> Bundle:
    """The networks of somebody's own task, and those published ones that happen to be there.

    Without the published VGG-19 there is no perceptual loss: λ_p has to be 0 then.

    Args:
        task: what the TOML file says.
        device: where the networks shall live.
        weights: the weights folder.
        needs, metrics, required, prompts: see `vcebench.models.loading.load_bundle`.

    Raises UserError: a network cannot be loaded, or does not fit the images or their classes.
    """
    part = task.classifier
    if part is None and required:
        raise UserError(f"{NO_CLASSIFIER}, which is needed here; add it")
    classifier = None if part is None else load_classifier(part)
    walked = _walked(task, needs, device, prompts)
    prior = None if walked is None else walked[1]
    robust = load_robust(task, device) if "robust" in needs else None
    loaded = {"classifier": classifier, "robust": None if robust is None else robust.loaded}
    classifiers = {role: one for role, one in loaded.items() if one is not None}
    root = weights_root(weights)
    roles = {"perceptual": "vgg19"} if metrics or "perceptual" in needs else {}
    roles |= METRIC_ROLES if metrics else {}
    found = {r: f for r, id in roles.items() if (f := locate(CARDS[id], root)) is not None}
    networks = {role: load_published(CARDS[roles[role]], f.path) for role, f in found.items()}
    own = [] if classifier is None else [classifier.network]
    for network in (*own, *([] if prior is None else [prior.prior]), *networks.values()):
        network.to(device)
    reading = None
    if part is not None and classifier is not None:
        reading = explained(classifier.network, task, part, device)
    bundle = Bundle(
        classifier=None if reading is None else reading.classifier,
        prior=None if prior is None else prior.prior,
        perceptual=networks.get("perceptual"),
        robust=None if robust is None else robust.classifier,
        representation=networks.get("representation"),
        semantic=networks.get("semantic"),
        lpips=networks.get("lpips"),
        class_unit=1.0 if part is None else part.unit,
        hashes={role: state_of(one) for role, one in classifiers.items()}
        | ({} if walked is None else {walked[0]: state_digest(walked[1].prior), **walked[1].hashes})
        | {role: verify(CARDS[roles[role]], f, root) for role, f in found.items()},
        backbones={role: one.name for role, one in classifiers.items()}
        | ({} if walked is None else {walked[0]: walked[1].name})
        | {role: CARDS[roles[role]].title for role in networks},
        missing=_missing(found, roles, root)
        | ({} if classifier is not None else {"classifier": NO_CLASSIFIER}),
        codes={role: one.code for role, one in classifiers.items() if one.code is not None},
        channels=3 if prior is None else prior.channels,
        notes=tuple(n for part in (classifier, reading, prior) if part for n in part.notes),
    )
    return with_metric_networks(bundle, task, device) if metrics else bundle


NO_CLASSIFIER = "the file of the task has no [classifier]"


def _missing(found: Mapping[str, Found], roles: Mapping[str, str], root: Path) -> dict[str, str]:
    reasons = {role: advice(CARDS[id], root) for role, id in roles.items() if role not in found}
    return reasons | {
        "oracle": "the file of the task has no [oracle]",
        "identity": "there is no identity network for a task of one's own",
    }


def _walked(
    task: CustomTask, needs: Set[str], device: torch.device | str, prompts: Prompts | None
) -> tuple[str, LoadedPrior] | None:
    """Role and network that a method walks on; None if it walks on none."""
    for role in sorted(needs & LATENT):
        return role, load_own_latent(task, needs, device, prompts)
    for role in ("prior", "bridge"):
        if role in needs:
            if role == "prior" and task.prior is not None:
                return role, load_prior(task.prior)
            if role == "bridge" and task.bridge is not None:
                return role, load_bridge(task.bridge)
            raise UserError(
                f"the method walks on a {role}, and the task's file has no section [{role}]; add "
                "one, or take another method (docs/own-data.md)"
            )
    return None


def needs_perceptual(lambda_perceptual: float, weights: Path | None = None) -> None:
    """Refuse a perceptual loss for which there is no network; raises UserError."""
    root = weights_root(weights)
    if lambda_perceptual != 0 and locate(CARDS["vgg19"], root) is None:
        raise UserError(
            f"{advice(CARDS['vgg19'], root)}; or go without: lambda_perceptual = 0 in [run]"
        )
