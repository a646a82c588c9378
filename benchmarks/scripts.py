"""Evaluation as a folder of scripts does it, to measure against: one program per metric.

Every metric decodes the images it needs and runs its network over them anew, and the split FID does
both for every one of its halvings. COUT evaluates all its points. The formulas are the package's
own, so the values are equal and only the work differs; intervals are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vcebench.data.registry import open_dataset
from vcebench.folders.images import dequantise
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.metrics import attributes, causal, distances, frechet, kid, similarity, verification
from vcebench.metrics.cout import STEPS, area, block_size, change_map
from vcebench.metrics.populations import populations
from vcebench.metrics.registry import metric
from vcebench.metrics.sfid import HALVINGS, halves
from vcebench.models.bundle import Bundle

BATCH = 64
Array = npt.NDArray[np.generic]
Network = Callable[[Tensor], Tensor]


class Scripts:
    """All metrics of a run of synthfaces, each by itself."""

    def __init__(self, folder: RunFolder, bundle: Bundle) -> None:
        self.folder, self.bundle = folder, bundle
        self.rows = folder.rows()
        self.flipped = np.array([row.flipped for row in self.rows])
        self.members = populations(self.flipped, np.array([row.correct for row in self.rows]))

    @torch.no_grad()
    def values(self) -> dict[str, float]:
        """Metric id → value, as `vcebench.evaluating.evaluation.evaluate` reports it."""
        found: dict[str, float] = {}
        for id in ("fr", "oracle_fr", "cout", "s3", "fs", "fva", "mnac"):
            found[id] = self._mean(id, getattr(self, f"_{id}")())
        for id in ("l1", "l1_norm", "l15_norm", "l2_norm"):
            found[id] = self._mean(id, self._pairwise(getattr(distances, id)))
        for id in ("gt_iou", "gt_precision", "gt_l1", "off_target"):
            found[id] = self._mean(id, self._truth(id))
        return found | {
            "fid": self._fid(),
            "kid": self._kid(),
            "sfid": self._sfid(),
            "cd": self._cd(),
        }

    def _mean(self, id: str, values: Array) -> float:
        info = metric(id)
        counted = values.astype(np.float64)
        if info.population in self.members:
            counted = counted[self.members[info.population]]
        return float(np.nanmean(counted) * info.scale)

    def _batches(self, rows: Sequence[Row], *kinds: str) -> Iterator[list[Tensor]]:
        for start in range(0, len(rows), BATCH):
            yield [self.folder.images(kind, rows[start : start + BATCH]) for kind in kinds]

    def _features(self, kind: str, network: Network, rows: Sequence[Row] | None = None) -> Array:
        chosen = self.rows if rows is None else rows
        parts = [network(dequantise(x)).flatten(1) for (x,) in self._batches(chosen, kind)]
        found: Array = torch.cat(parts).numpy()
        return found

    def _both(self, network: Network | None) -> tuple[Array, Array]:
        assert network is not None
        return self._features("inputs", network), self._features("counterfactuals", network)

    def _pairwise(self, of: Callable[[Tensor, Tensor], object]) -> Array:
        pairs = self._batches(self.rows, "inputs", "counterfactuals")
        return np.concatenate([np.asarray(of(x, x_cf)) for x, x_cf in pairs])

    def _classes(self) -> tuple[Tensor, Tensor]:
        source = torch.tensor([row.source for row in self.rows])
        return source, torch.tensor([row.target for row in self.rows])

    def _fr(self) -> Array:
        source, target = self._classes()
        margins, start = [], 0
        for (x_cf,) in self._batches(self.rows, "counterfactuals"):
            part = slice(start, start + len(x_cf))
            margins.append(
                self.bundle.classifier.margin(dequantise(x_cf), target[part], source[part])
            )
            start += len(x_cf)
        found: Array = (torch.cat(margins) > 0).numpy()
        return found

    def _oracle_fr(self) -> Array:
        judge = self.bundle.judge
        assert judge is not None
        predicted = self._features("counterfactuals", lambda x: judge.predict(x)[:, None])[:, 0]
        equal: Array = predicted == self._classes()[1].numpy()
        return equal

    def _cout(self) -> Array:
        source, target = self._classes()
        scores, start = [], 0
        for x, x_cf in self._batches(self.rows, "inputs", "counterfactuals"):
            part = slice(start, start + len(x))
            scores.append(self._transition(x, x_cf, source[part], target[part]))
            start += len(x)
        return np.concatenate(scores)

    def _transition(self, x: Tensor, x_cf: Tensor, source: Tensor, target: Tensor) -> Array:
        pixels = x.shape[2] * x.shape[3]
        step = block_size(pixels, STEPS)
        order = change_map(x, x_cf).flatten(1).argsort(dim=1, descending=True, stable=True)
        shown, curves = x.flatten(2).clone(), []
        for point in range(-(-pixels // step) + 1):
            if point:
                block = order[:, None, (point - 1) * step : point * step].expand(-1, 3, -1)
                shown.scatter_(2, block, x_cf.flatten(2).gather(2, block))
            probabilities = self.bundle.classifier.probabilities(dequantise(shown.view_as(x)))
            curves.append(probabilities.gather(1, torch.stack([source, target], dim=1)).double())
        both = torch.stack(curves, dim=1).numpy()
        found: Array = area(both[:, :, 1], step / pixels) - area(both[:, :, 0], step / pixels)
        return found

    def _s3(self) -> Array:
        return similarity.s3(*self._both(self.bundle.representation))

    def _fs(self) -> Array:
        return verification.fs(*self._both(self.bundle.identity))

    def _fva(self) -> Array:
        return verification.fva(*self._both(self.bundle.identity))

    def _attributes(self) -> tuple[Array, Array]:
        oracle, names = self.bundle.oracle, open_dataset("synthfaces").attribute_names  # type: ignore[attr-defined]
        assert oracle is not None
        columns = [self.bundle.attributes.index(name) for name in names]
        return self._both(lambda x: oracle(x).sigmoid()[:, columns])

    def _mnac(self) -> Array:
        return attributes.mnac(*self._attributes())

    def _cd(self) -> float:
        training = open_dataset("synthfaces", "smile", "train")
        query = training.attribute_names.index(training.task.attribute)  # type: ignore[attr-defined]
        labels = training.attributes(range(len(training))).astype(np.int64)  # type: ignore[attr-defined]
        truth = attributes.label_correlation(labels, query)
        return attributes.cd(attributes.changes(*self._attributes())[self.flipped], query, truth)

    def _truth(self, id: str) -> Array:
        values = []
        for x, x_cf, truth in self._batches(self.rows, "inputs", "counterfactuals", "truths"):
            if id == "gt_l1":
                values.append(causal.gt_l1(x_cf, truth))
            else:
                values.append(getattr(causal, id)(x, x_cf, causal.true_region(x, truth)))
        return np.concatenate(values)

    def _fid(self) -> float:
        chosen = np.flatnonzero(self.flipped)
        return frechet.fid(*self._both(self.bundle.representation), chosen)

    def _kid(self) -> float:
        chosen = np.flatnonzero(self.flipped)
        return kid.kid(*self._both(self.bundle.representation), chosen)

    def _sfid(self) -> float:
        network = self.bundle.representation
        assert network is not None
        ids = [row.id for row in self.rows]
        distances_of_halvings = []
        for halving in range(HALVINGS):
            a, b = halves(ids, halving)
            for first, second in ((a, b), (b, a)):
                originals = [self.rows[i] for i in first]
                others = [self.rows[i] for i in second if self.flipped[i]]
                distances_of_halvings.append(
                    frechet.frechet_distance(
                        frechet.gaussian(self._features("inputs", network, originals)),
                        frechet.gaussian(self._features("counterfactuals", network, others)),
                    )
                )
        return float(np.mean(distances_of_halvings))
