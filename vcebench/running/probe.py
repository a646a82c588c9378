"""Whether networks of somebody's own can do what a run asks of them, before it begins.

One image alone and one full batch go through the classifier (with its gradient), the perceptual
network and the prior. Whatever would stop a run in the middle, or make its figures depend on chance
or on the batch, is said in one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vcebench.data.base import ImageSet
from vcebench.data.files import BadImageError
from vcebench.errors import UserError, one_line
from vcebench.methods.core.bridge import BridgePrior
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.method import given
from vcebench.methods.core.prior import ConditionalPrior, Prior
from vcebench.methods.core.space import Autoencoder
from vcebench.models.classifier import TargetClassifier
from vcebench.models.interpret import outputs_of
from vcebench.models.latent_role import LATENT
from vcebench.running.assemble import WALKED
from vcebench.running.halving import is_out_of_memory
from vcebench.running.worker import Worker
from vcebench.settings.config import RunConfig

_SAME = 1e-3
"""How far two answers about one image may be apart, relative to the largest."""

_FACTORS = (2, 4, 8, 16, 32, 64)
"""What the sides of an image may have to be multiples of."""


def first_images(config: RunConfig, images: ImageSet) -> list[Tensor]:
    """The images of the first full batch, uint8 with shape (3, H, W).

    Raises BadImageError unless the run skips files that cannot be used.
    """
    found: list[Tensor] = []
    for index in config.indices():
        if len(found) == config.batch_size:
            break
        try:
            found.append(images[index].image)
        except BadImageError:
            if not config.skip_bad:
                raise
    return found


def probe(worker: Worker, images: Sequence[Tensor]) -> None:
    """Ask every network of a worker about one image alone and about a full batch.

    Args:
        worker: with the networks.
        images: some of the first ones, uint8 with shape (3, H, W).

    Raises:
        UserError: the first thing that is not right, with what to do.
    """
    if not images:
        return
    padded = [images[i % len(images)] for i in range(worker.batch_size)]
    try:
        x = worker.walked(padded)
    except MethodError as error:
        raise UserError(one_line(error)) from error
    try:
        _classifier(worker.classifier, x)
        _gradient(worker.guide, x)
        if worker.perceptual is not None and worker.guidance.lambda_perceptual != 0:
            _perceptual(worker.perceptual, x)
        if worker.method.needs & LATENT:
            _latents(worker, x)
        elif worker.method.needs & WALKED:
            _prior(worker, x)
        if "autoencoder" in worker.method.needs:
            _codes(worker, x)
    except torch.cuda.OutOfMemoryError:
        return  # the run goes on with smaller batches


@torch.no_grad()
def _classifier(classifier: TargetClassifier, x: Tensor) -> None:
    network = classifier.network
    alone, many, again = (outputs_of(network, images) for images in (x[:1], x, x))
    if many.shape[:1] != x.shape[:1] or alone.shape != (1, *many.shape[1:]):
        raise UserError(
            f"the classifier gives {tuple(many.shape)} for {len(x)} images but "
            f"{tuple(alone.shape)} for one; take the squeeze out, or write flatten(1) for it"
        )
    if not bool(many.isfinite().all()):
        raise UserError(
            "the classifier gives NaN or infinity for the first images; check its weights and the "
            "mean and std it expects"
        )
    scale = _SAME * (1 + float(many.abs().max()))
    if float((many - again).abs().max()) > scale:
        raise UserError(
            "the classifier gives two answers to the same images; turn its dropout or noise off "
            "in evaluation mode (F.dropout needs training=self.training)"
        )
    if float((many[:1] - alone).abs().max()) > scale:
        raise UserError(
            "the classifier's answer to an image depends on the others in the batch; let its batch "
            "norm use its running statistics"
        )


def _gradient(classifier: TargetClassifier, x: Tensor) -> None:
    with torch.no_grad():
        decision = classifier.decide(x)
    for images in (x[:1], x):
        target, source = decision.target[: len(images)], decision.source[: len(images)]
        at = images.clone().requires_grad_()
        try:
            with torch.enable_grad():
                margin = classifier.margin(at, target, source)
                (gradient,) = torch.autograd.grad(margin.sum(), at, allow_unused=True)
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # it is somebody's own code: anything can happen in it
            raise UserError(_why_no_gradient(error)) from error
        if gradient is None:
            raise UserError(_why_no_gradient(None))
        if not bool(gradient.isfinite().all()):
            raise UserError("the classifier's gradient is NaN or infinite on the first images")


def _why_no_gradient(error: Exception | None) -> str:
    text = "" if error is None else one_line(error)
    if error is None or "does not require grad" in text or "detach()" in text:
        return (
            "the classifier gives no gradient with respect to the image: is there a torch.no_grad, "
            "detach, numpy or argmax in its forward? take it out"
        )
    if "in-place" in text or "inplace" in text:
        return (
            "the classifier changes the image in place, which has no gradient; make it write into "
            "new tensors (x = x - mean, not x -= mean)"
        )
    return f"the classifier's gradient fails: {text[:300]}"


def _perceptual(network: Callable[[Tensor], Tensor], x: Tensor) -> None:
    for images in (x[:1], x):
        at = images.clone().requires_grad_()
        with torch.enable_grad():
            features = _answer("perceptual network", images, partial(network, at))
            shape = tuple(features.shape)
            if len(shape) != 4 or shape[0] != len(images) or not features.requires_grad:
                raise UserError(
                    f"the perceptual network gives {shape} for {len(images)} images; it must "
                    "return features with shape (B, C, h, w), with their gradient"
                )
            (gradient,) = torch.autograd.grad(features.square().mean(), at)
        if not bool(features.isfinite().all() and gradient.isfinite().all()):
            raise UserError("the perceptual network gives NaN or infinity on the first images")


@torch.no_grad()
def _prior(worker: Worker, x: Tensor) -> None:
    prior = given(worker.prior)
    i, z = _half_way(prior, x)
    channels = x.shape[1]
    role, kinds, said = "prior", {channels, 2 * channels}, "3 (noise) or 6 (noise and variance)"
    if isinstance(prior, BridgePrior):
        role, kinds, said = "bridge", {channels}, "3 (the direction to it)"
    for images in (z[:1], z):
        try:
            out = _answer(role, images, partial(prior.evaluate, images, i))
        except UserError as error:
            raise UserError(f"{error}{_sizes(worker, x.shape[1:], i)}") from error.__cause__
        if out.ndim != 4 or out.shape[1] not in kinds:
            raise UserError(
                f"the {role} gives {tuple(out.shape)} for images of shape {tuple(images.shape)}; a "
                f"{role} of images with 3 channels gives {said}"
            )
        if out.shape[2:] != images.shape[2:] or len(out) != len(images):
            raise UserError(
                f"the {role} gives {tuple(out.shape)} for images of shape {tuple(images.shape)}"
                f"{_sizes(worker, x.shape[1:], i)}"
            )
        if not bool(out.isfinite().all()):
            raise UserError(
                f"the {role} gives NaN or infinity for a noisy image; check its weights"
            )


def _half_way(prior: Prior, x: Tensor) -> tuple[int, Tensor]:
    """An index of the chain, and the images noised to it."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x)
    if isinstance(prior, BridgePrior):
        i = len(prior.bridge) // 2
        return i, prior.bridge.q_sample(x, i, noise)
    i = len(prior.schedule) // 2
    return i, prior.schedule.q_sample(x, i, noise)


