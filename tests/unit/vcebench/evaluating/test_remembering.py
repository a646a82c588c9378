"""What an evaluation leaves for the next one."""

from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy
import torch

from vcebench.cli import main
from vcebench.errors import UserError
from vcebench.evaluating import extraction, pairs
from vcebench.evaluating.evaluation import evaluate
from vcebench.evaluating.remembering import FOLDER, Memory, forget, size
from vcebench.folders.seals import key_file, sealed, unsealed


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A user's cache folder, without a key."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


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
    expected = evaluate(run, bundle, threads=1)
    block = blocks(run)[0]
    content = block.read_bytes()
    if damage == "half":
        damage = content[: len(content) // 2]
    if damage == "short":
        arrays = safetensors.numpy.load(unsealed(block.stem, content))
        shorter = safetensors.numpy.save({name: array[:1] for name, array in arrays.items()})
        damage = sealed(block.stem, shorter)
    block.write_bytes(damage)
    assert evaluate(run, bundle, threads=1) == expected
    assert block.read_bytes() == content


def flipped_by_hand(run, seal=lambda name, content: b"0" * 32 + content):
    """Blocks in which a stranger wrote that every image flipped."""
    for block in blocks(run):
        arrays = safetensors.numpy.load(block.read_bytes()[32:])
        arrays["margin"] = np.full_like(arrays["margin"], 9.0)
        block.write_bytes(seal(block.stem, safetensors.numpy.save(arrays)))


def test_what_somebody_else_found_is_not_believed(run, bundle, looked, cache):
    expected = evaluate(run, bundle, threads=1)
    assert (key_file().stat().st_mode & 0o777) == 0o600
    for seal in (lambda name, content: b"0" * 32 + content, sealed):
        if seal is sealed:  # sealed with a key, which is another user's
            key_file().unlink()
        flipped_by_hand(run, seal)
        if seal is sealed:
            key_file().unlink()
        looked.clear()
        assert evaluate(run, bundle, threads=1) == expected
        assert len(looked) == 6


def test_a_block_is_no_answer_to_another_question(run, bundle, looked):
    expected = evaluate(run, bundle, threads=1)
    first, *others = blocks(run)
    for other in others:
        other.write_bytes(first.read_bytes())
    looked.clear()
    assert evaluate(run, bundle, threads=1) == expected
    assert len(looked) == 4


def test_without_a_key_everything_is_looked_at_every_time(run, bundle, looked, cache):
    forget(run)
    cache.parent.joinpath("cache").write_text("no folder")
    for _ in range(2):
        evaluate(run, bundle, threads=1)
    assert len(looked) == 12
    assert not (run.path / FOLDER).exists()


def test_a_key_that_was_cut_off_is_none(run, bundle, looked):
    evaluate(run, bundle, threads=1)
    key_file().write_bytes(b"short")
    looked.clear()
    evaluate(run, bundle, threads=1)
    assert len(looked) == 6


def test_other_networks_are_another_question(run, bundle, looked):
    evaluate(run, bundle, threads=1)
    looked.clear()
    other = replace(bundle, hashes={**bundle.hashes, "representation": "1" * 64})
    evaluate(run, other, threads=1)
    assert len(looked) == 6


def test_networks_that_make_images_are_none_of_its_business(run, bundle, looked):
    evaluate(run, bundle, threads=1)
    looked.clear()
    hashes = {role: h for role, h in bundle.hashes.items() if role not in ("prior", "perceptual")}
    evaluate(run, replace(bundle, hashes=hashes), threads=1)
    assert looked == []


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
    evaluate(run, bundle, threads=1)
    arrays = safetensors.numpy.load(unsealed(blocks(run)[0].stem, blocks(run)[0].read_bytes()))
    assert arrays["representation:x"].dtype == np.float32
    assert len(arrays["representation:x"]) == 2


def test_the_command_says_what_is_kept_and_drops_it(run, bundle, capsys):
    assert size(run) == 0
    evaluate(run, bundle, threads=1)
    assert size(run) == sum(path.stat().st_size for path in blocks(run)) > 0
    assert main(["evaluate", str(run.path), "--forget", "--threads", "1"]) == 0
    said = capsys.readouterr().err
    assert f"{run.path}: 3 blocks of earlier evaluations dropped" in said
    assert "MiB kept for the next evaluation" in said
    forget(run)
    assert size(run) == 0
