"""A worker from a configuration and the networks of its task."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from vcebench.errors import UserError, user_errors
from vcebench.folders.images import Codec
from vcebench.methods.core.prior import Prior
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import TargetClassifier, over
from vcebench.models.loading import load_bundle
from vcebench.running.precision import in_precision
from vcebench.running.worker import Worker
from vcebench.settings.config import RunConfig
from vcebench.settings.request import method_of


def networks_of(config: RunConfig) -> Bundle:
    """The networks of a run's task, on its device. Raises `UserError` if a file is not usable."""
    with user_errors():
        if config.custom is not None:
            from vcebench.models.own import load_own_bundle, needs_perceptual
            from vcebench.settings.custom import stored_custom

            task = stored_custom(config.custom)
            needs_perceptual(config.guidance.lambda_perceptual)
            return load_own_bundle(task, config.device)
        return load_bundle(config.dataset, config.task, config.device, classifier=config.classifier)


def network_facts(bundle: Bundle) -> dict[str, dict[str, Any]]:
    """Role → name and checkpoint hash, and that of its code if it is known, for the manifest."""
    facts = {
        role: {"name": bundle.backbones.get(role, role), "sha256": digest}
        for role, digest in bundle.hashes.items()
    }
    for role, digest in bundle.codes.items():
        facts[role]["code_sha256"] = digest
    return facts


def worker_of(config: RunConfig, bundle: Bundle) -> Worker:
    """The worker that makes a run's images."""
    explainer = method_of(config)
    with user_errors():
        explainer.check(bundle.prior, ())
    bundle.prior.network.to(memory_format=torch.channels_last)
    return Worker(
        method=explainer,
        prior=Prior(in_precision(bundle.prior.network, config.precision), bundle.prior.schedule),
        classifier=bundle.classifier,
        guide=guide_of(bundle.classifier, config.precision),
        perceptual=in_precision(bundle.perceptual, config.precision),
        guidance=config.guidance,
        dataset=config.dataset,
        seed=config.seed,
        batch_size=config.batch_size,
        class_unit=bundle.class_unit,
        perceptual_unit=bundle.perceptual_unit,
        codec=Codec(config.image_format),
        device=torch.device(config.device),
    )


def guide_of(classifier: TargetClassifier, precision: Any) -> TargetClassifier:
    """The classifier over a network run in a precision tier; the given one stays as it is."""
    wrapped = in_precision(classifier.network, precision)
    if wrapped is classifier.network:
        return classifier
    return over(classifier, wrapped)


def check_finite(network: nn.Module, role: str) -> None:
    """Refuse a network with NaN or infinite weights."""
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise UserError(f"the {role} has NaN or infinity in {name}; load a sound checkpoint")
