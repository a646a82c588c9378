"""The joint loss that guides the reverse process, and its gradients.

L = λ_c·L_class + λ_p·L_perc(x_t, x) + λ_l·‖x_t - x‖₁ (DiME: Jeanneret et al., ACCV 2022,
Equations 7 and 8). Each term's gradient is taken at a clean estimate x_t and reaches the noisy z
without back-propagation through the prior.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from vcebench.methods.core.errors import MethodError

Features = Callable[[Tensor], Tensor]


def _same(x: Tensor) -> Tensor:
    return x


class TargetClassifier(Protocol):
    """What guidance asks of a classifier; images have shape (B, C, H, W), in [-1, 1]."""

    def margin(self, x: Tensor, target: Tensor, source: Tensor | None = None) -> Tensor:
        """Logit of the target against the source, with shape (B,); > 0 iff flipped."""
        ...

    def predict(self, x: Tensor) -> Tensor:
        """Predicted classes, int64 with shape (B,)."""
        ...

    def logit(self, x: Tensor, classes: Tensor) -> Tensor:
        """What the network says for a class of each image, with shape (B,); ±f of one logit f."""
        ...

    def log_prob(self, x: Tensor, classes: Tensor) -> Tensor:
        """Logarithm of the probability of a class of each image among all K, with shape (B,)."""
        ...


def clamp(x: Tensor) -> Tensor:
    """Clamp to [-1, 1] whose derivative at exactly ±1 is 1.

    Clipped estimates sit exactly on the boundary. The released results were computed with a
    derivative of 1 there; recent PyTorch releases use 0.
    """
    inside = (x >= -1) & (x <= 1)
    return torch.where(inside, x, x.detach().clamp(-1, 1))


@dataclass(frozen=True)
class Guidance:
    """The joint loss and its weights.

    Attributes:
        classifier: the classifier to explain.
        lambda_class: λ_c, one per image, with shape (B,).
        perceptual: φ, images in [-1, 1] to features (B, C', H', W'); None needs λ_p = 0.
        source: class the margin is taken against, int64 with shape (B,), for pair tasks.
        lambda_perceptual: λ_p.
        lambda_l1: λ_l.
        class_unit: calibrated factor inside L_class; probabilities never see it.
        perceptual_unit: calibrated factor inside L_perc.
        use_logits: L_class is minus the margin, as released; else minus its log-sigmoid.
        robust: an adversarially trained classifier of the same question, for methods that need one;
            it guides and never judges.
    """

    classifier: TargetClassifier
    lambda_class: Tensor
    perceptual: Features | None = None
    source: Tensor | None = None
    lambda_perceptual: float = 30.0
    lambda_l1: float = 0.05
    class_unit: float = 1.0
    perceptual_unit: float = 1.0
    use_logits: bool = True
    robust: TargetClassifier | None = None

    def __post_init__(self) -> None:
        if self.perceptual is None and self.lambda_perceptual != 0:
            raise MethodError(
                "there is no perceptual network; pass one, or say lambda_perceptual=0"
            )

    def bind(self, x: Tensor, target: Tensor) -> BoundGuidance:
        """Fix the input and the target; what does not depend on the step is computed here.

        Args:
            x: input images in [-1, 1], with shape (B, C, H, W).
            target: target classes, int64 with shape (B,).
        """
        features = None
        if self.perceptual is not None and self.lambda_perceptual != 0:
            with torch.no_grad():
                features = self.perceptual(clamp(x))
        return BoundGuidance(self, x, target, features)


@dataclass(frozen=True)
class BoundGuidance:
    """Gradients of the joint loss for given inputs and targets, with φ(x) at hand.

    All gradients have the shape (B, C, H, W) of the images.
    """

    weights: Guidance
    x: Tensor
    target: Tensor
    features: Tensor | None

    def class_loss(self, x_t: Tensor) -> Tensor:
        """λ_c·L_class at x_t, with shape (B,)."""
        weights = self.weights
        margin = weights.classifier.margin(x_t, self.target, weights.source)
        loss = -margin if weights.use_logits else -F.logsigmoid(margin)
        return weights.lambda_class * weights.class_unit * loss.float()

    def class_gradient(self, x_t: Tensor) -> Tensor:
        """∇ of λ_c·L_class at x_t."""
        with torch.enable_grad():
            at = x_t.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.class_loss(at).sum(), at)
        return gradient

    def log_prob(self, x_t: Tensor) -> Tensor:
        """log p(target) of the explained classifier at x_t, (B,); no weight or unit enters."""
        return self.weights.classifier.log_prob(x_t, self.target)

    def log_prob_gradient(
        self, x_t: Tensor, classifier: TargetClassifier, look: Features = _same
    ) -> Tensor:
        """∇ of log p(target) at x_t, averaged over what the classifier is shown of each image.

        Neither weights nor units enter.

        Args:
            classifier: the explained or the robust one.
            look: images to what is shown, (n·B, C, H', W'): all images' first views, then their
                second, …; the images themselves unless given.
        """
        with torch.enable_grad():
            at = x_t.detach().requires_grad_()
            shown = look(at)
            views = len(shown) // len(at)
            log_prob = classifier.log_prob(shown, self.target.repeat(views)).float()
            (gradient,) = torch.autograd.grad(log_prob.sum() / views, at)
        return gradient

    def perceptual_gradient(self, x_t: Tensor) -> Tensor:
        """∇ of λ_p·mean(φ(x_t) - φ(x))² at x_t; zeros without a perceptual network."""
        weights = self.weights
        if self.features is None or weights.perceptual is None:
            return torch.zeros_like(x_t)
        with torch.enable_grad():
            at = x_t.detach().requires_grad_()
            difference = weights.perceptual(clamp(at)) - self.features
            loss = difference.float().square().mean(dim=(1, 2, 3)).sum()
            scale = weights.lambda_perceptual * weights.perceptual_unit
            (gradient,) = torch.autograd.grad(scale * loss, at)
        return gradient

    def l1_gradient(self, at: Tensor) -> Tensor:
        """∇ of λ_l·‖at - x‖₁; zero where equal."""
        return self.weights.lambda_l1 * torch.sign(at - self.x)

    def flipped(self, x_t: Tensor) -> Tensor:
        """Whether x_t is classified as the target, bool with shape (B,)."""
        with torch.no_grad():
            margin = self.weights.classifier.margin(x_t, self.target, self.weights.source)
            return margin > 0
