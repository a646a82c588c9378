"""A classifier's verdicts on pairs of images that somebody else made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vcebench.data.base import Task
from vcebench.folders.images import dequantise
from vcebench.models.classifier import TargetClassifier, remembered


@dataclass(frozen=True)
class Asked:
    """What is known of a pair before it is judged; None leaves it to the classifier."""

    target: int | None
    prediction: int | None


@dataclass(frozen=True)
class Verdict:
    """What a classifier says of a pair; see `vcebench.folders.rows.Row`."""

    prediction: int
    source: int
    target: int
    flipped: bool
    top1: bool
    margin_input: float
    margin: float
    target_probability_input: float
    target_probability: float


@torch.no_grad()
def judge(
    classifier: TargetClassifier,
    task: Task,
    originals: Tensor,
    counterfactuals: Tensor,
    asked: Sequence[Asked],
    device: torch.device,
) -> list[Verdict]:
    """Verdicts on some pairs.

    Args:
        classifier: on the device.
        task: between which classes.
        originals, counterfactuals: uint8 with shape (n, 3, H, W).
        asked: for each pair, the target its program was asked for and its verdict on the input.
        device: where to judge.
    """
    network = remembered(classifier)
    x, x_cf = (dequantise(images.to(device)) for images in (originals, counterfactuals))
    decision = network.decide(x)
    own = zip(asked, decision.target.tolist(), strict=True)
    targets = [chosen if one.target is None else one.target for one, chosen in own]
    sources = [
        source_of(task, target, one.prediction if one.prediction is not None else predicted)
        for one, target, predicted in zip(asked, targets, decision.source.tolist(), strict=True)
    ]
    # A class that nobody can tell from the target is the strongest other one.
    others = decision.target.tolist()
    source = torch.tensor(
        [other if s is None else s for s, other in zip(sources, others, strict=True)], device=device
    )
    target = torch.tensor(targets, device=device)
    margin = network.margin(x_cf, target, source)
    before, after = (network.probabilities(i).gather(1, target[:, None])[:, 0] for i in (x, x_cf))
    columns = {
        "prediction": decision.prediction,
        "source": source,
        "target": target,
        "flipped": margin > 0,
        "top1": network.predict(x_cf) == target,
        "margin_input": network.margin(x, target, source),
        "margin": margin,
        "target_probability_input": before,
        "target_probability": after,
    }
    values = {name: column.tolist() for name, column in columns.items()}
    return [Verdict(**{name: v[row] for name, v in values.items()}) for row in range(len(asked))]


def source_of(task: Task, target: int, prediction: int | None) -> int | None:
    """The class a counterfactual leads away from: what was predicted, unless that is the target.

    Then it is a pair's other class; None where that leaves several. A binary task's source is the
    prediction whatever the target is.
    """
    if task.kind == "binary" and prediction is not None:
        return prediction
    if prediction is not None and prediction != target:
        return prediction
    others = [one for one in task.classes if one != target]
    return others[0] if len(others) == 1 else None
