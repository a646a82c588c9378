"""The site as files."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from vcebench.errors import UserError
from vcebench.folders.manifest import parse_manifest
from vcebench.folders.rows import to_table
from vcebench.showing.report.build import build_report

MARKUP = "<img src=x onerror=alert(1)>\"'&"


class Page(HTMLParser):
    """Links, sources, alternative texts and the embedded data of a page."""

    def __init__(self, path):
        super().__init__()
        self.path, self.links, self.images, self.tags = path, [], [], []
        self.data, self._in_data = "", False
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append((tag, values))
        self.links += [values[name] for name in ("href", "src", "data-src") if values.get(name)]
        self._in_data = values.get("id") == "data"
        if tag == "img":
            self.images.append(values)

    def handle_data(self, data):
        if self._in_data:
            self.data, self._in_data = data, False


def head_of(site):
    """What the first page itself knows of all images."""
    return json.loads(Page(site / "index.html").data)


def piece(site, name):
    """The content of a data file."""
    text = (site / "data" / f"{name}.js").read_text()
    begin, end = f'ReportData.take("{name}", ', ");\n"
    assert text.startswith(begin)
    assert text.endswith(end)
    return json.loads(text.removeprefix(begin).removesuffix(end))


def pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def column(site, name, dtype):
    return np.frombuffer(base64.b64decode(piece(site, name)), dtype)


FLIPPED, FINITE, MASK, REGION = 2, 4, 8, 64  # bits of a result


@pytest.fixture(scope="module")
def site(fixture_run, tmp_path_factory):
    """Three methods on four images, two of them traced."""
    runs = [fixture_run(m, ids=4, trace=2).path for m in ("maskdime", "fastdime", "dime")]
    return build_report(runs, tmp_path_factory.mktemp("site") / "report").parent


def test_every_link_leads_to_a_file_of_the_site(site):
    for path in site.rglob("*.html"):
        for link in Page(path).links:
            assert not re.match(r"\w+:|//", link), link
            target = path.parent / (link.split("#")[0] or path.name)
            assert target.is_file(), (path.name, link)


def test_pictures_named_in_the_data_exist(site):
    rows = piece(site, "images-00001")
    assert len(rows) == 4
    for number, (*_, truth, results) in enumerate(rows, 1):
        names = ["input.png", *["truth.png"] * truth]
        for run, flags, _ in results:
            kinds = ["counterfactual", "difference", *["mask"] * bool(flags & MASK)]
            names += [f"{run + 1}-{kind}.png" for kind in kinds]
        folder = site / "pictures" / f"{number:05d}"
        assert set(names) <= {path.name for path in folder.iterdir()}


def test_every_picture_has_an_alternative_text_and_a_size(site):
    for path in (site / "images").iterdir():
        for image in Page(path).images:
            assert image["alt"]
            assert image["width"] == image["height"] == "64"


def test_only_traced_images_have_a_slider(site):
    pages = [(site / "images" / f"{k:05d}.html").read_text() for k in (1, 2, 3, 4)]
    assert ['type="range"' in page for page in pages] == [True, True, False, False]


def test_a_method_without_masks_has_none(site):
    (*_, results), *_ = piece(site, "images-00001")
    assert [bool(flags & MASK) for _, flags, _ in results] == [True, True, False]


def test_a_region_is_shown_on_cards_and_on_pages(fixture_run, tmp_path):
    runs = [fixture_run("dime", ids=1, region=True), fixture_run("maskdime", ids=1)]
    site = build_report([run.path for run in runs], tmp_path / "report").parent
    (*_, results), *_ = piece(site, "images-00001")
    assert [bool(flags & REGION) for _, flags, _ in results] == [True, False]
    assert [bool(flags & MASK) for _, flags, _ in results] == [False, True]
    text = (site / "images" / "00001.html").read_text()
    assert text.count("what may not change is grey") == 1
    assert "This method has no mask." not in text
    (picture,) = (site / "pictures").glob("*/1-region.png")
    (row,) = runs[0].rows()
    shown, before = pixels(picture), pixels(runs[0].path / "inputs" / f"{row.id}.png")
    region = runs[0].region(row).numpy()
    assert (shown[region] == before[region]).all()
    assert (np.ptp(shown[~region], axis=-1) == 0).all()  # grey


def test_pieces_hold_so_many_images_and_columns_hold_all(fixture_run, tmp_path, monkeypatch):
    monkeypatch.setattr("vcebench.showing.report.pieces.PIECE", 2)
    runs = [fixture_run("maskdime", ids=5), fixture_run("dime", ids=["other"], protocol="other/2")]
    site = build_report([run.path for run in runs], tmp_path / "report").parent
    head = head_of(site)
    assert [(s["start"], s["end"]) for s in head["subjects"]] == [(0, 5), (5, 6)]
    assert (head["images"], head["piece"]) == (6, 2)
    rows = [row for k in (1, 2, 3) for row in piece(site, f"images-{k:05d}")]
    assert [row[0] for row in rows] == [*(row.id for row in runs[0].rows()), "other"]
    assert piece(site, "ids").splitlines() == [row[0] for row in rows]
    assert column(site, "correct", np.uint8).tolist() == [1, 1, 1, 1, 0, 1]
    for number, run in enumerate(runs, 1):
        flags = column(site, f"run-{number}", np.uint8)
        assert ((flags & FLIPPED) > 0).tolist() == [row.flipped for row in run.rows()]
        assert (flags & FINITE).all()
        stored = run.per_image()
        for order in ("l1", "cout"):
            expected = [stored[row.id].get(order, np.nan) for row in run.rows()]
            np.testing.assert_allclose(
                column(site, f"run-{number}-{order}", "<f4"), expected, rtol=1e-6
            )


def test_a_value_that_no_image_has_is_no_order(fixture_run, tmp_path):
    runs = [fixture_run(ids=2), fixture_run("dime", ids=2, evaluated=False)]
    head = head_of(build_report([run.path for run in runs], tmp_path / "report").parent)
    orders = {order["id"]: order["runs"] for order in head["orders"]}
    assert orders["l1"] == [0]
    assert orders["margin"] == [0, 1]
    assert "off_target" not in orders


def test_the_first_page_does_not_grow_with_the_images(fixture_run, tmp_path):
    pages = [
        build_report([fixture_run(ids=n, pictures=2).path], tmp_path / str(n)) for n in (3, 60)
    ]
    assert abs(len(pages[1].read_text()) - len(pages[0].read_text())) < 400


def test_a_manifest_is_read_as_often_for_many_images_as_for_few(fixture_run, tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        "vcebench.folders.runfolder.parse_manifest",
        lambda content: read.append(1) or parse_manifest(content),
    )
    counts = []
    for n in (2, 12):
        run = fixture_run(ids=n, pictures=2, evaluated=False)
        read.clear()
        build_report([run.path], tmp_path / str(n))
        counts.append(len(read))
    assert counts[0] == counts[1] < 4


def test_the_run_page_shows_manifest_hash_and_definitions(site):
    text = (site / "runs" / "1.html").read_text()
    assert "5f" * 32 in text
    assert "config_hash" in text
    assert "missing: needs --seeds 5" in text


def test_a_number_tells_what_it_rests_on(site):
    text = (site / "index.html").read_text()
    about = text[text.index('id="about-1-fr"') :].split("</div>\n  <div popover")[0]
    for words in (
        "fixture classifier",
        "bootstrap over images",
        "population: all",
        "ace-2023/1",
        "vcebench 0.1.0",
    ):
        assert words in about


def test_a_metric_of_fewer_images_says_how_many(site):
    text = (site / "index.html").read_text()
    flipped = int((column(site, "run-3", np.uint8) & FLIPPED > 0).sum())
    cell = text[text.index('popovertarget="about-3-fid"') :].split("</td>")[0]
    assert flipped < 4
    assert f"n {flipped}<" in cell


def test_stored_images_are_copied_untouched(site, fixture_run):
    folder = fixture_run("maskdime", ids=1)
    stored = folder.path / "counterfactuals" / "synthfaces-test-00000.png"
    copied = site / "pictures" / "00001" / "1-counterfactual.png"
    assert copied.read_bytes() == stored.read_bytes()


def test_planted_markup_stays_text(fixture_run, tmp_path, monkeypatch):
    sitting = {"device": MARKUP, "versions": {"vcebench": MARKUP}}
    run = fixture_run(
        ids=[MARKUP, "</script><script>alert(2)</script>".replace("/", "\u2215")],
        note=MARKUP,
        sittings=[sitting],
        networks={MARKUP: {"name": MARKUP, "sha256": MARKUP}},
    )
    monkeypatch.setattr(
        "vcebench.showing.report.gallery.class_names", lambda subject: {0: MARKUP, 1: "</script>"}
    )
    site = build_report([run.path], tmp_path / "report").parent
    for path in site.rglob("*.html"):
        tags = Page(path).tags
        assert not [a for _, attributes in tags for a in attributes if a.startswith("on")]
        assert not [tag for tag, a in tags if tag == "script" and not ("src" in a or "id" in a)]
        assert "<img src=x" not in path.read_text()
    for path in (site / "data").iterdir():
        assert not re.search("[<>&]", path.read_text())
    assert piece(site, "images-00001")[0][0] == MARKUP


def test_an_image_without_counterfactual_is_shown_as_such(fixture_run, tmp_path):
    run = fixture_run(ids=2)
    (shard,) = run.shards()
    first, second = run.rows()
    sick = replace(second, status="non-finite", flipped=False)
    pq.write_table(to_table([first, sick]), shard)
    site = build_report([run.path], tmp_path / "report").parent
    assert "no finite counterfactual" in (site / "images" / "00002.html").read_text()
    assert "1 of 2 images have no finite counterfactual" in (site / "index.html").read_text()


def test_a_run_that_was_not_evaluated_still_has_a_gallery(fixture_run, tmp_path):
    page = build_report([fixture_run(ids=2, evaluated=False).path], tmp_path / "report")
    assert "not evaluated yet" in page.read_text()
    assert head_of(page.parent)["images"] == 2


def test_different_numbers_of_images_are_not_ranked(fixture_run, tmp_path):
    runs = [fixture_run("maskdime", ids=2).path, fixture_run("dime", ids=3).path]
    text = build_report(runs, tmp_path / "report").read_text()
    assert "nothing is ranked here" in text
    assert 'class="best"' not in text


def test_a_report_replaces_an_earlier_one(fixture_run, tmp_path):
    output = tmp_path / "report"
    build_report([fixture_run(ids=3).path], output)
    build_report([fixture_run(ids=2).path], output)
    assert len(list((output / "images").iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_other_files_are_never_replaced(fixture_run, tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "thesis.tex").touch()
    with pytest.raises(UserError, match="is not a report"):
        build_report([fixture_run(ids=2).path], tmp_path / "report")


def test_a_missing_picture_is_one_line_and_leaves_nothing_behind(fixture_run, tmp_path):
    run = fixture_run(ids=2)
    next((run.path / "counterfactuals").iterdir()).unlink()
    with pytest.raises(UserError, match="is missing"):
        build_report([run.path], tmp_path / "report")
    assert not list(tmp_path.iterdir())


def test_the_command_prints_the_first_page(fixture_run, tmp_path):
    from vcebench.cli import app

    output = tmp_path / "report"
    done = CliRunner().invoke(app, ["report", str(fixture_run(ids=2).path), "-o", str(output)])
    assert done.exit_code == 0
    assert done.stdout.strip() == str(output / "index.html")
