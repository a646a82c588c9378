"""What methods and metrics ask of a classifier, over networks of any number of outputs.

Images are float32 in [-1, 1] with shape (B, 3, H, W); the network normalises them itself if it
wants them otherwise. A wrapper never changes a logit: the guidance unit it carries is a number for
whoever builds the guidance, so probabilities, flips and COUT use the network's own output.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Decision:
    """What a classifier decides about images, and between which classes each is explained.

    Every tensor is int64 with shape (B,).

    prediction: the predicted class.
    source, target: the counterfactual leads from source to target; flipped means that
        `margin(x_cf, target, source)` is positive.
    """

    prediction: Tensor
    source: Tensor
    target: Tensor


class TargetClassifier(nn.Module):
    """A network asked for classes. Subclasses say how its outputs are read.

    Args:
        network: (B, 3, H, W) → (B, K), or (B,) if it has one output.
        unit: guidance unit, a factor of the class term in the guidance; not applied here.
    """

    def __init__(self, network: nn.Module, unit: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.unit = unit

    def logits(self, x: Tensor) -> Tensor:
        """The network's logits: (B,) for binary classifiers, (B, K) for others."""
        logits: Tensor = self.network(x)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x)

    def margin(self, x: Tensor, target: Tensor, source: Tensor | None = None) -> Tensor:
        """Lead of the target over the source class, in logits, with shape (B,).

        Positive if and only if the image has flipped. Its negative is the class loss of the
        guidance. Without a source, the strongest other class takes its place.
        """
        logits = self.logits(x)
        if source is not None:
            return _pick(logits, target) - _pick(logits, source)
        others = logits.scatter(1, target.to(logits.device)[:, None], -torch.inf)
        return _pick(logits, target) - others.amax(dim=1)

    def predict(self, x: Tensor) -> Tensor:
        """Predicted classes, int64 with shape (B,)."""
        return self.logits(x).argmax(dim=1)

    def logit(self, x: Tensor, classes: Tensor) -> Tensor:
        """The logit of a class of each image, with shape (B,); classes int64 (B,)."""
        return _pick(self.logits(x), classes)

    def log_prob(self, x: Tensor, classes: Tensor) -> Tensor:
        """log p(class), softmax over all K also where a task is a pair of them; shape (B,)."""
        return _pick(self.logits(x).log_softmax(dim=1), classes)

    def probabilities(self, x: Tensor) -> Tensor:
        """Class probabilities with shape (B, K); K = 2 for binary classifiers."""
        return self.logits(x).softmax(dim=1)

    def decide(self, x: Tensor) -> Decision:
        """Prediction, source and target class of each image."""
        top, second = self.logits(x).topk(2, dim=1).indices.unbind(dim=1)
        return Decision(prediction=top, source=top, target=second)


class MulticlassClassifier(TargetClassifier):
    """K classes, explained towards any target; without one, towards the runner-up class."""


class PairClassifier(TargetClassifier):
    """A K-class network on a task between two of its classes.

    Source is the pair's class with the larger logit, target the other; `predict` still takes the
    largest of all K logits.

    Args:
        pair: the two class numbers.
    """

    def __init__(self, network: nn.Module, pair: tuple[int, int], unit: float = 1.0) -> None:
        super().__init__(network, unit)
        self.pair = pair

    def margin(self, x: Tensor, target: Tensor, source: Tensor | None = None) -> Tensor:
        """See `TargetClassifier.margin`; the source is the pair's other class unless given."""
        first, second = self.pair
        other = torch.where(target == first, second, first) if source is None else source
        return super().margin(x, target, other)

    def decide(self, x: Tensor) -> Decision:
        """Prediction among all classes; source and target within the pair."""
        logits = self.logits(x)
        first, second = (
            torch.full((len(x),), c, dtype=torch.int64, device=x.device) for c in self.pair
        )
        leads = _pick(logits, first) >= _pick(logits, second)
        return Decision(
            prediction=logits.argmax(dim=1),
            source=torch.where(leads, first, second),
            target=torch.where(leads, second, first),
        )


