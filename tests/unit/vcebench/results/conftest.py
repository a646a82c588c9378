"""Made-up figures: measured rows and run folders that nobody measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from vcebench.folders.rows import Row, to_table
from vcebench.metrics.registry import METRICS
from vcebench.results.measurements import Measurement
from vcebench.settings.config import PROTOCOL
from vcebench.settings.request import Request, resolve

FAKE = "made up for a test"


@pytest.fixture
def measure() -> Callable[..., Measurement]:
    """A measured row with some fields changed."""

    def measure(metric: str = "fid", value: float | None = 1.0, **changes: Any) -> Measurement:
        fields: dict[str, Any] = {
            "dataset": "synthfaces",
            "task": "smile",
            "method": "maskdime",
            "lo": None,
            "hi": None,
            "n": 256,
            "images": 256,
            "population": METRICS[metric].population if metric in METRICS else "all",
            "backbone": "",
            "seed": "0",
            "device": "CPU fake, 1 thread",
            "commit": "0" * 40,
            "date": "2026-01-01",
            "protocol": PROTOCOL,
            "note": "batch 16, τ 60",
        }
        return Measurement(metric=metric, value=value, **{**fields, **changes})

    return measure


def _row(index: int, **changes: Any) -> Row:
    values: dict[str, Any] = {
        "id": f"fake-{index:05d}",
        "index": index,
        "status": "ok",
        "label": 3,
        "prediction": 3,
        "source": 3,
        "target": 8,
        "correct": True,
        "flipped": True,
        "flipped_float": True,
        "top1": True,
        "lambda_class": 8.0,
        "tries": 1,
        "seconds": 0.5,
        "margin_input": -1.0,
        "margin": 1.0,
        "target_probability_input": 0.1,
        "target_probability": 0.9,
    }
    return Row(**{**values, **changes})


@pytest.fixture
def fake_run() -> Callable[..., Path]:
    """Write a run folder with made-up metrics; returns its path."""

    def fake_run(
        path: Path,
        method: str = "maskdime",
        metrics: dict[str, float | None] | None = None,
        images: int = 4,
        nfe: int = 60,
        rows: list[dict[str, Any]] | None = None,
        **request: Any,
    ) -> Path:
        wanted = {"dataset": "digits", "task": "3-8", "limit": images, **request}
        config, _ = resolve(Request(method=method, **wanted))
        records = [
            {
                "id": id,
                "value": value,
                "low": None,
                "high": None,
                "n": images,
                "population": METRICS[id].population,
                "backbone": None,
                "reason": None if value is not None else FAKE,
                "protocol": PROTOCOL,
            }
            for id, value in {"nfe": float(nfe), **(metrics or {"fr": 100.0})}.items()
        ]
        content = {"config": config.model_dump(mode="json"), "protocol": PROTOCOL}
        sitting = {"device": "fake", "threads": 1, "git_commit": "0" * 40, "started": "2026-01-01"}
        (path / "shards").mkdir(parents=True)
        manifest = {**content, "sittings": [sitting], "networks": {}}
        (path / "manifest.json").write_text(json.dumps(manifest))
        document = {**content, "images": images, "metrics": records}
        (path / "metrics.json").write_text(json.dumps(document))
        changes = rows or [{}] * images
        table = to_table(
            _row(index, **{"nfe": nfe, **change}) for index, change in enumerate(changes)
        )
        pq.write_table(table, path / "shards" / "00000.parquet")
        return path

    return fake_run
