"""The 256-pixel priors at full size: one image, two steps, one network at a time."""

import gc
import json
import shutil

import pytest
from PIL import Image
from safetensors.torch import save_file

from vcebench.cli import main
from vcebench.weights.cards import ROLES, RUN_ROLES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("dataset", "tree", "size"),
    [
        ("celebahq", "celebahq_tree", (256, 256)),
        ("bdd100k", "bdd_tree", (512, 256)),
        ("imagenet", "imagenet_tree", (256, 256)),
    ],
)
def test_one_image_through_the_full_network(
    dataset, tree, size, request, published_state, tmp_path, monkeypatch, capsys
):
    weights = tmp_path / "weights"
    weights.mkdir()
    monkeypatch.setenv("VCEBENCH_WEIGHTS", str(weights))
    for role in RUN_ROLES:
        id = ROLES[dataset][role][0]
        state = published_state(id).items()
        halves = {key: v.half() if v.is_floating_point() else v for key, v in state}
        save_file(halves, weights / f"{id}.safetensors")
        del halves, state
        gc.collect()
    output = tmp_path / "run"
    arguments = ["run", "--method", "maskdime", "--dataset", dataset, "--limit", 1, "--tau", 2]
    arguments += ["--batch-size", 1, "--lambda-class", 8, "--output", output]
    arguments += ["--data-root", request.getfixturevalue(tree)]
    try:
        code = main([str(word) for word in arguments])
    finally:
        shutil.rmtree(weights)
    assert code == 0, capsys.readouterr().err
    (path,) = (output / "counterfactuals").iterdir()
    with Image.open(path) as picture:
        assert picture.size == size
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    factor = manifest["config"]["guidance"]["class_factor"]
    assert factor == (2.0 if dataset == "imagenet" else 1.0)
