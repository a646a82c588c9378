"""Images that are of the target class before any edit, where a person asked for that class.

There is nothing to explain about them: they stay as they are, and no figure counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import torch

from vcebench.folders.images import dequantise
from vcebench.models.classifier import remembered
from vcebench.running.ladder import Cost, Final
from vcebench.running.tries import Item, Outcome, Try
from vcebench.running.worker import Worker


def unsettled(
    items: Iterable[Item], worker: Worker, settle: Callable[[Final], None]
) -> Iterator[Item]:
    """The images that there is something to explain about, in their order.

    Args:
        items: some of them with a target that was asked for; read a batch ahead.
        worker: its classifier says what they are, in batches of its size.
        settle: gets what is to be said of the others.
    """
    waiting = iter(items)
    while chunk := list(islice(waiting, worker.batch_size)):
        found = _standing(chunk, worker) if any(i.target is not None for i in chunk) else {}
        for item in chunk:
            if item.id in found:
                settle(found[item.id])
            else:
                yield item


@torch.no_grad()
def _standing(items: Sequence[Item], worker: Worker) -> dict[str, Final]:
    """What is to be said of those images that are predicted as the class asked for, by id."""
    padded = [items[i % len(items)] for i in range(worker.batch_size)]
    x = dequantise(torch.stack([item.image for item in padded]).to(worker.device))
    judge = remembered(worker.classifier)
    decision = judge.decide(x)
    # Taken against the runner-up: another class is what an edit would have come from.
    rival = torch.where(decision.source == decision.prediction, decision.target, decision.source)
    margins = judge.margin(x, decision.prediction, rival).tolist()
    probabilities = judge.probabilities(x).gather(1, decision.prediction[:, None])[:, 0].tolist()
    predictions, rivals = decision.prediction.tolist(), rival.tolist()
    found = {}
    for row, item in enumerate(items):
        if item.target is None or item.target != predictions[row]:
            continue
        outcome = Outcome(
            already=True,
            finite=True,
            prediction=predictions[row],
            source=rivals[row],
            target=item.target,
            flipped=False,
            flipped_float=False,
            top1=False,
            nfe=0,
            backward=0,
            margin_input=margins[row],
            margin=margins[row],
            target_probability_input=probabilities[row],
            target_probability=probabilities[row],
            image=item.image,
            files=worker.input_file(item) if worker.keep_files else {},
        )
        found[item.id] = Final(Try(item, 0, {}, last=True), outcome, Cost())
    return found
