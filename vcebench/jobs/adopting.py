"""Foreign pairs become rows and files of a run: read, judged again where there is a classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from vcebench.data.base import HasTruth, Task
from vcebench.data.listed import UNLABELLED
from vcebench.folders.digests import input_digest
from vcebench.folders.foreign.pairs import Found, Pair
from vcebench.folders.foreign.reading import UnusableFileError, read_picture
from vcebench.folders.images import Codec
from vcebench.folders.rows import Row
from vcebench.folders.store import Finished
from vcebench.jobs.matching import Matched
from vcebench.models.classifier import TargetClassifier
from vcebench.running.judging import Asked, Verdict, judge, source_of

AT_A_TIME = 256
"""Pairs that are read, judged and stored together."""

_LEVEL = 1  # PNG files of photographs are then made three times as fast, and hardly larger


@dataclass(frozen=True, eq=False)
class Adoption:
    """How pairs become rows.

    Attributes:
        found: the foreign folder.
        task: between which classes.
        classifier: judges the stored pictures; None lets the program's own verdicts stand.
        matched: where in the data set the inputs are, if they were found there.
        device: where the classifier is.
        left_out: filled on the way: name → why a pair could not be used.
        lines: filled on the way: SHA-256 and path of every file used.
    """

    found: Found
    task: Task
    classifier: TargetClassifier | None
    matched: Matched | None
    device: torch.device
    left_out: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def results(self, pool: Executor) -> Iterator[list[Finished]]:
        """Rows and files in the order of the pairs, some at a time; sizes must all be the same."""
        pairs, size = self.found.pairs, None
        for start in range(0, len(pairs), AT_A_TIME):
            loaded = []
            for one in pool.map(self._load, pairs[start : start + AT_A_TIME]):
                if isinstance(one, _Loaded):
                    size = size or one.x.shape
                    if one.x.shape == size:
                        loaded.append(one)
                        continue
                    one = one.pair, f"it has {_size(one.x)} pixels, not {size[2]}x{size[1]}"
                self.left_out[one[0].id] = one[1]
            yield self._finished(start, loaded, pool)

    def _load(self, pair: Pair) -> _Loaded | tuple[Pair, str]:
        """Both pictures of a pair, or why there is none of them."""
        try:
            x, first = read_picture(self.found.root, pair.input)
            x_cf, second = read_picture(self.found.root, pair.counterfactual)
        except UnusableFileError as error:
            return pair, str(error)
        if x.shape != x_cf.shape:
            return pair, f"the input has {_size(x)} pixels, the counterfactual {_size(x_cf)}"
        lines = (f"{first}  {pair.input}", f"{second}  {pair.counterfactual}")
        return _Loaded(pair, x, x_cf, lines)

    def _finished(self, start: int, loaded: Sequence[_Loaded], pool: Executor) -> list[Finished]:
        if not loaded:
            return []
        verdicts: Sequence[Verdict | None] = [None] * len(loaded)
        if self.classifier is not None:
            verdicts = judge(
                self.classifier,
                self.task,
                torch.stack([one.x for one in loaded]),
                torch.stack([one.x_cf for one in loaded]),
                [Asked(one.pair.target, one.pair.prediction) for one in loaded],
                self.device,
            )
        rows = []
        for number, (one, verdict) in enumerate(zip(loaded, verdicts, strict=True), start):
            try:
                rows.append((self._row(number, one, verdict), one))
            except UnusableFileError as error:
                self.left_out[one.pair.id] = str(error)
                continue
            self.lines.extend(one.lines)
        return list(pool.map(self._stored, rows))

    def _row(self, number: int, one: _Loaded, verdict: Verdict | None) -> Row:
        """Raises UnusableFileError if nobody says what was asked for."""
        pair = one.pair
        id, index, label = pair.id, number, pair.label
        if pair.position is not None:
            index = pair.position
        if self.matched is not None:
            index = self.matched.positions[pair.id]
            id = self.matched.images.id(index)
            label = self.matched.example(pair).label if label is None else label
        facts = _foreign(self.task, pair) if verdict is None else vars(verdict)
        prediction = facts["prediction"]
        known = label is not None and prediction is not None
        return Row(
            **facts,
            id=id,
            index=index,
            status="ok",
            label=UNLABELLED if label is None else label,
            # An unlabelled image counts as classified correctly, as everywhere.
            correct=prediction == label if known else True if label is None else None,
            flipped_float=None,
            lambda_class=None,
            tries=None,
            nfe=None,
            seconds=None,
            prediction_foreign=pair.prediction,
            flipped_foreign=pair.flipped,
            input_sha256=input_digest(one.x, UNLABELLED if label is None else label),
        )

    def _stored(self, made: tuple[Row, _Loaded]) -> Finished:
        row, one = made
        files = {
            f"inputs/{row.id}.png": Codec(level=_LEVEL).encode(one.x),
            f"counterfactuals/{row.id}.png": Codec(level=_LEVEL).encode(one.x_cf),
        }
        images = None if self.matched is None else self.matched.images
        if isinstance(images, HasTruth):
            truth = images.true_image(row.index, row.target)
            files[f"truths/{row.id}.png"] = Codec().encode(truth)
            files[f"originals/{row.id}.png"] = Codec().encode(images[row.index].image)
        return Finished(row, files)


@dataclass(frozen=True, eq=False)
class _Loaded:
    """A pair's pictures, uint8 (3, H, W), and what its files add to the digest."""

    pair: Pair
    x: Tensor
    x_cf: Tensor
    lines: tuple[str, str]


def _foreign(task: Task, pair: Pair) -> dict[str, Any]:
    """What the program itself says of a pair, where nobody can judge it again."""
    target = pair.target
    if target is None and pair.prediction is not None and task.kind != "multiclass":
        target = next((one for one in task.classes if one != pair.prediction), None)
    if target is None:
        raise UnusableFileError("nothing says its target, and there is no classifier to ask")
    source = source_of(task, target, pair.prediction)
    if source is None and pair.label != target:
        source = pair.label
    if source is None:
        raise UnusableFileError("nothing says its prediction, and there is no classifier to ask")
    return {
        "prediction": pair.prediction,
        "source": source,
        "target": target,
        "flipped": replace(pair, target=target).flipped,
        "top1": None,
        "margin_input": None,
        "margin": None,
        "target_probability_input": None,
        "target_probability": None,
    }


def _size(image: Tensor) -> str:
    return f"{image.shape[2]}x{image.shape[1]}"
