"""Whole runs on a card: the images of other tiers and devices, their memory, their evaluation."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from vcebench.evaluating.evaluation import evaluate
from vcebench.folders.runfolder import RunFolder
from vcebench.models.loading import load_bundle
from vcebench.running import assemble, runner
from vcebench.running.assemble import networks_of
from vcebench.running.engines.processes import ProcessEngine
from vcebench.settings.request import Request, resolve


def made(folder: Path, count: int = 32, **asked) -> RunFolder:
    request = Request("maskdime", "digits", limit=count, batch_size=8, **asked)
    config, images = resolve(request)
    return runner.run(config, images, folder, networks_of(config), 2)


def files(folder: RunFolder) -> dict[str, bytes]:
    paths = (folder.path / "counterfactuals").iterdir()
    return {path.name: path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return made(tmp_path_factory.mktemp("runs") / "exact", device="cuda")


def test_recorded_and_unrecorded_runs_are_the_same_bytes(exact, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(assemble, "recorder_for", lambda device: None)
    plain = made(tmp_path / "plain", device="cuda")
    assert files(plain) == files(exact)
    assert "without CUDA graphs" not in capsys.readouterr().err


@pytest.mark.parametrize("tier", ["fast", "bf16", "fp16"])
def test_a_tier_decides_as_exact_does(tier, exact, tmp_path, capsys):
    rows = made(tmp_path / tier, device="cuda", precision=tier).rows()
    equal = [a.flipped == b.flipped for a, b in zip(exact.rows(), rows, strict=True)]
    assert np.mean(equal) >= 0.99 or sum(not same for same in equal) <= 1
    assert "slower" not in capsys.readouterr().err


def test_the_cpu_decides_as_the_card_does(exact, tmp_path):
    rows = made(tmp_path / "cpu", device="cpu").rows()
    equal = [a.flipped == b.flipped for a, b in zip(exact.rows(), rows, strict=True)]
    assert sum(not same for same in equal) <= 1


def test_a_run_that_halves_its_batches_goes_on_recorded(exact, tmp_path, monkeypatch, capsys):
    from vcebench.methods.maskdime import MaskDiME

    explain = MaskDiME.explain

    def limited(self, x, *rest, **others):
        if len(x) > 4:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return explain(self, x, *rest, **others)

    monkeypatch.setattr(MaskDiME, "explain", limited)
    rows = made(tmp_path / "halved", device="cuda").rows()
    assert {row.batch_size for row in rows} == {4}
    said = capsys.readouterr().err
    assert "going on with batches of 4" in said
    assert "without CUDA graphs" not in said


def test_no_network_of_metrics_and_no_second_prior_is_on_the_card_in_a_run(tmp_path, monkeypatch):
    config, images = resolve(
        Request("maskdime", "digits", limit=8, batch_size=8, device="cuda", precision="fp16")
    )
    bundle = networks_of(config)
    seen: list[set[str]] = []
    commit = runner._batches

    def watched(*given):
        idle = (bundle.prior, bundle.representation, bundle.oracle)
        seen.append({p.device.type for n in idle if n is not None for p in n.parameters()})
        return commit(*given)

    monkeypatch.setattr(runner, "_batches", watched)
    runner.run(config, images, tmp_path / "run", bundle, 2)
    assert seen == [{"cpu"}]
    assert {p.device.type for p in bundle.prior.parameters()} == {"cuda"}


def test_figures_are_those_of_a_cpu(exact):
    here = evaluate(exact, load_bundle("digits", device="cuda"), threads=2)
    cpu = evaluate(exact, load_bundle("digits"), threads=2)
    for id, value in cpu.values.items():
        if value.value is not None:
            assert here.values[id].value == pytest.approx(value.value, rel=2e-3, abs=2e-3), id


def test_a_process_for_a_card_makes_the_same_bytes(exact, tmp_path):
    config, images = resolve(Request("maskdime", "digits", limit=32, batch_size=8, device="cuda"))
    count = torch.cuda.device_count()
    folder = runner.run(
        config,
        images,
        tmp_path / "several",
        networks_of(config),
        launch=lambda *run: ProcessEngine(run[0], count),
    )
    assert files(folder) == files(exact)
    rows = [dataclasses.replace(row, seconds=0) for row in folder.rows()]
    assert rows == [dataclasses.replace(row, seconds=0) for row in exact.rows()]
