"""Attributions: how much each pixel has to do with a class.

An `Attribution` takes images in [-1, 1], (B, C, H, W), classes, int64 (B,), and a classifier, and
returns one map per image, (B, C, H, W) or (B, 1, H, W). Gradients are those of the class's logit
with respect to the image on [0, 1]. No image's map depends on another's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.guidance import TargetClassifier

Attribution = Callable[[Tensor, Tensor, TargetClassifier], Tensor]

_NODES = 50
_MASKED = 64
"""Masked images that Score-CAM's classifier sees at once."""


def saliency(x: Tensor, class_: Tensor, classifier: TargetClassifier) -> Tensor:
    """Absolute gradient (Simonyan et al., ICLR workshop 2014, Section 3)."""
    return _gradient(x, class_, classifier).abs()


def integrated_gradients(x: Tensor, class_: Tensor, classifier: TargetClassifier) -> Tensor:
    """Gradients along the way from a black image, times the way.

    Sundararajan et al., ICML 2017, Equation 1, by Gauss-Legendre quadrature of 50 nodes, as RCSB
    has it. Black pixels have none.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    change = (x + 1) / 2
    total = torch.zeros_like(x)
    for node, weight in zip(0.5 * (1 + nodes), 0.5 * weights, strict=True):
        total += float(weight) * _gradient(2 * float(node) * change - 1, class_, classifier)
    return change * total


def score_cam(
    x: Tensor, class_: Tensor, classifier: TargetClassifier, layer: nn.Module | None = None
) -> Tensor:
    """What a classifier sees through each channel of a layer, weighted by the class.

    Wang et al., CVPR workshop 2020, as its authors compute it: every channel, enlarged and brought
    to [0, 1], masks the image (grey elsewhere); the probability of the class given the masked image
    weighs the channel itself; the sum is cut at zero and brought to [0, 1]. Constant channels are
    left out.

    Args:
        layer: a module of the classifier with maps as output; its last convolution by default.

    Returns:
        Maps in [0, 1], with shape (B, 1, H, W).

    Raises:
        MethodError: the classifier has no convolution to look at.
    """
    maps = _maps(x, classifier, layer)
    return torch.cat(
        [
            _score_cam(x[k : k + 1], class_[k : k + 1], maps[k : k + 1], classifier)
            for k in range(len(x))
        ]
    )


ATTRIBUTIONS: dict[str, Attribution] = {
    "integrated-gradients": integrated_gradients,
    "saliency": saliency,
    "score-cam": score_cam,
}
"""Attributions by the name that users write."""


DEFAULT = "integrated-gradients"


def _gradient(x: Tensor, class_: Tensor, classifier: TargetClassifier) -> Tensor:
    with torch.enable_grad():
        at = x.detach().requires_grad_()
        logit = classifier.logit(at, class_)
        (gradient,) = torch.autograd.grad(logit.float().sum(), at)
    return 2 * gradient


def last_convolution(classifier: object) -> nn.Module:
    """The convolution that a classifier's modules list last."""
    if isinstance(classifier, nn.Module):
        found = [m for m in classifier.modules() if isinstance(m, nn.Conv2d)]
        if found:
            return found[-1]
    raise MethodError(
        "the classifier has no convolution; use an attribution or a method that needs none"
    )


@torch.no_grad()
def _maps(x: Tensor, classifier: TargetClassifier, layer: nn.Module | None) -> Tensor:
    """Output of a layer at the size of the image, with shape (B, K, H, W)."""
    # On a copy: other threads ask the same classifier, and a hook would hear them.
    twin, seen = copy.deepcopy((classifier, layer)), []
    asked, heard = twin[0], twin[1] or last_convolution(twin[0])
    heard.register_forward_hook(lambda module, inputs, output: seen.append(output))
    asked.predict(x)
    return F.interpolate(seen[-1].float(), x.shape[2:], mode="bilinear", align_corners=False)


@torch.no_grad()
def _score_cam(x: Tensor, class_: Tensor, maps: Tensor, classifier: TargetClassifier) -> Tensor:
    channels = maps[0]
    low, high = channels.amin(dim=(1, 2)), channels.amax(dim=(1, 2))
    channels = channels[high > low]
    shown = _unit(channels[:, None])
    total = torch.zeros_like(x[:, :1])
    for start in range(0, len(channels), _MASKED):
        part = shown[start : start + _MASKED]
        masked = x * part
        weight = classifier.log_prob(masked, class_.expand(len(part))).exp()
        total += (weight[:, None, None] * channels[start : start + _MASKED]).sum(dim=0)
    return _unit(total.clamp_min(0))


def _unit(maps: Tensor) -> Tensor:
    """Each map of (B, 1, H, W) brought to [0, 1]; a constant one becomes zero."""
    low, high = maps.amin(dim=(1, 2, 3), keepdim=True), maps.amax(dim=(1, 2, 3), keepdim=True)
    return torch.where(high > low, (maps - low) / (high - low), 0.0)
