"""Counterfactuals for a classifier of your own, from Python."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from vcebench.errors import UserError, user_errors
from vcebench.folders.images import dequantise, quantise
from vcebench.methods.core.bridge import Bridge, BridgePrior
from vcebench.methods.core.prior import ConditionalPrior, Prior
from vcebench.methods.core.schedule import Schedule, linear_schedule
from vcebench.methods.registry import method as method_by_name
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import TargetClassifier, over
from vcebench.models.diffusers_prior import DiffusersPrior
from vcebench.models.interpret import interpret
from vcebench.models.networks import common_device, evaluation_mode
from vcebench.models.normalise import Single
from vcebench.running.already import unsettled
from vcebench.running.assemble import build_worker, check_finite
from vcebench.running.engines.local import LocalEngine
from vcebench.running.ladder import Final, Ladder, drive
from vcebench.running.precision import precision_flags
from vcebench.running.probe import probe
from vcebench.running.regions import given_region
from vcebench.running.tries import Item
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
    for role, module in (
        ("classifier", classifier),
        ("perceptual", perceptual),
        ("robust", robust),
        ("autoencoder", autoencoder),
        ("latent", latent),
    ):
        if not isinstance(module, nn.Module) and (module is not None or role == "classifier"):
            raise UserError(f"{role} is a {type(module).__name__}; give a torch.nn.Module")
    if latent is not None and not isinstance(latent, ConditionalPrior):
        raise UserError(f"latent is a {type(latent).__name__}; give a ConditionalPrior")
    levels = _levels(images, value_range)
    grey = levels.shape[1] == 1
    levels = levels.expand(-1, 3, -1, -1)  # as files of grey images are read
    with user_errors():
        explainer = method_by_name(method, **settings)
    finder, regions = given_region(method, region, levels)
    if perceptual is None and "perceptual" not in explainer.needs:
        lambda_perceptual = 0
    _check_segments(segments, levels, method, explainer.needs)
    guidance = _guidance(perceptual, lambda_perceptual, lambda_class, lambda_l1, use_logits)
    network = None if prior is None else _prior(prior)
    direction = None if bridge is None else _bridge(bridge)
    given = {
        "prior": network,
        "bridge": direction,
        "latent network": latent,
        "latent autoencoder": None if latent is None else _autoencoder(latent),
        "classifier": classifier,
        "perceptual network": perceptual,
        "robust classifier": robust,
        "autoencoder": autoencoder,
    }
    roles = {role: module for role, module in given.items() if module is not None}
    for role, module in roles.items():
        check_finite(module, role)
    device = common_device(roles)
    with evaluation_mode(roles.values()), precision_flags(precision):
        explained = _classifier(classifier, levels, device, outputs, grey)
        targets = _targets(target, levels, explained, device)
        bundle = Bundle(
            classifier=explained,
            prior=_walked(explainer.needs, network, direction, latent),
            perceptual=perceptual,
            robust=None if robust is None else _classifier(robust, levels, device, None, grey),
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
        engine = LocalEngine(worker, threads)
        try:
            rungs = explainer.rungs(guidance.lambda_class)
            finals: list[Final] = []
            items = unsettled(
                _items(levels, ids, targets, regions, segments), worker, finals.append
            )
            for batch in drive(Ladder(items, rungs, batch_size), engine):
                finals += batch.finals
        finally:
            engine.close()
    return _collect(sorted(finals, key=lambda final: final.attempt.item.index), bundle.channels)


def _levels(images: Tensor, value_range: tuple[float, float] | None) -> Tensor:
    """The images as uint8; refuses other shapes and ranges."""
    if not isinstance(images, Tensor):
        raise UserError(f"images are a {type(images).__name__}; give a torch tensor")
    shape = tuple(images.shape)
    if images.ndim != 4 or shape[1] not in (1, 3) or len(images) == 0:
        raise UserError(
            f"images have shape {shape}; give (N, 3, H, W), or (N, 1, H, W), with N of at least 1"
        )
    below, above = value_range or (-1.0, 1.0)
    if not below < above:
        raise UserError(f"value_range is {value_range}; give (black, white), such as (0, 1)")
    if images.dtype == torch.uint8:
        return images.cpu()
    if not images.is_floating_point():
        raise UserError(f"images are {images.dtype}; give uint8, or float in [-1, 1]")
    if not bool(images.isfinite().all()):
        raise UserError("images hold NaN or infinity; give float in [-1, 1]")
    low, high = float(images.min()), float(images.max())
    if low < below or high > above:
        raise UserError(
            f"float images reach from {low:g} to {high:g}; give float in [-1, 1], uint8, or say "
            "value_range=(black, white)"
        )
    if value_range is None and low >= 0:
        warnings.warn(
            "no value of the images is below 0: they are read as [-1, 1], where 0 is grey; say "
            "value_range=(0, 1) if 0 is black, or value_range=(-1, 1) if this is right",
            stacklevel=3,
        )
    if (below, above) != (-1.0, 1.0):
        images = (images.float() - below) * (2 / (above - below)) - 1
    return quantise(images).cpu()


def _check_segments(
    segments: Tensor | None, levels: Tensor, method: str, needs: frozenset[str]
) -> None:
    """Refuse maps that are missing, or are not those of the images."""
    wanted = (len(levels), *levels.shape[2:])
    if segments is None:
        if "segments" in needs:
            raise UserError(f"{method} needs to know what is where; give segments=…, {wanted}")
    elif segments.dtype != torch.uint8 or tuple(segments.shape) != wanted:
        raise UserError(
            f"segments are {segments.dtype} with shape {tuple(segments.shape)}; give uint8 with "
            f"shape {wanted}"
        )


def _prior(prior: Prior | tuple[nn.Module, Schedule] | nn.Module) -> Prior:
    if isinstance(prior, BridgePrior):
        raise UserError("the prior is a bridge; give it as bridge=…")
    if isinstance(prior, Prior):
        return prior
    if isinstance(prior, tuple):
        network, schedule = prior if len(prior) == 2 else (None, None)
        if not isinstance(network, nn.Module) or not isinstance(schedule, Schedule):
            raise UserError("the prior is a tuple of other things; give (network, schedule)")
    elif _is_diffusers(prior):
        network, schedule = prior, linear_schedule(1000, 200)
    else:
        raise UserError(
            "the prior has no schedule; give (network, schedule), e.g. with "
            "vcebench.methods.linear_schedule(1000, 200)"
        )
    return Prior(DiffusersPrior(network) if _is_diffusers(network) else network, schedule)


def _bridge(bridge: BridgePrior | tuple[nn.Module, Bridge]) -> BridgePrior:
    if isinstance(bridge, tuple) and len(bridge) == 2 and isinstance(bridge[1], Bridge):
        return BridgePrior(*bridge)
    if not isinstance(bridge, BridgePrior):
        raise UserError(
            "the bridge has no schedule; give (network, vcebench.methods.Bridge(T)) with the T it "
            "was trained on"
        )
    return bridge


def _autoencoder(latent: ConditionalPrior) -> nn.Module | None:
    """The autoencoder that a latent prior's space is of, if it is a module."""
    found = getattr(latent.space, "autoencoder", None)
    return found if isinstance(found, nn.Module) else None


