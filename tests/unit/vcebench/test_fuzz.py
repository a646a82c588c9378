"""Files that were damaged or forged: every reader answers, or refuses in one line."""

from __future__ import annotations

import io
import json
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save

from vcebench.data.celeba import read_attributes, read_partition
from vcebench.data.celeba_attributes import ATTRIBUTES
from vcebench.data.files import Geometry, read_picture
from vcebench.data.listing import list_csv
from vcebench.errors import UserError, user_errors
from vcebench.folders.images import Codec
from vcebench.folders.manifest import new_manifest
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.folders.store import Finished, open_store
from vcebench.results.measurements import Measurement, read_csv, read_run, to_csv
from vcebench.settings.config import PROTOCOL, build_config
from vcebench.settings.custom import read_custom
from vcebench.weights.reading import load_file_safely, unwrap

Edit = tuple[str, float, bytes]

edits = st.lists(
    st.tuples(
        st.sampled_from(["overwrite", "insert", "delete", "truncate", "double"]),
        st.floats(0, 1),
        st.binary(min_size=1, max_size=12)
        | st.sampled_from(
            [b"\0", b"\xff\xfe", b"\n", b",", b'"', b"{}", b"[]", b"null", b"-1e999"]
        ),
    ),
    min_size=1,
    max_size=4,
)
fuzz = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def mutate(content: bytes, changes: list[Edit]) -> bytes:
    for kind, share, piece in changes:
        at = int(share * len(content))
        if kind == "overwrite":
            content = content[:at] + piece + content[at + len(piece) :]
        elif kind == "insert":
            content = content[:at] + piece + content[at:]
        elif kind == "delete":
            content = content[:at] + content[at + len(piece) :]
        elif kind == "truncate":
            content = content[:at]
        else:
            content = content[:at] + content[at : at + 40] + content[at:]
    return content


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def read(reader: Callable[[], Any]) -> Any:
    """What a reader gives; None if it refuses, which it has to do in one line for people."""
    try:
        with user_errors():  # as the commands do
            return reader()
    except UserError as error:
        message = str(error)
        assert message
        assert "\n" not in message.strip()
        assert "Traceback" not in message
        return None


@cache
def picture(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@fuzz
@given(kind=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]), changes=edits)
def test_pictures(kind: str, changes: list[Edit]) -> None:
    with folder() as place:
        path = place / "picture.png"
        path.write_bytes(mutate(picture(kind), changes))
        found = read(lambda: read_picture(path, Geometry(8, 8), upright=True))
        assert found is None or (found.shape, found.dtype) == ((3, 8, 8), torch.uint8)


@fuzz
@given(content=st.binary(max_size=60))
def test_anything_is_no_picture(content: bytes) -> None:
    with folder() as place:
        (place / "picture.png").write_bytes(content)
        assert read(lambda: read_picture(place / "picture.png", Geometry(8, 8))) is None


TOML = b"""name = "leaves"
target = "healthy"

[data]
folder = "images"
labels = "labels.csv"
size = [64, 32]
fit = "crop"
classes = ["healthy", "rust"]

[classifier]
factory = "leaves_model:build"
arguments = { depth = 18 }
index = 0

[prior]
checkpoint = "prior.pt"
flags = { image_size = 64, learn_sigma = true }

[run]
method = "maskdime"
tau = 60
"""


@fuzz
@given(changes=edits)
def test_toml_files(changes: list[Edit]) -> None:
    with folder() as place:
        path = place / "leaves.toml"
        path.write_bytes(mutate(TOML, changes))
        found = read(lambda: read_custom(path))
        assert found is None or found[0].data.geometry().height >= 8


@fuzz
@given(changes=edits)
def test_label_lists(changes: list[Edit]) -> None:
    with folder() as place:
        path = place / "labels.csv"
        path.write_bytes(mutate(b"file,label\na.png,plum\nb c.png,cherry\n", changes))
        found = read(lambda: list_csv(path, place, ("plum", "cherry")))
        if found is not None:
            for name, number in found.rows:
                assert (place / name).resolve().is_relative_to(place.resolve())
                assert number in (0, 1)


@cache
def attributes(kind: str) -> bytes:
    rows = [
        f"{i:06d}.jpg " + " ".join("1" if (i + a) % 3 else "-1" for a in range(40))
        for i in range(3)
    ]
    if kind == "csv":
        lines = ["image_id," + ",".join(ATTRIBUTES), *(row.replace(" ", ",") for row in rows)]
    else:
        lines = ["3", " ".join(ATTRIBUTES), *rows]
    return ("\n".join(lines) + "\n").encode()


@fuzz
@given(kind=st.sampled_from(["csv", "txt"]), changes=edits)
def test_attribute_lists(kind: str, changes: list[Edit]) -> None:
    with folder() as place:
        path = place / f"list.{kind}"
        path.write_bytes(mutate(attributes(kind), changes))
        found = read(lambda: read_attributes(path))
        assert found is None or (tuple(found.columns) == ATTRIBUTES and found.index.is_unique)


@fuzz
@given(changes=edits)
def test_partition_lists(changes: list[Edit]) -> None:
    with folder() as place:
        path = place / "list.txt"
        path.write_bytes(mutate(b"000000.jpg 0\n000001.jpg 1\n000002.jpg 2\n", changes))
        files = pd.Index([f"00000{i}.jpg" for i in range(3)])
        found = read(lambda: read_partition(path, files))
        assert found is None or set(found.tolist()) <= {0, 1, 2}


