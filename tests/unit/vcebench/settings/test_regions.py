"""What `--region` says."""

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vcebench.errors import UserError
from vcebench.settings.config import build_config
from vcebench.settings.presets import region_cell
from vcebench.settings.regions import RegionChoice, parse_region
from vcebench.settings.request import Request, resolve, told_region

DEFAULT = "integrated-gradients"


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("cells", RegionChoice("cells", high=0.3, name=DEFAULT)),
        ("cells:20", RegionChoice("cells", high=0.2, name=DEFAULT)),
        ("cells:saliency", RegionChoice("cells", high=0.3, name="saliency")),
        ("pixels:5:score-cam", RegionChoice("pixels", high=0.05, name="score-cam")),
        ("cells:10:captum:gradcam", RegionChoice("cells", high=0.1, name="captum:gradcam")),
        ("free-form:10-20", RegionChoice("free-form", 0.1, 0.2)),
        ("all", RegionChoice("all")),
        ("truth", RegionChoice("truth")),
        ("part:mouth", RegionChoice("part", name="mouth")),
    ],
)
def test_forms(text, choice):
    assert parse_region(text) == choice


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell", "is neither cells, pixels, free-form:10-20, all, truth, part:NAME, or a folder"),
        ("cells:0", "'0' is no percentage above 0 and up to 100"),
        ("cells:101", "'101' is no percentage"),
        ("cells:salency", "did you mean 'saliency'"),
        ("free-form:10", "needs two percentages"),
        ("free-form:20-10", "the first percentage must be the smaller one"),
        ("all:3", "is neither"),
        ("part:", "is neither"),
    ],
)
def test_anything_else_is_one_sentence(text, message):
    with pytest.raises(UserError, match=message):
        parse_region(text)


@given(st.text(max_size=30))
def test_no_text_brings_it_down(text):
    with suppress(UserError):
        assert parse_region(text).kind in ("cells", "pixels", "all", "truth", "part", "files")


def asked(**values):
    return resolve(Request(dataset="synthfaces", limit=2, device="cpu", **values))[0]


def test_a_configuration_without_a_region_keeps_its_hash():
    config = asked(method="maskdime")
    assert (config.region, config.masks) == (None, None)
    content = config.model_dump(mode="json")
    assert build_config(**content).digest() == config.digest()
    assert asked(method="maskdime", region="all").digest() != config.digest()


def test_an_id_may_say_the_region():
    assert asked(method="rcsb-truth").region == "truth"
    assert asked(method="rcsb-freeform-10-20").region == "free-form:10-20"
    with pytest.raises(UserError, match="by definition of rcsb-truth; drop it"):
        asked(method="rcsb-truth", region="all")


@pytest.mark.parametrize("method", ["pgd", "svce"])
def test_methods_that_cannot_keep_to_a_region_are_refused(method):
    with pytest.raises(UserError, match="cannot be told where to change an image"):
        asked(method=method, region="all")


def test_a_stored_region_of_files_needs_its_folder():
    with pytest.raises(UserError, match="name the folder of the masks: --region FOLDER"):
        asked(method="maskdime", region="files:0a")


def test_a_word_is_a_word_even_where_a_folder_is_called_so(tmp_path, monkeypatch):
    (tmp_path / "cells").mkdir()
    Image.new("L", (64, 64), 255).save(tmp_path / "cells" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert asked(method="maskdime", region="cells").region == "cells"
    config = asked(method="maskdime", region="./cells")
    assert config.region.startswith("files:")
    assert config.masks == "cells"


def test_a_region_that_the_id_does_not_say_is_part_of_a_runs_name(tmp_path):
    Image.new("L", (64, 64), 255).save(tmp_path / "a.png")
    assert told_region(asked(method="maskdime")) is None
    assert told_region(asked(method="maskdime", region="part:mouth")) == "part:mouth"
    assert told_region(asked(method="rcsb-truth")) is None
    assert re.fullmatch(
        "files:[0-9a-f]{12}", told_region(asked(method="maskdime", region=str(tmp_path)))
    )


@pytest.mark.parametrize(
    ("size", "cell"),
    [
        ((32, 32), 4),
        ((64, 64), 4),
        ((256, 512), 16),
        ((224, 224), 14),
        ((120, 160), 8),
        ((8, 9), 1),
    ],
)
def test_cells_always_fill_the_image(size, cell):
    assert region_cell("own", size) == cell
    assert size[0] % cell == size[1] % cell == 0
