"""Images of an embedded set, and its classifier, for programs that know nothing of vcebench.

The folder is what `vcebench import` reads back: whoever fills counterfactuals/ with files of the
names in pairs.csv has a result that stands beside ours, measured on the known truth.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import safetensors.torch
import torch

from vcebench.data.base import ImageSet, Task
from vcebench.data.registry import dataset_entry, open_dataset
from vcebench.errors import UserError, user_errors
from vcebench.folders.foreign.pairs import COUNTERFACTUALS, INPUTS, PAIRS
from vcebench.folders.images import Codec, dequantise
from vcebench.folders.store import drafted
from vcebench.models.classifier import TargetClassifier
from vcebench.models.loading import load_bundle

SCRIPT, WEIGHTS, README = "classifier.ts", "classifier.safetensors", "README.md"
_AT_A_TIME = 64


def export(
    dataset: str,
    task: str | None,
    split: str | None,
    limit: int,
    output: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write the first images of a split, their classifier and a README; returns how many.

    Args:
        dataset: an embedded one.
        task, split: the default ones unless given.
        limit: number of images, 0 for all.
        output: a folder that does not exist yet.
        progress: called with the images done and all images.

    Raises:
        UserError: the data set does not ship, or the folder exists.
    """
    with user_errors():
        entry = dataset_entry(dataset)
        if not entry.embedded:
            raise UserError(f"{dataset} is not ours to hand out; export an embedded set")
        images = open_dataset(dataset, task, split)
        classifier = load_bundle(dataset, images.task.name).explained
    count = min(limit or len(images), len(images))
    with drafted(output) as folder:
        for kind in (INPUTS, COUNTERFACTUALS):
            (folder / kind).mkdir(parents=True)
        rows: list[dict[str, object]] = []
        for start in range(0, count, _AT_A_TIME):
            rows += _write_images(
                folder, images, classifier, range(start, min(start + _AT_A_TIME, count))
            )
            progress(len(rows), count)
        (folder / PAIRS).write_text(_csv(rows), encoding="utf-8")
        _write_classifier(folder, classifier, images.size)
        (folder / README).write_text(_readme(images, count, output), encoding="utf-8")
    return count


@torch.no_grad()
def _write_images(
    folder: Path, images: ImageSet, classifier: TargetClassifier, indices: range
) -> list[dict[str, object]]:
    """Files of some images, and their rows of pairs.csv."""
    examples = [images[index] for index in indices]
    decision = classifier.decide(dequantise(torch.stack([one.image for one in examples])))
    verdicts = zip(decision.prediction.tolist(), decision.target.tolist(), strict=True)
    rows: list[dict[str, object]] = []
    for example, (prediction, target) in zip(examples, verdicts, strict=True):
        name = f"{example.id}.png"
        (folder / INPUTS / name).write_bytes(Codec().encode(example.image))
        rows.append(
            {
                "input": f"{INPUTS}/{name}",
                "counterfactual": f"{COUNTERFACTUALS}/{name}",
                "label": example.label,
                "target": target,
                "id": example.id,
                "prediction": prediction,
            }
        )
    return rows


def _csv(rows: list[dict[str, object]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _write_classifier(folder: Path, classifier: TargetClassifier, size: tuple[int, int]) -> None:
    """The network as TorchScript, and its weights alone."""
    network = classifier.network
    example = torch.zeros(2, 3, *size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is old, and what every program can read
        script = torch.jit.trace(network, example)  # type: ignore[no-untyped-call]
        script.save(str(folder / SCRIPT))
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    (folder / WEIGHTS).write_bytes(safetensors.torch.save(tensors))


def _readme(images: ImageSet, count: int, output: Path) -> str:
    height, width = images.size
    return f"""# {images.name}, {images.task.name}: {count} images of the split {images.split}

Written by vcebench for programs that do not know it.

- `{INPUTS}/ID.png`: {count} images, RGB, {height} x {width} (height x width), 8 bits.
- `{PAIRS}`: a row an image: where it is, where its counterfactual is expected, its label, the class
  to be reached (target) and the class that the classifier sees in the input (prediction).
- `{SCRIPT}`: the classifier as TorchScript. It takes float32 images in [-1, 1] with shape
  (B, 3, {height}, {width}) and returns logits. {_logits(images.task)}
- `{WEIGHTS}`: its weights alone.
- `{COUNTERFACTUALS}/`: empty. Put a PNG of the same size there for every image, named like its
  input.

```python
import torch

classifier = torch.jit.load("{SCRIPT}").eval()
```

Then, here or wherever vcebench is installed:

```
vcebench import {output.name} --dataset {images.name} --task {images.task.name} --name mine
```

The inputs are compared with the data set's own images, so that the true counterfactuals are known
and every metric can be computed. Images that are not there are left out and counted.
"""


def _logits(task: Task) -> str:
    if task.kind == "binary":
        zero, one = task.labels
        return f"One logit: above 0 it is class 1 ({one}), else class 0 ({zero})."
    names = " and ".join(f"{c} ({name})" for c, name in zip(task.classes, task.labels, strict=True))
    return f"One logit a class; the task is about {names}."