class BinaryClassifier(TargetClassifier):
    """One logit f: class 1 if f > 0, else class 0; margin (2y-1)·f for target y.

    Args:
        index: column of a network with several independent logits (an attribute oracle).
    """

    def __init__(self, network: nn.Module, unit: float = 1.0, index: int | None = None) -> None:
        super().__init__(network, unit)
        self.index = index

    def logits(self, x: Tensor) -> Tensor:
        """The logit of class 1, with shape (B,)."""
        out: Tensor = self.network(x)
        if self.index is not None:
            return out[:, self.index]
        if out.ndim == 2 and out.shape[1] == 1:
            return out[:, 0]
        if out.ndim == 1:
            return out
        raise ValueError(
            f"a binary classifier needs one logit an image, not shape {tuple(out.shape)}: "
            "say which column with `index`"
        )

    def margin(self, x: Tensor, target: Tensor, source: Tensor | None = None) -> Tensor:
        """(2·target - 1)·f with shape (B,); the source is the other class."""
        return self.logit(x, target)

    def logit(self, x: Tensor, classes: Tensor) -> Tensor:
        """f for class 1, -f for class 0, with shape (B,)."""
        logit = self.logits(x)
        return torch.where(classes > 0, logit, -logit)

    def log_prob(self, x: Tensor, classes: Tensor) -> Tensor:
        """log σ(±f) with shape (B,)."""
        return F.logsigmoid(self.logit(x, classes))

    def predict(self, x: Tensor) -> Tensor:
        """Predicted classes, 0 or 1, int64 with shape (B,)."""
        return (self.logits(x) > 0).to(torch.int64)

    def probabilities(self, x: Tensor) -> Tensor:
        """Probabilities of classes 0 and 1, with shape (B, 2)."""
        logit = self.logits(x)
        return torch.stack([torch.sigmoid(-logit), torch.sigmoid(logit)], dim=1)

    def decide(self, x: Tensor) -> Decision:
        """Source is the predicted class, target the other one."""
        prediction = self.predict(x)
        return Decision(prediction=prediction, source=prediction, target=1 - prediction)


class NoneOfClassifier(BinaryClassifier):
    """Class 1 where a network of independent logits sees none of several causes: f = -max.

    Args:
        network: (B, 3, H, W) → (B, K), a logit for each cause.
        columns: the causes that rule class 1 out.
    """

    def __init__(self, network: nn.Module, columns: Sequence[int], unit: float = 1.0) -> None:
        super().__init__(network, unit)
        self.columns = list(columns)

    def logits(self, x: Tensor) -> Tensor:
        """Minus the largest logit of these causes, with shape (B,)."""
        out: Tensor = self.network(x)
        return -out[:, self.columns].amax(dim=1)


class _Remembered(nn.Module):
    """A network that is asked once about a tensor, however often it is called with it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._known: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        for asked, answer in self._known:
            if asked is x:
                return answer
        out: Tensor = self.network(x)
        self._known.append((x, out))
        return out


def remembered(classifier: TargetClassifier) -> TargetClassifier:
    """The classifier with a memory of its own for the images it is asked about.

    For a few batches and without gradients: images and logits are kept as long as it lives, and
    may not be changed in place. The given classifier stays as it is.
    """
    return over(classifier, _Remembered(classifier.network))


def over(classifier: TargetClassifier, network: nn.Module) -> TargetClassifier:
    """The classifier over another network; the given one stays as it is."""
    twin = copy.copy(classifier)
    twin._modules = dict(classifier._modules)  # copy.copy shares the table of submodules
    twin.network = network
    return twin


def _pick(logits: Tensor, classes: Tensor) -> Tensor:
    return logits.gather(1, classes.to(logits.device)[:, None])[:, 0]