@cache
def run_files() -> dict[str, bytes]:
    """Manifest, shard, metrics and a picture of a run of one made-up image."""
    config = build_config(method="maskdime", dataset="digits", task="3-8", limit=1)
    manifest = {
        **new_manifest(config, {"prior": {"name": "prior", "sha256": "0" * 64}}),
        "sittings": [{"threads": 1, "device": "x86", "started": "2026-01-01T00:00:00"}],
    }
    numbers = ("label", "prediction", "source", "target", "tries", "nfe", "lambda_class", "seconds")
    floats = ("margin_input", "margin", "target_probability_input", "target_probability")
    truths = ("correct", "flipped", "flipped_float", "top1")
    values: dict[str, Any] = {
        **dict.fromkeys((*numbers, *floats), 1),
        **dict.fromkeys(truths, True),
    }
    row = Row(id="a", index=0, status="ok", **values)
    image = Codec().encode(torch.zeros(3, 8, 8, dtype=torch.uint8))
    record = {
        "id": "fr",
        "value": 1.0,
        "low": None,
        "high": None,
        "n": 1,
        "population": "all",
        "backbone": None,
        "reason": None,
        "protocol": PROTOCOL,
    }
    document = {"config": manifest["config"], "images": 1, "metrics": [record]}
    with folder() as place:
        with open_store(place / "run", manifest) as store:
            store.commit([Finished(row, {"inputs/a.png": image, "counterfactuals/a.png": image})])
        (place / "run/metrics.json").write_text(json.dumps(document))
        names = ("manifest.json", "shards/00000.parquet", "metrics.json", "inputs/a.png")
        return {name: (place / "run" / name).read_bytes() for name in names}


def everything(path: Path) -> None:
    """Read all a run folder holds."""
    run = RunFolder.existing(path)
    run.config()
    run.images("inputs", run.rows())
    read_run(path)


def run_with(place: Path, damaged: str, changes: list[Edit]) -> Path:
    for name, content in run_files().items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(mutate(content, changes) if name == damaged else content)
    return place


def test_an_undamaged_run_is_read() -> None:
    with folder() as place:
        everything(run_with(place, "nothing", []))


@pytest.mark.parametrize("damaged", ["manifest.json", "metrics.json", "inputs/a.png"])
@fuzz
@given(changes=edits)
def test_run_folders(damaged: str, changes: list[Edit]) -> None:
    with folder() as place:
        path = run_with(place, damaged, changes)
        read(lambda: everything(path))


@fuzz
@given(changes=edits)
def test_shards(changes: list[Edit]) -> None:
    with folder() as place:
        path = run_with(place, "shards/00000.parquet", changes)
        rows = read(lambda: RunFolder(path).rows())
        assert rows is None or all(isinstance(row, Row) for row in rows)


@fuzz
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=4,
    ),
    name=st.sampled_from(["config", "protocol", "networks", "sittings", "status", "shard", ""]),
)
def test_manifests_of_another_form(value: Any, name: str) -> None:
    with folder() as place:
        path = run_with(place, "nothing", [])
        manifest = json.loads((path / "manifest.json").read_text())
        if name == "shard":
            manifest["config"]["shard"] = value
        (path / "manifest.json").write_text(
            json.dumps({**manifest, name: value} if name else value)
        )
        read(lambda: everything(path))


def measurement() -> Measurement:
    texts = ("dataset", "task", "method", "metric", "population", "backbone", "seed", "device")
    values: dict[str, Any] = dict.fromkeys((*texts, "commit", "date", "protocol", "note"), "a")
    return Measurement(**values, value=1.5, lo=None, hi=2.0, n=3, images=4)


@fuzz
@given(changes=edits)
def test_measured_files(changes: list[Edit]) -> None:
    with folder() as place:
        path = place / "rows.csv"
        path.write_bytes(mutate(to_csv([measurement()] * 2).encode(), changes))
        found = read(lambda: read_csv(path))
        assert found is None or all(row.value is None or np.isfinite(row.value) for row in found)


class Trap:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def checkpoints(trap: Path) -> dict[str, bytes]:
    """Files of weights by ending, some of them forged."""
    state = {"layer.weight": torch.arange(12.0).view(3, 4), "layer.bias": torch.zeros(3)}
    zipped, forged = io.BytesIO(), io.BytesIO()
    torch.save(state, zipped)
    torch.save({**state, "trap": Trap(trap)}, forged)
    arrays = {name: value.numpy() for name, value in state.items()}
    return {
        "safetensors": save(state),
        "pt": zipped.getvalue(),
        "forged.pt": forged.getvalue(),
        "pkl": pickle.dumps(arrays, protocol=2),
        "forged.pkl": pickle.dumps({**arrays, "trap": Trap(trap)}, protocol=2),
    }


@fuzz
@given(
    kind=st.sampled_from(["safetensors", "pt", "forged.pt", "pkl", "forged.pkl"]),
    changes=edits | st.just([]),
)
def test_checkpoints_execute_nothing(kind: str, changes: list[Edit]) -> None:
    with folder() as place:
        trap = place / "trap"
        path = place / f"weights.{kind}"
        path.write_bytes(mutate(checkpoints(trap)[kind], changes))
        arrays = kind.endswith("pkl")

        def tensors() -> Any:
            content = load_file_safely(path, arrays)
            return content if arrays else unwrap(content, path)

        found = read(tensors) or {}
        assert not trap.exists()
        assert all(isinstance(value, torch.Tensor) for value in found.values())
        assert not (kind.startswith("forged") and "trap" in found)
