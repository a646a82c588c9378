"""Attributions that the package captum computes, as methods take them.

Those that draw at random are not offered: an image's region must not depend on the images beside
it. Layers are the classifier's last convolution, as its modules list them.

References:
    Captum: A unified and generic model interpretability library for PyTorch (Kokhlikyan et al.,
    2020).
"""

from __future__ import annotations

import copy
import importlib
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.errors import UserError
from vcebench.methods.core.attributions import Attribution, last_convolution
from vcebench.methods.core.errors import unknown
from vcebench.methods.core.guidance import TargetClassifier

_Compute = Callable[[Any, "_Logit", Tensor, Tensor], Tensor]


class _Logit(nn.Module):
    """The logit of a class of each image on [0, 1], as captum asks for it: (B,)."""

    def __init__(self, classifier: TargetClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, image: Tensor, class_: Tensor) -> Tensor:
        return self.classifier.logit(2 * image - 1, class_)


def _plain(name: str) -> _Compute:
    """An attribution that takes the network and the image alone."""

    def compute(captum: Any, logit: _Logit, image: Tensor, class_: Tensor) -> Tensor:
        found: Tensor = getattr(captum, name)(logit).attribute(
            image, additional_forward_args=(class_,)
        )
        return found

    return compute


def _gradcam(captum: Any, logit: _Logit, image: Tensor, class_: Tensor) -> Tensor:
    """Grad-CAM at the last convolution, signed, enlarged to the nearest pixel."""
    layer = last_convolution(logit.classifier)
    maps: Tensor = captum.LayerGradCam(logit, layer).attribute(
        image, additional_forward_args=(class_,)
    )
    return F.interpolate(maps, image.shape[2:], mode="nearest")


def _guided_gradcam(captum: Any, logit: _Logit, image: Tensor, class_: Tensor) -> Tensor:
    layer = last_convolution(logit.classifier)
    found: Tensor = captum.GuidedGradCam(logit, layer).attribute(
        image, additional_forward_args=(class_,)
    )
    return found


def _occlusion(captum: Any, logit: _Logit, image: Tensor, class_: Tensor) -> Tensor:
    """Black squares of a quarter of the shorter side, half a square apart."""
    side = max(2, min(image.shape[2:]) // 4)
    found: Tensor = captum.Occlusion(logit).attribute(
        image,
        sliding_window_shapes=(image.shape[1], side, side),
        strides=(image.shape[1], side // 2, side // 2),
        additional_forward_args=(class_,),
    )
    return found


CAPTUM: dict[str, _Compute] = {
    "input-x-gradient": _plain("InputXGradient"),
    "guided-backprop": _plain("GuidedBackprop"),
    "deconvolution": _plain("Deconvolution"),
    "deep-lift": _plain("DeepLift"),
    "gradcam": _gradcam,
    "guided-gradcam": _guided_gradcam,
    "occlusion": _occlusion,
}
"""Name after `captum:` → how it is computed."""


def captum_attribution(name: str) -> Attribution:
    """The attribution of a name.

    Raises:
        UserError: no such name (the nearest ones are named), or captum is not installed.
    """
    if name not in CAPTUM:
        raise UserError(str(unknown("attribution of captum", name, CAPTUM)))
    try:
        captum = importlib.import_module("captum.attr")
    except ImportError as error:
        raise UserError(
            f"captum:{name} needs the package captum: pip install 'vcebench[captum]'"
        ) from error

    def attribute(x: Tensor, class_: Tensor, classifier: TargetClassifier) -> Tensor:
        # On a copy: captum hooks into the network, and other threads ask it at the same time.
        logit = _Logit(copy.deepcopy(classifier)).eval()
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it announces its hooks
            image = ((x + 1) / 2).detach().requires_grad_()
            return CAPTUM[name](captum, logit, image, class_).detach()

    return attribute
