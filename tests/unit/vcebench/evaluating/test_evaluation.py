"""From a stored run to its metrics and its contact sheet."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from vcebench.data.registry import dataset_entry
from vcebench.errors import UserError
from vcebench.evaluating.evaluation import evaluate
from vcebench.evaluating.extraction import extract
from vcebench.folders.images import Codec
from vcebench.folders.rows import to_table
from vcebench.folders.runfolder import PER_IMAGE, RunFolder
from vcebench.jobs.session import (
    Result,
    diversity,
    feature_distance,
    keep,
    measure_again,
    run_seeds,
)
from vcebench.metrics.registry import METRICS
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import PairClassifier
from vcebench.settings.request import Request, resolve
from vcebench.showing.pictures import contact_sheet, difference, region_picture

Run = Callable[..., RunFolder]


def test_every_metric_has_a_value_or_a_reason(tiny_run: Run, bundle: Bundle) -> None:
    values = evaluate(tiny_run(limit=10), bundle).values
    assert list(values) == list(METRICS)
    for value in values.values():
        assert (value.value is None) == bool(value.reason)
        assert value.value is None or math.isfinite(value.value)
    assert values["sigma_l"].reason == "needs --seeds 5"


def test_the_same_folder_gives_the_same_numbers(tiny_run: Run, bundle: Bundle) -> None:
    folder = tiny_run(limit=10)
    assert evaluate(folder, bundle, threads=1) == evaluate(folder, bundle, threads=3)


def test_an_oracle_that_also_judges_sees_every_image_once(
    tiny_run: Run, bundle: Bundle, tmp_path: Path
) -> None:
    folder = tiny_run()
    oracle = copy.deepcopy(bundle.classifier.network)
    shared = replace(
        bundle, oracle=oracle, judge=PairClassifier(oracle, (3, 8)), attributes=tuple("abcdefghij")
    )
    seen: list[int] = []
    oracle.register_forward_hook(lambda module, args, out: seen.append(len(args[0])))
    rows = folder.rows()
    found = extract(folder, rows, shared, torch.device("cpu"), tmp_path, threads=1)
    assert sum(seen) == 2 * len(rows)
    after = torch.from_numpy(found.pairs["attributes"][1].copy())
    target = torch.tensor([row.target for row in rows])
    assert found.values["oracle_fr"].tolist() == (after.argmax(dim=1) == target).tolist()


def test_flip_rate_counts_the_stored_images(tiny_run: Run, bundle: Bundle) -> None:
    folder = tiny_run(limit=10)
    flipped = [row.flipped for row in folder.rows()]
    assert evaluate(folder, bundle).values["fr"].value == pytest.approx(100 * sum(flipped) / 10)


def test_values_of_single_images_are_kept_and_average_to_the_metrics(
    tiny_run: Run, bundle: Bundle
) -> None:
    folder = tiny_run(limit=10)
    keep(Result(folder, evaluate(folder, bundle)))
    kept, values = folder.per_image(), evaluate(folder, bundle).values
    rows = folder.rows()
    assert list(kept) == [row.id for row in rows]
    for id, members in {"oracle_fr": rows, "l1": [row for row in rows if row.flipped]}.items():
        counted = [kept[row.id][id] for row in members]
        assert len(counted) == values[id].n > 0
        assert sum(counted) / len(counted) == pytest.approx(values[id].value)


def test_a_damaged_file_of_single_values_is_one_line(tiny_run: Run) -> None:
    folder = tiny_run()
    (folder.path / PER_IMAGE).write_bytes(b"not parquet")
    with pytest.raises(UserError, match="run vcebench evaluate") as caught:
        folder.per_image()
    assert "\n" not in str(caught.value)


def test_a_limit_equals_a_shorter_run(tiny_run: Run, bundle: Bundle) -> None:
    long = evaluate(tiny_run("long", limit=10), bundle, limit=6).values
    short = evaluate(tiny_run("short", limit=6), bundle).values
    for id in METRICS.keys() - {"time", "peak_memory"}:
        assert long[id].n == short[id].n, id
        assert long[id].value == pytest.approx(short[id].value), id


def test_populations_are_those_of_the_protocol(tiny_run: Run, bundle: Bundle) -> None:
    folder = tiny_run(limit=10)
    rows = folder.rows()
    values = evaluate(folder, bundle).values
    assert values["l1"].n == values["fid"].n == sum(row.flipped for row in rows)
    assert values["cout"].n == values["s3"].n == sum(row.correct for row in rows)
    assert values["nfe"].n == len(rows)


def spoil(folder: RunFolder) -> RunFolder:
    """Make the first image of a run non-finite."""
    first, *rest = folder.rows()
    for shard in folder.shards():
        shard.unlink()
    sick = replace(first, status="non-finite", flipped=False)
    pq.write_table(to_table([sick, *rest]), folder.path / "shards/00000.parquet")
    (folder.path / "counterfactuals" / f"{first.id}.png").unlink()
    return folder


def test_non_finite_images_are_counted_and_not_averaged(tiny_run: Run, bundle: Bundle) -> None:
    found = evaluate(spoil(tiny_run()), bundle)
    assert (found.images, found.non_finite) == (6, 1)
    assert found.values["fr"].n == 5


def edited(folder: RunFolder) -> RunFolder:
    """Put the input of a flipped image in the place of its counterfactual."""
    row = next(row for row in folder.rows() if row.flipped)
    original = folder.images("inputs", [row])[0]
    (folder.path / "counterfactuals" / f"{row.id}.png").write_bytes(Codec().encode(original))
    return folder


def test_an_edited_image_is_refused(tiny_run: Run, bundle: Bundle) -> None:
    folder = edited(tiny_run(limit=10))
    with pytest.raises(UserError, match="is not the file its row was stored with"):
        evaluate(folder, bundle)


def test_an_edited_image_is_noticed_where_rows_know_no_digests(
    tiny_run: Run, bundle: Bundle
) -> None:
    folder = edited(tiny_run(limit=10))
    old = [replace(row, files_sha256=None) for row in folder.rows()]
    for shard in folder.shards():
        shard.unlink()
    pq.write_table(to_table(old), folder.path / "shards/00000.parquet")
    (note, *_) = evaluate(folder, bundle).notes
    assert note.startswith("1 of 10 images are judged otherwise")


def test_a_missing_image_is_named(tiny_run: Run, bundle: Bundle) -> None:
    folder = tiny_run()
    (folder.path / "inputs" / f"{folder.rows()[2].id}.png").unlink()
    with pytest.raises(UserError, match="is missing; the run's own `vcebench run` command"):
        evaluate(folder, bundle)


def test_metrics_are_kept_as_json_and_parquet(tiny_run: Run, bundle: Bundle) -> None:
    folder = tiny_run()
    keep(Result(folder, evaluate(folder, bundle)))
    stored = json.loads((folder.path / "metrics.json").read_text())
    table = pq.read_table(folder.path / "metrics.parquet").to_pylist()
    assert stored["metrics"] == table
    assert [record["id"] for record in table] == list(METRICS)
    assert (folder.path / "contact-sheet.png").stat().st_size > 1000


def test_seeds_give_diversity(bundle: Bundle, tmp_path: Path) -> None:
    asked = Request("maskdime", "digits", limit=3, batch_size=3, settings={"tau": 2})
    config, images = resolve(asked)
    made = run_seeds(config, images, 3, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed-0", "seed-1", "seed-2"]
    (value,) = {result.evaluation.values["sigma_l"] for result in made}
    assert value.n == 3
    assert value.value is not None
    assert value.value > 0
    again = measure_again(tmp_path)
    assert [r.evaluation.values for r in again] == [r.evaluation.values for r in made]


def test_one_seed_has_no_diversity_with_itself(tiny_run: Run, bundle: Bundle) -> None:
    folder = tiny_run()
    assert diversity([folder, folder], bundle).value == 0


def test_feature_distance_is_lpips_without_weights() -> None:
    a = torch.tensor([[[[3.0]], [[0.0]]]])
    b = torch.tensor([[[[0.0]], [[2.0]]]])
    assert feature_distance(a, b).tolist() == [2.0]


def test_contact_sheet_has_the_masks_and_twelve_images(tiny_run: Run) -> None:
    task = dataset_entry("digits").task("3-8")
    sheet = contact_sheet(tiny_run("many", limit=14), task)
    few = contact_sheet(tiny_run("few", limit=2), task)
    assert sheet.width == 2 * few.width
    assert few.width > 5 * 128
    assert sheet.height > 6 * 128


def test_contact_sheet_has_the_region(tiny_run: Run) -> None:
    task = dataset_entry("digits").task("3-8")
    told, free = tiny_run("told", limit=1, region="free-form:10-20"), tiny_run("free", limit=1)
    assert contact_sheet(told, task).width - contact_sheet(free, task).width >= 128
    image, region = torch.full((3, 1, 2), 200, dtype=torch.uint8), torch.tensor([[True, False]])
    assert region_picture(image, region)[:, 0].T.tolist() == [[200] * 3, [166] * 3]


def test_difference_is_red_where_brighter_blue_where_darker() -> None:
    before = torch.tensor([0, 255, 7], dtype=torch.uint8).expand(3, 1, 3)
    after = torch.tensor([255, 0, 7], dtype=torch.uint8).expand(3, 1, 3)
    assert difference(before, after)[:, 0].T.tolist() == [[255, 0, 0], [0, 0, 255], [255, 255, 255]]
