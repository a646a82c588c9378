"""What an evaluation leaves for the next one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vcebench.errors import UserError
from vcebench.evaluating import extraction, pairs
from vcebench.evaluating.evaluation import evaluate
from vcebench.evaluating.remembering import FOLDER, Memory, forget


@pytest.fixture
def run(tiny_run, monkeypatch):
    """Six images in three chunks."""
    monkeypatch.setattr(extraction, "CHUNK", 2)
    return tiny_run()


@pytest.fixture
def looked(monkeypatch):
    """Ids of the images that were looked at."""
    ids = []
    look = pairs.networks

    def counted(folder, pair, bundle):
        ids.extend(row.id for row in pair.rows)
        return look(folder, pair, bundle)

    monkeypatch.setattr(pairs, "networks", counted)
    return ids


def blocks(run):
    return sorted((run.path / FOLDER).iterdir())


def test_a_second_evaluation_looks_at_nothing_and_says_the_same(run, bundle, looked):
    first = evaluate(run, bundle, threads=1)
    assert len(looked) == 6
    looked.clear()
    second = evaluate(run, bundle, threads=1)
    assert looked == []
    assert second == first  # bit for bit


def test_a_stopped_evaluation_continues_where_it_stopped(run, bundle, looked, monkeypatch):
    expected = evaluate(run, bundle, threads=1)
    assert forget(run) == 3
    looked.clear()

    def stopped(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(run, bundle, threads=1, progress=stopped)
    assert len(looked) == 4
    assert evaluate(run, bundle, threads=1) == expected
    assert len(looked) == 6


def test_progress_tells_of_all_images(run, bundle):
    told = []
    evaluate(run, bundle, threads=1, progress=lambda done, total: told.append((done, total)))
    assert told == [(2, 6), (4, 6), (6, 6)]


@pytest.mark.parametrize("damage", [b"", b"nonsense", "half", "short"])
def test_a_damaged_block_is_made_anew(run, bundle, damage):
    import safetensors.numpy

    expected = evaluate(run, bundle, threads=1)
    block = blocks(run)[0]
    content = block.read_bytes()
    if damage == "half":
        damage = content[: len(content) // 2]
    if damage == "short":
        arrays = safetensors.numpy.load(content)
        damage = safetensors.numpy.save({name: array[:1] for name, array in arrays.items()})
    block.write_bytes(damage)
    assert evaluate(run, bundle, threads=1) == expected
    assert block.read_bytes() == content


def test_other_networks_are_another_question(run, bundle, looked):
    evaluate(run, bundle, threads=1)
    looked.clear()
    other = replace(bundle, hashes={**bundle.hashes, "representation": "1" * 64})
    evaluate(run, other, threads=1)
    assert len(looked) == 6


def test_a_changed_image_is_not_remembered(run, bundle):
    evaluate(run, bundle, threads=1)
    path = next((run.path / "counterfactuals").iterdir())
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(UserError, match="is not the file its row was stored with"):
        evaluate(run, bundle, threads=1)


def test_rows_without_digests_are_evaluated_every_time(run, bundle, looked):
    rows = [replace(row, input_sha256=None, files_sha256=None) for row in run.rows()]
    for _ in range(2):
        extraction.extract(run, rows, bundle, torch.device("cpu"), run.path, 1)
    assert len(looked) == 12
    assert not (run.path / FOLDER).exists()


def test_what_is_found_with_a_cue_is_another_question(run, bundle):
    rows = run.rows()[:2]
    without, with_cue = (Memory(run, bundle, torch.device("cpu"), cue) for cue in (None, "patch"))
    without.keep(rows, {"margin": np.zeros(2)})
    assert with_cue.recall(rows) is None
    assert without.recall(rows)["margin"].tolist() == [0, 0]


def test_features_are_float32(run, bundle):
    import safetensors.numpy

    evaluate(run, bundle, threads=1)
    arrays = safetensors.numpy.load(blocks(run)[0].read_bytes())
    assert arrays["representation:x"].dtype == np.float32
    assert len(arrays["representation:x"]) == 2