@torch.no_grad()
def _latents(worker: Worker, x: Tensor) -> None:
    prior = worker.prior
    if not isinstance(prior, ConditionalPrior):
        raise UserError("the latent network is told of no classes; give a ConditionalPrior")
    i = len(prior.schedule) // 2
    for images in (x[:1], x):
        decision = worker.classifier.decide(images)
        bound = prior.bind(decision.target, decision.source)
        z = _answer("autoencoder", images, partial(bound.space.encode, images))
        made = _answer("autoencoder", images, partial(bound.space.decode, z))
        noise = _answer("latent network", images, partial(_told, bound, z, i))
        if made.shape != images.shape or noise.shape != z.shape:
            raise UserError(
                f"images of shape {tuple(images.shape)} have latents {tuple(z.shape)}, decoded as "
                f"{tuple(made.shape)}, and the latent network sees noise of shape "
                f"{tuple(noise.shape)} in them; each must come back in its own shape"
            )
        if not bool(made.isfinite().all() and noise.isfinite().all()):
            raise UserError("the latent network or its autoencoder gives NaN; check their weights")


def _told(prior: ConditionalPrior, z: Tensor, i: int) -> Tensor:
    return prior.noises(z, i, "target")[0]


@torch.no_grad()
def _codes(worker: Worker, x: Tensor) -> None:
    network = worker.autoencoder
    if not isinstance(network, Autoencoder):
        raise UserError("the autoencoder has no encode and decode; give both, see vcebench.explain")
    mean = _answer("autoencoder", x, lambda: network.encode(x)[0])
    if mean.ndim != 2 or len(mean) != len(x):
        raise UserError(
            f"the autoencoder encodes {len(x)} images as {tuple(mean.shape)}; encode must return "
            "mean and log-variance, each (B, c)"
        )
    made = _answer("autoencoder", x, lambda: network.decode(mean))
    if made.shape != x.shape or not bool(made.isfinite().all()):
        raise UserError(
            f"the autoencoder decodes images of shape {tuple(x.shape)} as {tuple(made.shape)}; "
            "decode must return them finite and in the same shape"
        )


def _answer(role: str, images: Tensor, call: Callable[[], Any]) -> Tensor:
    """What a network gives for images. Raises UserError if it fails, or gives no tensor."""
    try:
        out = call()
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception as error:  # it is somebody's own code: anything can happen in it
        if is_out_of_memory(error):
            raise torch.cuda.OutOfMemoryError(str(error)) from error
        raise UserError(
            f"the {role} fails on images of shape {tuple(images.shape)}: {one_line(error)[:300]}"
        ) from error
    if not isinstance(out, Tensor):
        raise UserError(f"the {role} returns {type(out).__name__}; it must return a tensor")
    return out


@torch.no_grad()
def _sizes(worker: Worker, shape: Sequence[int], i: int) -> str:
    """A size near this one that the prior can do, as the end of a sentence."""
    channels, height, width = shape
    prior = given(worker.prior)
    for factor in _FACTORS:
        near = [-(-side // factor) * factor for side in (height, width)]
        z = torch.zeros(1, channels, *near, device=worker.device)
        if near == [height, width]:
            continue
        try:
            fits = prior.evaluate(z, i).shape[2:] == z.shape[2:]
        except Exception:  # the next one may do
            continue
        if fits:
            text = near[0] if near[0] == near[1] else near
            return f"; it can do multiples of {factor}, so say size = {text} in [data]"
    return ""
