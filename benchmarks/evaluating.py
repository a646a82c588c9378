"""(d) All metrics of stored pairs, against a script for each metric."""

from __future__ import annotations

import math
import tempfile
import warnings
from pathlib import Path

import torch

from benchmarks.figures import Figure, ratio
from benchmarks.machine import seconds
from benchmarks.scripts import Scripts
from benchmarks.setting import Scale
from vcebench.data.synthfaces.dataset import SynthFaces
from vcebench.evaluating.evaluation import Evaluation, evaluate
from vcebench.folders.images import Codec, dequantise
from vcebench.folders.manifest import new_manifest
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.store import Finished, open_store
from vcebench.models.bundle import Bundle
from vcebench.models.loading import load_bundle
from vcebench.settings.config import build_config

TOLERANCE = 1e-3
"""Largest relative difference between a metric of ours and of its script (float32 features)."""

CHUNK = 50


def pairs(path: Path, count: int, bundle: Bundle) -> RunFolder:
    """A run folder of faces with their true counterfactuals; nothing is sampled."""
    images = SynthFaces("smile", "test")
    config = build_config(method="maskdime", dataset="synthfaces", task="smile", limit=count)
    manifest = {**new_manifest(config, {}), "status": "finished"}
    with open_store(path, manifest) as store:
        for start in range(0, count, CHUNK):
            numbers = range(start, min(start + CHUNK, count))
            store.commit(_finished(images, numbers, bundle))
    return RunFolder(path)


@torch.no_grad()
def _finished(images: SynthFaces, numbers: range, bundle: Bundle) -> list[Finished]:
    examples = [images[n] for n in numbers]
    x = torch.stack([example.image for example in examples])
    predicted = bundle.classifier.predict(dequantise(x))
    targets = (1 - predicted).tolist()
    truths = torch.from_numpy(images.truth_batch(list(numbers), targets)[0])
    margins = bundle.classifier.margin(dequantise(truths), 1 - predicted).tolist()
    encode = Codec().encode
    found = []
    for n, example, target, margin, truth in zip(
        numbers, examples, targets, margins, truths, strict=True
    ):
        row = Row(
            id=example.id,
            index=n,
            status="ok",
            label=example.label,
            prediction=1 - target,
            source=1 - target,
            target=target,
            correct=1 - target == example.label,
            flipped=margin > 0,
            flipped_float=margin > 0,
            top1=margin > 0,
            lambda_class=8.0,
            tries=1,
            nfe=0,
            seconds=0.0,
            margin_input=0.0,
            margin=margin,
            target_probability_input=0.0,
            target_probability=0.0,
        )
        files = {
            f"inputs/{example.id}.png": encode(example.image),
            f"counterfactuals/{example.id}.png": encode(truth),
            f"truths/{example.id}.png": encode(truth),
        }
        found.append(Finished(row, files))
    return found


def differences(ours: Evaluation, scripts: dict[str, float]) -> dict[str, float]:
    """Metric id → relative difference. Raises RuntimeError if one has no value in ours."""
    found = {}
    for id, theirs in scripts.items():
        value = ours.values[id].value
        if value is None:
            raise RuntimeError(f"{id} is missing: {ours.values[id].reason}")
        # Differences of values near 0, such as KID's, count by themselves.
        found[id] = abs(value - theirs) / max(1.0, abs(theirs))
    return found


def figures(scale: Scale) -> list[Figure]:
    """The line of this part; measured once, it is long."""
    bundle = load_bundle("synthfaces", "smile")
    before = torch.get_num_threads()
    torch.set_num_threads(scale.threads)
    try:
        with tempfile.TemporaryDirectory(prefix="vcebench-") as scratch, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            folder = pairs(Path(scratch) / "run", scale.pairs, bundle)
            found: dict[str, Evaluation] = {}
            values: dict[str, float] = {}

            def ours() -> None:
                found["ours"] = evaluate(folder, bundle, threads=scale.threads)

            def scripts() -> None:
                values.update(Scripts(folder, bundle).values())

            evaluate(folder, bundle, limit=8, threads=scale.threads)
            mine, theirs = seconds(ours), seconds(scripts)
    finally:
        torch.set_num_threads(before)
    apart = {id: d for id, d in differences(found["ours"], values).items() if not d <= TOLERANCE}
    if any(not math.isfinite(d) or d > TOLERANCE for d in apart.values()):
        raise RuntimeError(f"the scripts compute something else: {apart}")
    note = f"{theirs:.1f} s / {mine:.1f} s; {scale.pairs} pairs, {len(values)} metrics, once each"
    return [ratio("d", "a script for each metric / evaluate", theirs / mine, at_least=5, note=note)]
