"""Networks of one's own that only metrics look through: the right figures, under their names."""

import numpy as np
import pytest
import torch
from owntask import OwnTask, save
from PIL import Image

from vcebench.metrics import attributes, kid, similarity

ORACLE = '\n[oracle]\nfactory = "clf:{}"\n{}\n'
FEATURES = '\n[representation]\nfactory = "clf:blocks"\n'


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    task = OwnTask(tmp_path_factory.mktemp("own")).images(4)
    assert task.run() == 0
    return task


def with_sections(task, text):
    task.toml()
    task.config.write_text(task.config.read_text() + text)
    return task


def figures(task, *words):
    assert task.call("evaluate", task.path / "run", "--config", task.config, *words) == 0
    return {one["id"]: one for one in task.metrics()["metrics"]}


def pictures(task, kind):
    folder = task.folder()
    return folder.images(kind, folder.rows())


def shades(images):
    return torch.sigmoid(20 * ((images.float() / 127.5 - 1).mean((2, 3)) + 0.3)).numpy()


def blocks(images):
    x = images.float() / 127.5 - 1
    return torch.nn.functional.avg_pool2d(x, 8).flatten(1).numpy()


def test_attributes_of_an_oracle_are_counted(task):
    wanted = 'attributes = ["red", "green", "blue"]\nquery = "green"'
    found = figures(with_sections(task, ORACLE.format("shades", wanted)))
    before, after = (shades(pictures(task, kind)) for kind in ("inputs", "counterfactuals"))
    flipped = [row.flipped for row in task.folder().rows()]
    assert found["mnac"]["value"] == pytest.approx(
        attributes.mnac(before, after)[flipped].mean(), abs=1e-6
    )
    assert found["mnac"]["backbone"] == "clf:shades"
    targets = np.array([row.target for row in task.folder().rows()])
    agreed = (after[:, 1] > 0.5) == (targets == 1)
    assert found["oracle_fr"]["value"] == pytest.approx(100 * agreed.mean())
    assert found["cd"]["value"] is None
    assert 'reference = "FOLDER" in [oracle]' in found["cd"]["reason"]


SHADES = 'attributes = ["red", "green", "blue"]\nquery = "green"\n'


def learned_from(task, count=12):
    """A folder of training images, and their pixels as a run reads them, uint8 (n, 3, 16, 16)."""
    for number in range(count):
        rng = np.random.default_rng(number)
        pixels = np.full((16, 16, 3), rng.integers(40, 140, 3), np.uint8)
        save(task.path / "learned" / f"{number:02d}.png", pixels)
    files = sorted((task.path / "learned").glob("*.png"))
    pixels = np.stack([np.array(Image.open(file)) for file in files])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def test_correlations_are_compared_with_what_the_oracle_sees_in_training_images(task, capsys):
    learned = learned_from(task)
    config = with_sections(task, ORACLE.format("shades", SHADES + 'reference = "learned"')).config
    found = figures(task)["cd"]
    labels = (shades(learned) > 0.5).astype(np.int64)
    truth = attributes.label_correlation(labels, 1)
    assert 0 < abs(truth[0]) < 1  # or the correlations would decide nothing
    before, after = (shades(pictures(task, kind)) for kind in ("inputs", "counterfactuals"))
    flipped = np.array([row.flipped for row in task.folder().rows()])
    changed = attributes.changes(before, after)[flipped]
    assert found["value"] == pytest.approx(attributes.cd(changed, 1, truth), abs=1e-12)
    assert (found["n"], found["backbone"]) == (flipped.sum(), "clf:shades")
    assert any("12 training images" in note for note in task.metrics()["notes"])
    folder = task.path / "run"
    assert task.run("--seed", "1", output="again") == 0
    capsys.readouterr()
    assert task.call("compare", folder, task.path / "again", "--config", config) == 0
    assert "CD" in capsys.readouterr().out
    drawn = task.path / "figures"
    assert task.call("figures", folder, "--config", config, "-o", drawn) == 0
    assert (drawn / "correlations.png").exists()


def test_a_reference_that_cannot_be_read_leaves_the_figure_out(task):
    learned_from(task)
    (task.path / "learned" / "00.png").write_bytes(b"no picture")
    with_sections(task, ORACLE.format("shades", SHADES + 'reference = "learned"'))
    found = figures(task)
    assert found["mnac"]["value"] is not None
    assert found["cd"]["value"] is None
    assert "00.png" in found["cd"]["reason"]


def test_without_a_query_the_reason_says_so(task):
    with_sections(task, ORACLE.format("shades", 'attributes = ["red", "green", "blue"]'))
    assert "query" in figures(task)["cd"]["reason"]


def test_another_classifier_of_the_question_is_an_oracle(task):
    found = figures(with_sections(task, ORACLE.format("rule", "")))
    assert found["oracle_fr"]["backbone"] == "clf:rule"
    after = pictures(task, "counterfactuals").float() / 127.5 - 1
    targets = torch.tensor([row.target for row in task.folder().rows()])
    agreed = ((after.mean((1, 2, 3)) + 0.3 > 0).long() == targets).float().mean()
    assert found["oracle_fr"]["value"] == pytest.approx(100 * float(agreed))
    assert found["mnac"]["value"] is None
    assert "attributes in [oracle]" in found["cd"]["reason"]


def test_features_of_ones_own_give_distances_and_similarity(task):
    found = figures(with_sections(task, FEATURES))
    x, x_cf = (blocks(pictures(task, kind)) for kind in ("inputs", "counterfactuals"))
    rows = task.folder().rows()
    flipped = np.array([row.flipped for row in rows])
    correct = np.array([row.correct for row in rows])
    assert found["kid"]["value"] == pytest.approx(kid.kid(x, x_cf, flipped), rel=1e-3, abs=1e-6)
    assert found["s3"]["value"] == pytest.approx(similarity.s3(x, x_cf)[correct].mean(), abs=1e-5)
    assert {found[id]["backbone"] for id in ("fid", "kid", "s3")} == {"clf:blocks"}


def test_metric_networks_are_no_part_of_a_run(task, capsys):
    before = task.folder().manifest()["config"]
    with_sections(task, ORACLE.format("rule", "") + FEATURES)
    assert task.run() == 0  # the same run, measured with them
    assert task.folder().manifest()["config"] == before
    found = {one["id"]: one for one in task.metrics()["metrics"]}
    assert found["oracle_fr"]["value"] is not None
    assert found["kid"]["backbone"] == "clf:blocks"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ORACLE.format("shades", 'attributes = ["red"]'), "a logit for each of its 1 attributes"),
        (ORACLE.format("shades", 'attributes = ["a", "a", "b"]'), "stands there twice"),
        (ORACLE.format("shades", 'attributes = ["a"]\nquery = "b"'), "none of the attributes"),
        (ORACLE.format("shades", ""), "3 outputs"),
        (ORACLE.format("shades", 'reference = "images"'), "query"),
        (ORACLE.format("shades", SHADES + 'reference = "nowhere"'), "nowhere"),
        (ORACLE.format("nothing", ""), "nothing"),
        ('\n[representation]\nfactory = "clf:rule"\n', "must return features"),
    ],
)
def test_what_is_no_such_network_is_refused(task, capsys, text, words):
    with_sections(task, text)
    capsys.readouterr()
    assert task.run(output="refused") == 2
    assert words in capsys.readouterr().err
    assert not (task.path / "refused").exists()
