"""Counterfactuals for a classifier of your own, from Python."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vcebench.errors import UserError, user_errors
from vcebench.folders.images import dequantise
from vcebench.methods.core.bridge import Bridge, BridgePrior
from vcebench.methods.core.prior import ConditionalPrior, Prior
from vcebench.methods.core.schedule import Schedule
from vcebench.methods.registry import method as method_by_name
from vcebench.models.bundle import Bundle
from vcebench.models.given import (
    autoencoder_of,
    bridge_of,
    check_modules,
    classifier_of,
    prior_of,
    walked,
)
from vcebench.models.networks import check_finite, common_device, evaluation_mode
from vcebench.running.already import unsettled
from vcebench.running.assemble import build_worker
from vcebench.running.engines.local import LocalEngine
from vcebench.running.given import check_segments, items_of, levels_of, targets_of
from vcebench.running.ladder import Final, Ladder, drive
from vcebench.running.precision import precision_flags
from vcebench.running.probe import probe
from vcebench.running.regions import given_region
from vcebench.running.tries import Item
from vcebench.running.worker import Worker
from vcebench.settings.arguments import check_arguments
from vcebench.settings.config import LADDER, GuidanceConfig, Precision, Setting, build_guidance
from vcebench.settings.parts import Meaning
from vcebench.showing.explanations import Explanations


def explain(
    images: Tensor,
    *,
    classifier: nn.Module,
    prior: Prior | tuple[nn.Module, Schedule] | nn.Module | None = None,
    method: str = "maskdime",
    target: int | Sequence[int] | Tensor | None = None,
    perceptual: nn.Module | None = None,
    robust: nn.Module | None = None,
    autoencoder: nn.Module | None = None,
    fisher: Tensor | None = None,
    segments: Tensor | None = None,
    bridge: BridgePrior | tuple[nn.Module, Bridge] | None = None,
    latent: ConditionalPrior | None = None,
    region: Tensor | str | None = None,
    lambda_class: Sequence[float] = LADDER,
    lambda_perceptual: float | None = None,
    lambda_l1: float = 0.05,
    use_logits: bool = True,
    class_unit: float = 1.0,
    perceptual_unit: float = 1.0,
    seed: int = 0,
    batch_size: int = 16,
    precision: Precision = "exact",
    threads: int | None = None,
    ids: Sequence[str] | None = None,
    value_range: tuple[float, float] | None = None,
    outputs: Meaning | None = None,
    **settings: Setting,
) -> Explanations:
    """Counterfactuals of images for any classifier, with any of the registered methods.

    Args:
        images: uint8, or float in [-1, 1] (the type says which), with shape (N, 3, H, W). Float
            images are rounded to 256 levels first: a file could not hold more. Of shape
            (N, 1, H, W) they are explained in one channel: prior, bridge, classifier and robust
            classifier take such images, and a network of features sees the channel three times.
        classifier: images in [-1, 1] to logits: (B,) or (B, 1) for two classes, (B, K) for K.
            It normalises its input itself.
        prior: a `Prior`; a noise-predicting network called as network(z, t) with the schedule it
            was trained on; or a diffusers `UNet2DModel`, alone (then 1,000 linear steps, 200 of
            them used) or with its schedule. Methods that walk on no prior do without.
        method: id of a method, see `vcebench list methods`.
        target: class wanted, one for all images or one for each; without it the other class of a
            two-class classifier, or the runner-up of K. Images that are predicted as it already
            stay as they are.
        perceptual: images in [-1, 1] to features (B, C, h, w), for the perceptual loss; without
            it say lambda_perceptual=0.
        robust: an adversarially trained classifier of the same classes, for methods that need one.
        autoencoder: network of codes, for methods that move them, in evaluation mode here:
            `encode(images)` → mean and log-variance (B, c) and `decode(codes)` → images in [-1, 1];
            for `steex` one of regions, see `vcebench.methods.core.space.SemanticAutoencoder`.
        fisher: how the classifier depends on each pair of the codes, (c, c), for `dive-fisher`; see
            `vcebench.methods.dive.fisher`.
        segments: number of every pixel's region, uint8 with shape (N, H, W), for `steex`.
        bridge: a `BridgePrior`, or a network called as network(z, level) with the `Bridge` it was
            trained on, for methods that walk on one (RCSB).
        latent: a `ConditionalPrior` among the `Latents` of an autoencoder on the same device, for
            methods that walk there (LDCE, TiME, ECED); what it is told of classes is its own.
        region: where the images may change, bool with shape (N, 1, H, W), or "cells:20",
            "pixels:10:saliency", "free-form:10-20", "all" (docs/regions.md); without it that is up
            to the method. Outside of it a counterfactual is the image.
        lambda_class: λ_c, tried in turn until the prediction flips.
        lambda_perceptual, lambda_l1: λ_p (30 unless given) and λ_l.
        use_logits: guide with the logits, as released; else with log-probabilities.
        class_unit, perceptual_unit: factors of the two gradients, for classifiers whose logits
            are much smaller or larger than usual.
        seed: of the noise.
        batch_size: images in a batch; the last bits of a result depend on it.
        precision: "exact", "fast", "bf16" or "fp16".
        threads: CPU threads; results do not depend on it.
        ids: names that key the noise (default: the position), so that an image keeps its result
            when it moves.
        value_range: what is black and what is white in float images, if it is not -1 and 1.
        outputs: "logits" or "probabilities", what the classifier returns; needed only where its
            outputs never leave [0, 1].
        settings: of the method, e.g. guidance_scale=8.0, top_k=0.05, tau=60.

    Raises:
        UserError: (a ValueError) one line that says which argument to change, and how.
    """
    check_arguments(
        method=method,
        lambda_class=lambda_class,
        lambda_perceptual=lambda_perceptual,
        lambda_l1=lambda_l1,
        use_logits=use_logits,
        class_unit=class_unit,
        perceptual_unit=perceptual_unit,
        seed=seed,
        batch_size=batch_size,
        threads=threads,
        precision=precision,
        outputs=outputs,
        ids=ids,
        value_range=value_range,
    )
    check_modules(classifier, latent, perceptual=perceptual, robust=robust, autoencoder=autoencoder)
    levels = levels_of(images, value_range)
    grey = levels.shape[1] == 1
    levels = levels.expand(-1, 3, -1, -1)  # as files of grey images are read
    with user_errors():
        explainer = method_by_name(method, **settings)
    finder, regions = given_region(method, region, levels)
    if perceptual is None and "perceptual" not in explainer.needs:
        lambda_perceptual = 0
    check_segments(segments, levels, method, explainer.needs)
    guidance = _guidance(perceptual, lambda_perceptual, lambda_class, lambda_l1, use_logits)
    network = None if prior is None else prior_of(prior)
    direction = None if bridge is None else bridge_of(bridge)
    roles = {
        "prior": network,
        "bridge": direction,
        "latent network": latent,
        "latent autoencoder": None if latent is None else autoencoder_of(latent),
        "classifier": classifier,
        "perceptual network": perceptual,
        "robust classifier": robust,
        "autoencoder": autoencoder,
    }
    there = {role: module for role, module in roles.items() if module is not None}
    for role, module in there.items():
        check_finite(module, role)
    device = common_device(there)
    with evaluation_mode(there.values()), precision_flags(precision):
        ends = dequantise(levels[[0, -1]].to(device))
        explained = classifier_of(classifier, ends, outputs, grey)
        targets = targets_of(target, levels, explained, device)
        bundle = Bundle(
            classifier=explained,
            prior=walked(explainer.needs, network, direction, latent),
            perceptual=perceptual,
            robust=None if robust is None else classifier_of(robust, ends, None, grey),
            autoencoder=autoencoder,
            fisher=None if fisher is None else fisher.to(device),
            class_unit=class_unit,
            perceptual_unit=perceptual_unit,
            channels=1 if grey else 3,
        )
        worker = build_worker(
            method,
            explainer,
            bundle,
            guidance,
            shape=(bundle.channels, *levels.shape[2:]),
            precision=precision,
            dataset="user",
            seed=seed,
            batch_size=batch_size,
            device=device,
            keep_files=False,
            region=finder,
        )
        probe(worker, list(levels[:batch_size]))
        items = items_of(levels, ids, targets, regions, segments)
        finals = _settled(worker, items, explainer.rungs(guidance.lambda_class), threads)
    return _collect(finals, bundle.channels)


def _settled(
    worker: Worker, items: Iterable[Item], rungs: Sequence[Mapping[str, Any]], threads: int | None
) -> list[Final]:
    """The last try of every image, in their order."""
    engine = LocalEngine(worker, threads)
    finals: list[Final] = []
    try:
        waiting = unsettled(items, worker, finals.append)
        for batch in drive(Ladder(waiting, rungs, worker.batch_size), engine):
            finals += batch.finals
    finally:
        engine.close()
    return sorted(finals, key=lambda final: final.attempt.item.index)


def _guidance(
    perceptual: nn.Module | None,
    lambda_perceptual: float | None,
    lambda_class: Sequence[float],
    lambda_l1: float,
    use_logits: bool,
) -> GuidanceConfig:
    if perceptual is None and lambda_perceptual != 0:
        raise UserError(
            "there is no perceptual network; give perceptual=..., or say lambda_perceptual=0"
        )
    return build_guidance(
        lambda_class=tuple(lambda_class),
        lambda_perceptual=30.0 if lambda_perceptual is None else lambda_perceptual,
        lambda_l1=lambda_l1,
        use_logits=use_logits,
    )


def _collect(finals: Sequence[Final], channels: int) -> Explanations:
    """Tensors from the last tries, in the order of the images."""
    outcomes = [final.outcome for final in finals]

    def masks(name: str) -> Tensor | None:
        found = [getattr(outcome, name) for outcome in outcomes]
        known = next((mask for mask in found if mask is not None), None)
        if known is None:
            return None
        nowhere = torch.zeros_like(known)  # of an image that stays as it is
        return torch.stack([nowhere if mask is None else mask for mask in found])

    rungs = [final.attempt.lambda_class for final in finals]
    names = ["flipped", "prediction", "source", "target", "finite"]
    names += ["target_probability_input", "target_probability"]
    return Explanations(
        counterfactuals=torch.stack([outcome.image[:channels] for outcome in outcomes]),
        lambda_class=torch.tensor(
            [math.nan if rung is None else rung for rung in rungs], dtype=torch.float32
        ),
        tries=torch.tensor([final.cost.tries for final in finals]),
        nfe=torch.tensor([final.cost.nfe for final in finals]),
        backward=torch.tensor([final.cost.backward for final in finals]),
        already_target=torch.tensor([outcome.already for outcome in outcomes]),
        mask_z=masks("mask_z"),
        mask_x=masks("mask_x"),
        images=torch.stack([final.attempt.item.image[:channels] for final in finals]),
        region=masks("region"),
        **{name: torch.tensor([getattr(o, name) for o in outcomes]) for name in names},
    )
