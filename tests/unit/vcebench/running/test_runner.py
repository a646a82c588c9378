"""Whole runs with tiny networks: equality, retries, resume, faults."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from vcebench.data.digits import Digits
from vcebench.data.registry import open_dataset
from vcebench.errors import StoppedError, UserError
from vcebench.folders.digests import file_digests, input_digest
from vcebench.folders.images import Codec, decode, decode_masks, quantise
from vcebench.folders.rows import Row
from vcebench.folders.runfolder import RunFolder
from vcebench.methods.maskdime import MaskDiME
from vcebench.models import shipped
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import TargetClassifier
from vcebench.running import runner
from vcebench.running.assemble import networks_of
from vcebench.running.engines.local import LocalEngine
from vcebench.running.precision import Autocast
from vcebench.settings.request import Request, resolve

Run = Callable[..., RunFolder]
Contents = Callable[..., dict[str, bytes]]


def results(folder: RunFolder) -> list[dict[str, Any]]:
    """Rows without what a clock decides."""
    return [{**vars(row), "seconds": 0} for row in folder.rows()]


def test_images_climb_the_ladder_and_their_tries_are_summed(tiny_run: Run) -> None:
    rows = tiny_run(limit=10).rows()
    assert {row.tries for row in rows} == {1, 2, 3}
    for row in rows:
        assert row.nfe == 3 * row.tries
        assert row.lambda_class == (8.0, 10.0, 15.0)[row.tries - 1]
        assert row.flipped or row.tries == 3


def test_rows_bind_inputs_and_files(tiny_run: Run) -> None:
    folder = tiny_run(limit=3, trace=1)
    images = open_dataset("digits", "3-8", "test")
    for row in folder.rows():
        example = images[row.index]
        assert row.input_sha256 == input_digest(example.image, example.label)
        files = {name: (folder.path / name).read_bytes() for name in folder.files(row)}
        assert row.files_sha256 == file_digests(files)
        assert {"inputs", "counterfactuals", "masks"} <= files_kinds(row)
        assert ("trace" in files_kinds(row)) == (row.index == 0)


def files_kinds(row: Row) -> set[str]:
    return set(row.files_sha256 or {})


def test_flips_are_judged_on_the_stored_image(tiny_run: Run, bundle: Bundle) -> None:
    folder = tiny_run()
    rows = folder.rows()
    stored = folder.images("counterfactuals", rows).float() / 127.5 - 1
    target = torch.tensor([row.target for row in rows])
    source = torch.tensor([row.source for row in rows])
    margins = bundle.classifier.margin(stored, target, source)
    assert [row.flipped for row in rows] == (margins > 0).tolist()
    torch.testing.assert_close(torch.tensor([row.margin for row in rows]), margins)


SHORT_ACE = {"iterations": 3, "filter_steps": 2}


@pytest.mark.parametrize(
    ("method", "threads"),
    [
        *(("maskdime", 1), ("maskdime", 3), ("maskdime-released", 1), ("fastdime-2", 2)),
        *(("dime", 2), ("ace-l1", 2)),
    ],
)
def test_an_image_is_the_same_bits_in_any_subset_and_on_any_thread(
    tiny_run: Run, contents: Contents, method: str, threads: int
) -> None:
    settings = SHORT_ACE if method == "ace-l1" else {"tau": 3}
    asked: dict[str, Any] = {"method": method, "batch_size": 5, "settings": settings}
    whole = contents(tiny_run("whole", limit=9, **asked))
    part = contents(tiny_run("part", limit=4, threads=threads, **asked))
    assert part == {name: whole[name] for name in part}


@pytest.mark.parametrize("asked", [{}, {"method": "ace-l1", "settings": SHORT_ACE}])
def test_an_image_is_the_same_bits_in_any_order(
    tiny_run: Run, contents: Contents, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    forwards = contents(tiny_run("forwards", limit=8, batch_size=5, **asked))
    pending = runner.pending

    def backwards(*arguments: Any) -> Iterator[Any]:
        return iter(list(pending(*arguments))[::-1])

    monkeypatch.setattr(runner, "pending", backwards)
    assert contents(tiny_run("backwards", limit=8, batch_size=5, **asked)) == forwards


@pytest.mark.parametrize("asked", [{}, {"method": "ace-l1", "settings": SHORT_ACE}])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_other_batch_sizes_change_almost_no_pixel_and_no_flip(
    tiny_run: Run, batch_size: int, asked: dict[str, Any]
) -> None:
    first = tiny_run("a", limit=8, batch_size=16, **asked)
    other = tiny_run("b", limit=8, batch_size=batch_size, **asked)
    rows = first.rows()
    assert [row.flipped for row in rows] == [row.flipped for row in other.rows()]
    equal = first.images("counterfactuals", rows) == other.images("counterfactuals", rows)
    assert equal.float().mean() >= 0.999


def test_a_finished_run_is_not_made_again(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = results(tiny_run())
    monkeypatch.setattr(LocalEngine, "submit", lambda *_: pytest.fail("nothing is left to do"))
    assert results(tiny_run()) == before


def stop_after(monkeypatch: pytest.MonkeyPatch, batches: int, error: BaseException) -> None:
    """Let an error strike while the run waits for its next batch."""
    collect, left = LocalEngine.collect, iter(range(batches))

    def failing(self: LocalEngine) -> Any:
        if next(left, None) is None:
            raise error
        return collect(self)

    monkeypatch.setattr(LocalEngine, "collect", failing)


@pytest.mark.parametrize("batches", [0, 1, 2, 3])
def test_an_interrupted_run_ends_as_an_undisturbed_one(
    tiny_run: Run, contents: Contents, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    whole = tiny_run("whole", limit=8)
    with monkeypatch.context() as patch:
        stop_after(patch, batches, KeyboardInterrupt())
        with pytest.raises(StoppedError, match=r"stopped after \d of 8 images; the same command"):
            tiny_run("broken", limit=8)
    broken = tiny_run("broken", limit=8)
    assert results(broken) == results(whole)
    for kind in ("inputs", "counterfactuals", "masks"):
        assert contents(broken, kind) == contents(whole, kind)


def test_the_manifest_says_what_was_run(tiny_run: Run) -> None:
    manifest = tiny_run().manifest()
    assert manifest["protocol"] == "ace-2023/1"
    assert manifest["status"] == "finished"
    assert manifest["config"]["settings"]["tau"] == 3
    assert set(manifest["networks"]["prior"]) == {"name", "sha256"}
    (sitting,) = manifest["sittings"]
    assert {"command", "versions", "device", "threads", "peak_memory_mib"} <= sitting.keys()
    json.dumps(manifest, allow_nan=False)


def test_seconds_add_up_to_no_more_than_the_wall_time(tiny_run: Run) -> None:
    folder = tiny_run(limit=9, threads=2)
    (sitting,) = folder.manifest()["sittings"]
    assert 0 < sum(row.seconds for row in folder.rows()) <= sitting["seconds"]


def test_a_non_finite_image_is_reported_and_has_no_counterfactual(
    tiny_run: Run, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = tiny_run("healthy")
    first = healthy.images("inputs", healthy.rows()[:1]).float() / 127.5 - 1

    def finish(self: MaskDiME, state: Any) -> torch.Tensor:
        hit = (state.x - first).abs().flatten(1).sum(1) == 0
        return torch.where(hit.view(-1, 1, 1, 1), torch.nan, state.z)

    monkeypatch.setattr(MaskDiME, "finish", finish)
    folder = tiny_run("sick")
    sick, *others = folder.rows()
    assert (sick.status, sick.flipped, sick.tries) == ("non-finite", False, 3)
    assert all(row.status == "ok" for row in others)
    made = contents(folder)
    assert f"{sick.id}.png" not in made
    before = contents(healthy)
    assert made == {name: before[name] for name in made}


def test_traces_hold_every_step_and_change_no_image(tiny_run: Run, contents: Contents) -> None:
    plain, traced = tiny_run("plain"), tiny_run("traced", trace=2)
    assert contents(plain) == contents(traced)
    files = sorted((traced.path / "trace").iterdir())
    assert {file.stem for file in files} == {row.id for row in traced.rows()[:2]}
    found = safetensors.torch.load_file(files[0])
    assert found["index"].tolist() == [2, 1, 0]
    assert found["z"].shape == found["x_t"].shape == (3, 3, 32, 32)
    assert found["mask_z"].shape == (3, 1, 32, 32)
    last_z, last_x = decode_masks((traced.path / "masks" / f"{files[0].stem}.png").read_bytes())
    assert torch.equal(found["mask_z"][-1, 0], last_z)
    assert torch.equal(found["mask_x"][-1, 0], last_x)
    image = decode((traced.path / "inputs" / f"{files[0].stem}.png").read_bytes())
    assert torch.equal(quantise(found["x_t"][0]), image)  # the first step looks at the input


def test_jpeg_files_are_what_was_judged(tiny_run: Run, bundle: Bundle) -> None:
    folder = tiny_run(image_format="jpeg")
    rows = folder.rows()
    assert folder.codec() == Codec("jpeg")
    stored = folder.images("counterfactuals", rows).float() / 127.5 - 1
    target = torch.tensor([row.target for row in rows])
    source = torch.tensor([row.source for row in rows])
    margins = bundle.classifier.margin(stored, target, source)
    assert [row.flipped for row in rows] == (margins > 0).tolist()


def test_tau_beyond_the_schedule_leaves_no_folder(tiny_run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="tau is 201, but the prior's schedule has 200 steps"):
        tiny_run(settings={"tau": 201})
    assert not (tmp_path / "run").exists()


def test_a_wrong_image_is_named(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    get = Digits.__getitem__

    def grey(self: Digits, index: int) -> Any:
        example = get(self, index)
        return type(example)(example.id, example.image[:1], example.label)

    monkeypatch.setattr(Digits, "__getitem__", grey)
    with pytest.raises(UserError, match=r"image digits-\d+ is .* give uint8 with shape"):
        tiny_run()


def test_half_precision_guides_but_does_not_judge(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    margin = TargetClassifier.margin

    def watched(self: TargetClassifier, x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        half = any(isinstance(module, Autocast) for module in self.modules())
        seen.add((half, x.requires_grad))
        return margin(self, x, *rest)

    monkeypatch.setattr(TargetClassifier, "margin", watched)
    tiny_run(precision="bf16", limit=2)
    assert seen == {(True, True), (False, False)}


def test_an_attack_reads_no_prior(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, load = set(), shipped.load_network

    def watched(path: Path) -> Any:
        read.add(path.stem)
        return load(path)

    monkeypatch.setattr(shipped, "load_network", watched)
    config, images = resolve(Request("pgd", "digits", limit=2, batch_size=2))
    bundle = networks_of(config, metrics=False)
    assert read == {"classifier"}
    folder = runner.run(config, images, tmp_path / "run", bundle, 1)
    assert set(folder.manifest()["networks"]) == {"classifier"}
    assert [(row.nfe, row.backward) for row in folder.rows()] == [(0, 0)] * 2


def test_an_attack_that_stored_its_prior_is_continued_without(
    tmp_path: Path, bundle: Bundle
) -> None:
    """As runs before the roles were told apart: whatever the bundle held is in the manifest."""
    config, images = resolve(Request("pgd", "digits", limit=2, batch_size=2))
    runner.run(config, images, tmp_path / "run", bundle, 1)
    lean = dataclasses.replace(bundle, prior=None, hashes={"classifier": "0" * 64})
    assert len(runner.run(config, images, tmp_path / "run", lean, 1).rows()) == 2
    other = dataclasses.replace(bundle, hashes={"classifier": "1" * 64})
    with pytest.raises(UserError, match="made with another configuration"):
        runner.run(config, images, tmp_path / "run", other, 1)
