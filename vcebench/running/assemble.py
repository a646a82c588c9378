"""A worker from a configuration and the networks of its task."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import torch
from torch import nn

from vcebench.data.registry import dataset_entry
from vcebench.devices.capture import Captured, CapturedGuide, recorder_for
from vcebench.errors import UserError, user_errors
from vcebench.folders.images import Codec
from vcebench.methods.core.method import Method
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import TargetClassifier, over
from vcebench.models.latent_role import LATENT
from vcebench.models.loading import load_bundle
from vcebench.models.normalise import Coloured
from vcebench.running.precision import HALF, in_precision, layout
from vcebench.running.regions import region_of
from vcebench.running.worker import Worker
from vcebench.settings.config import GuidanceConfig, Precision, RunConfig
from vcebench.settings.request import method_of, needs_of

WALKED = frozenset({"prior", "bridge"}) | LATENT
"""Roles of the one network that a method walks on; it is the bundle's prior."""
CODED = frozenset({"autoencoder", "segments"})
"""Roles of the one network of codes that a method walks in; it is the bundle's autoencoder."""


def networks_of(config: RunConfig, metrics: bool = True) -> Bundle:
    """The networks of a run, on its device: what its method needs and, unless told, its metrics.

    Raises `UserError` if a file is not usable.
    """
    needs = needs_of(config.method, config.guidance.lambda_perceptual)
    with user_errors():
        if config.custom is not None:
            from vcebench.models.own import load_own_bundle, needs_perceptual
            from vcebench.settings.custom import stored_custom

            task = stored_custom(config.custom)
            if "perceptual" in needs:
                needs_perceptual(config.guidance.lambda_perceptual)
            return load_own_bundle(
                task, config.device, needs=needs, metrics=metrics, prompts=config.prompts
            )
        return load_bundle(
            config.dataset,
            config.task,
            config.device,
            needs=needs,
            metrics=metrics,
            classifier=config.classifier,
            prompts=config.prompts,
        )


def worker_of(config: RunConfig, bundle: Bundle) -> Worker:
    """The worker that makes a run's images."""
    if bundle.prior is not None:
        memory_format = layout(torch.device(config.device), config.precision)
        bundle.prior.network.to(memory_format=memory_format)
    return build_worker(
        config.method,
        method_of(config),
        bundle,
        config.guidance,
        shape=(bundle.channels, *_shape(config)[1:]),
        precision=config.precision,
        dataset=config.dataset,
        seed=config.seed,
        batch_size=config.batch_size,
        codec=Codec(config.image_format),
        device=torch.device(config.device),
        region=region_of(config, _shape(config)),
    )


def build_worker(
    name: str,
    method: Method,
    bundle: Bundle,
    guidance: GuidanceConfig,
    *,
    shape: tuple[int, int, int],
    precision: Precision,
    device: torch.device,
    **how: Any,
) -> Worker:
    """The worker of a method over the networks of a bundle, as a precision tier runs them.

    Args:
        name: id of the method, for messages.
        method, bundle, guidance: what explains, with which networks and weights.
        shape: (C, H, W) of the images.
        precision: the tier.
        device: where all of it runs; on a GPU the networks' evaluations are recorded once.
        how: all else that `Worker` is told.

    Raises:
        UserError: a network is missing, or a setting of the method or the tier does not fit.
    """
    needs = method.needs - ({"perceptual"} if guidance.lambda_perceptual == 0 else frozenset())
    _refuse(name, method, needs, bundle, shape, precision)
    prior, perceptual = bundle.prior, bundle.perceptual
    recorder = recorder_for(device)
    grey = bundle.channels == 1

    def as_run(network: nn.Module, role: str, kind: type[Captured] = CapturedGuide) -> nn.Module:
        tier = in_precision(Coloured(network) if grey and role != "prior" else network, precision)
        return tier if recorder is None else kind(tier, recorder, role)

    def guide(classifier: TargetClassifier, role: str) -> TargetClassifier:
        network = as_run(classifier.network, role)
        return classifier if network is classifier.network else over(classifier, network)

    judge = bundle.explained
    return Worker(
        method=method,
        prior=None if prior is None else prior.over(as_run(prior.network, "prior", Captured)),
        classifier=over(judge, Coloured(judge.network)) if grey else judge,
        guide=guide(judge, "classifier"),
        perceptual=as_run(perceptual, "perceptual network")
        if perceptual is not None and "perceptual" in needs
        else None,
        robust=None if bundle.robust is None else guide(bundle.robust, "robust classifier"),
        autoencoder=bundle.autoencoder,  # type: ignore[arg-type]  # by its role
        fisher=bundle.fisher,
        guidance=guidance,
        class_unit=bundle.class_unit,
        perceptual_unit=bundle.perceptual_unit,
        device=device,
        recorder=recorder,
        channels=bundle.channels,
        **how,
    )


def _refuse(
    name: str,
    method: Method,
    needs: Set[str],
    bundle: Bundle,
    shape: tuple[int, int, int],
    precision: Precision,
) -> None:
    """Raise what `build_worker` raises: what lacks, and what does not fit."""
    for role in sorted(needs - {"tokens"}):  # those are words that a latent network is told
        given = "autoencoder" if role in CODED else "latent" if role in LATENT else role
        if getattr(bundle, "prior" if role in WALKED else given, None) is None:
            raise UserError(f"{name} needs a {role} network, and there is none; give {given}=…")
    if needs & (CODED | LATENT) and precision in HALF:
        raise UserError(f"{name} runs in full precision only; use --precision exact or fast")
    with user_errors():
        method.check(bundle.prior, shape)
        method.check_classifier(bundle.explained)
    if precision in HALF and method.evaluations()[1]:
        raise UserError(
            f"{name} goes back through the network it walks on, and what {precision} does to its "
            "flips is not measured; use precision exact or fast"
        )


def _shape(config: RunConfig) -> tuple[int, int, int]:
    """(C, H, W) of a run's images."""
    if config.custom is None:
        return (3, *dataset_entry(config.dataset).size)
    from vcebench.settings.custom import stored_custom

    geometry = stored_custom(config.custom).data.geometry()
    return (3, geometry.height, geometry.width)
