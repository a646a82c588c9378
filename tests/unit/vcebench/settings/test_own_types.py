"""Every value of a task's file is checked for its type, and the complaint names its key."""

import pytest

from vcebench.errors import UserError
from vcebench.settings.custom import read_custom
from vcebench.settings.parts import ClassifierPart, DataPart
from vcebench.settings.runtable import run_table

TOML = """
name = "leaves"
[data]
folder = "images"
size = 64
[classifier]
factory = "m:build"
[prior]
trained = "p.safetensors"
[run]
method = "maskdime"
"""


def read(tmp_path, old="", new=""):
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xef\xbb\xbf" + TOML.replace(old, new).replace("\n", "\r\n").encode())
    custom, table = read_custom(path)
    return custom, run_table(table, path)


def test_a_file_that_windows_wrote_is_read(tmp_path):
    custom, table = read(tmp_path)
    assert (custom.data.size, table.method) == (64, "maskdime")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("size = 64", 'size = "64"', "data.size is '64'"),
        ("size = 64", "size = true", "data.size is True"),
        ("size = 64", "size = 64\nclasses = ['a', 'a']", "'a' stands there twice"),
        ("size = 64", "size = 64\nclasses = ['a']", "name all classes"),
        ("size = 64", "size = 64\nbackground = 'snow white'", "is no colour"),
        ('"m:build"', '"m:build"\nmean = [124, 116, 104]\nstd = [58, 57, 57]', "divide by 255"),
        ('"m:build"', '"m:build"\nmean = [0.5]\nstd = [0.0]', "above 0"),
        ('"m:build"', '"m:build"\nmean = [0.5, 0.5]\nstd = [0.5]', "classifier.mean"),
        ('"m:build"', '"m:build"\noutputs = "scores"', "classifier.outputs"),
        ('"m:build"', '"m:build"\nunit = "1"', "classifier.unit is '1'"),
        ('"m:build"', '"m:build"\nentry = "ema"', "entry names a part of weights"),
        ('"maskdime"', '"maskdime"\nbatch_size = "4"', "run.batch_size is '4'"),
        ('"maskdime"', '"maskdime"\nseed = 1.5', "run.seed is 1.5"),
        ('"maskdime"', '"maskdime"\nuse_logits = 1', "run.use_logits is 1"),
        ('"maskdime"', '"maskdime"\nlambda_class = 8', "run.lambda_class is 8"),
        ('"maskdime"', '"maskdime"\ntau = [60]', "run.tau is [60]"),
        ('"images"', '"C:\\images"', "single quotes"),
    ],
)
def test_a_value_of_another_type_is_named(tmp_path, old, new, words):
    with pytest.raises(UserError) as error:
        read(tmp_path, old, new)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_later_fields_leave_no_trace_at_their_defaults():
    data = DataPart(folder="x", size=8)
    assert "background" not in data.model_dump(mode="json")
    assert "entry" not in ClassifierPart(factory="m:b").model_dump(mode="json")
    kept = DataPart(folder="x", size=8, background="black").model_dump(mode="json")
    assert kept["background"] == "black"


def test_one_number_stands_for_all_channels():
    assert ClassifierPart(factory="m:b", mean=[0.13], std=[0.3]).mean == (0.13,)