def _walked(
    needs: frozenset[str],
    prior: Prior | None,
    bridge: BridgePrior | None,
    latent: ConditionalPrior | None,
) -> Prior | None:
    """What a method with these needs walks on."""
    if needs & {"latent-text", "latent-class"}:
        return latent
    return bridge if "bridge" in needs else prior


def _is_diffusers(network: nn.Module) -> bool:
    # By name, so that diffusers is needed only by those who use it.
    return any(kind.__name__ == "UNet2DModel" for kind in type(network).__mro__)


def _classifier(
    network: nn.Module,
    levels: Tensor,
    device: torch.device,
    outputs: Meaning | None,
    grey: bool,
) -> TargetClassifier:
    """The classifier behind the interface of the methods, by what it says of images."""
    if isinstance(network, TargetClassifier):
        return over(network, Single(network.network)) if grey else network
    network = Single(network) if grey else network
    found = interpret(network, dequantise(levels[[0, -1]].to(device)), meaning=outputs)
    for note in found.notes:
        warnings.warn(note, stacklevel=3)
    return found.classifier


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


def _targets(
    target: int | Sequence[int] | Tensor | None,
    images: Tensor,
    classifier: TargetClassifier,
    device: torch.device,
) -> list[int | None]:
    """One target class for each image, or None each."""
    if target is None:
        return [None] * len(images)
    try:
        wanted = torch.as_tensor(target)
    except (TypeError, ValueError, RuntimeError):
        raise UserError(f"target is {target!r}; give class numbers, counted from 0") from None
    if wanted.ndim == 0:
        wanted = wanted.expand(len(images))
    if wanted.dtype in (torch.bool, torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise UserError(f"target is {wanted.dtype}; give class numbers, counted from 0")
    if wanted.shape != (len(images),):
        raise UserError(
            f"target has shape {tuple(wanted.shape)}; give one class, or one for each of the "
            f"{len(images)} images"
        )
    with torch.no_grad():
        classes = classifier.probabilities(dequantise(images[:1].to(device))).shape[1]
    low, high = int(wanted.min()), int(wanted.max())
    if low < 0 or high >= classes:
        raise UserError(f"target reaches from {low} to {high}; use classes 0 … {classes - 1}")
    return [int(value) for value in wanted]


def _items(
    images: Tensor,
    ids: Sequence[str] | None,
    targets: Sequence[int | None],
    regions: Sequence[Tensor | None],
    segments: Tensor | None,
) -> Iterator[Item]:
    names = [f"image-{i:05d}" for i in range(len(images))] if ids is None else list(ids)
    if len(names) != len(images) or len(set(names)) != len(names):
        raise UserError(f"give one id for each of the {len(images)} images, no two the same")
    rows = zip(names, images, targets, regions, strict=True)
    for index, (name, image, target, region) in enumerate(rows):
        where = None if segments is None else segments[index].cpu()
        yield Item(name, index, image, -1, target=target, region=region, segments=where)


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
