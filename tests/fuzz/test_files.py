"""Random task files: what is written is what is read, and what does not fit is named by its key."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from owntask import OwnTask

from vcebench.errors import UserError
from vcebench.settings.custom import read_custom
from vcebench.settings.runtable import run_table

fuzz = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

RIGHT = {
    "data": {
        "folder": ["images", "more images", "."],
        "size": [8, 64, [32, 40], 256],
        "fit": ["crop", "stretch", "pad"],
        "classes": [["bar", "disc"], ["0", "1", "2"], ["ü", "图"]],
        "background": ["white", "#102030"],
    },
    "classifier": {
        "factory": ["m:build"],
        "mean": [[0.5], [0.4, 0.5, 0.6]],
        "unit": [1, 2.5],
        "index": [0, 3],
        "outputs": ["logits", "probabilities"],
    },
    "prior": {"trained": ["prior.safetensors"], "respacing": [20, 200]},
    "run": {
        "method": ["maskdime", "dime"],
        "tau": [1, 60],
        "batch_size": [1, 16],
        "seed": [0, 7],
        "lambda_class": [[8.0], [8, 10, 15]],
        "lambda_perceptual": [0, 30.0],
        "use_logits": [True, False],
        "precision": ["exact", "fast"],
        "guidance_scale": [8, 0.5],
    },
}
NEEDED = {("data", "folder"), ("data", "size"), ("classifier", "factory"), ("prior", "trained")}

WRONG = {
    ("data", "folder"): [3, True, ["images"]],
    ("data", "size"): ["64", 4, 64.0, [64], [64, 64, 3], True, 10**6],
    ("data", "fit"): ["cut", 1, ""],
    ("data", "classes"): ["bar", ["bar"], ["bar", "bar"], [1, 2], ["", "x"]],
    ("data", "background"): ["snowish", 255],
    ("classifier", "factory"): [3, ["m:build"]],
    ("classifier", "mean"): [[124.0], ["0.5"], [0.5, 0.5], 0.5, [-0.1]],
    ("classifier", "unit"): ["1", 0, -1, True],
    ("classifier", "index"): [-1, 1.0, "0"],
    ("classifier", "outputs"): ["scores", 0, 2.5],
    ("prior", "trained"): [1, False],
    ("prior", "respacing"): [0, "200", 20.0],
    ("run", "method"): [3, ["maskdime"]],
    ("run", "tau"): [[60], {"a": 1}],
    ("run", "batch_size"): ["4", 0, 2.5, True],
    ("run", "seed"): [-1, "0", 1.5],
    ("run", "lambda_class"): [8.0, ["8"], "8,10", [True]],
    ("run", "lambda_perceptual"): ["0", [30]],
    ("run", "use_logits"): [1, "true"],
    ("run", "precision"): ["float16", 32],
}
"""(section, key) → values of another type, or out of bounds."""


def toml(value):
    """A value as TOML writes it; all of ours are written as JSON writes them, mappings apart."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def text_of(content):
    lines = ['name = "leaves"']
    for section, entries in content.items():
        lines += [f"[{section}]", *(f"{key} = {toml(value)}" for key, value in entries.items())]
    return "\n".join(lines) + "\n"


@st.composite
def contents(draw):
    """Sections with some of their keys, all of them right."""
    found = {}
    for section, keys in RIGHT.items():
        wanted = [k for k in keys if (section, k) in NEEDED or draw(st.booleans())]
        found[section] = {key: draw(st.sampled_from(keys[key])) for key in wanted}
    if "mean" in found["classifier"]:
        found["classifier"]["std"] = found["classifier"]["mean"]
    return found


def written(place, text, bom, ends):
    path = place / "own.toml"
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.replace("\n", ends).encode())
    return path


def read_both(path):
    custom, table = read_custom(path)
    return custom, run_table(table, path)


def plain(value):
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


@fuzz
@given(content=contents(), bom=st.booleans(), ends=st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_what_is_read(content, bom, ends, place, read):
    with place() as folder:
        found = read(lambda: read_both(written(folder, text_of(content), bom, ends)))
        assert not isinstance(found, UserError), str(found)
        custom, table = found
        for section in ("data", "classifier", "prior"):
            for key, value in content[section].items():
                got = plain(getattr(getattr(custom, section), key))
                if key in ("folder", "trained"):
                    got, value = str(got), str(folder.resolve() / value)
                assert got == value, (section, key)
        read_run = {**table.named(), **table.guidance(), **table.settings()}
        assert {key: plain(value) for key, value in read_run.items()} == content["run"]


@fuzz
@given(content=contents(), wrong=st.sampled_from(list(WRONG)), data=st.data())
def test_a_value_that_does_not_fit_is_named_by_its_key(content, wrong, data, place, read):
    section, key = wrong
    value = data.draw(st.sampled_from(WRONG[wrong]))
    content[section] = {**content[section], key: value}
    with place() as folder:
        path = written(folder, text_of(content), False, "\n")
        found = read(lambda: read_both(path))
    assert isinstance(found, UserError), f"{section}.{key} = {value!r} was read"
    said = str(found).removeprefix(f"{path}: ")
    assert said.startswith(f"{section}.{key}") or f"{section}" in said.split(":")[0], said


@fuzz
@given(
    content=contents(),
    section=st.sampled_from(["data", "classifier", "prior"]),
    key=st.sampled_from(["sizes", "clases", "trian", "path", "Folder", "size-2"]),
)
def test_a_key_that_does_not_exist_is_named(content, section, key, place, read):
    content[section] = {**content[section], key: 1}
    with place() as folder:
        found = read(lambda: read_both(written(folder, text_of(content), False, "\n")))
    assert isinstance(found, UserError)
    assert f"{section}.{key}: there is no such key" in str(found)


FACTORIES = ("build", "softmax", "sigmoid", "squeezed", "detached", "rule", "nothing")
KINDS = ("PNG", "JPEG", "deep", "float", "transparent", "cut", "empty", "text")


@pytest.mark.slow
@fuzz
@given(
    files=st.dictionaries(
        st.builds(
            "{}/{}".format,
            st.sampled_from(["bar", "disc", "ring", "bar/x", "__MACOSX"]),
            st.sampled_from(["0.png", "1.jpg", "2.tif", "3.heic", "._0.png"]),
        ),
        st.sampled_from(KINDS),
        max_size=6,
    ),
    factory=st.sampled_from(FACTORIES),
    size=st.sampled_from([16, 17, 24]),
    classes=st.sampled_from(["", 'classes = ["bar", "disc"]', 'classes = ["disc", "bar", "ring"]']),
    run=st.sampled_from(["", 'tau = "3"', "tau = 500", "top_k = 2.0", "seed = -1", "limit = 1"]),
)
def test_a_check_of_anything_ends_in_a_verdict(
    files, factory, size, classes, run, place, content, capsys
):
    with place() as folder:
        task = OwnTask(folder / "task")
        task.toml(data=classes, classifier=f'factory = "clf:{factory}"', run=run)
        text = task.config.read_text().replace("size = 16", f"size = {size}")
        task.config.write_text(text.replace("tau = 3\n", "", 1) if "tau" in run else text)
        for path, kind in files.items():
            (task.path / "images" / path).parent.mkdir(parents=True, exist_ok=True)
            (task.path / "images" / path).write_bytes(content(kind))
        capsys.readouterr()
        code = task.call("check", "--config", task.config)
        out, err = capsys.readouterr()
        assert code in (0, 1)
        assert "Traceback" not in err
        assert (code == 1) == any(line.startswith("wrong") for line in out.splitlines())
        if code == 0:  # then the run it promises can be made
            assert task.run() == 0
