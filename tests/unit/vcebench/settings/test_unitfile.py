"""Units are written into a task's file, and nothing else of it changes."""

import tomllib

import pytest

from vcebench.settings.unitfile import with_units

FILE = """# mine
name = "leaves"   # short

[data]
folder = 'images'

[classifier]
factory = "m:build"  # beside this file
{units}
[prior]
trained = "p.safetensors"
"""


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", {"maskdime": 0.25}),
        ("units = { maskdime = 4.0, dime = 0.5 }\n", {"maskdime": 0.25, "dime": 0.5}),
        ("[classifier.arguments]\ndepth = 18\n", {"maskdime": 0.25}),
        ("[classifier.units]\ndime = 0.5\n", {"maskdime": 0.25, "dime": 0.5}),
    ],
    ids=["none", "some", "a table behind", "as a table"],
)
def test_units_are_written_and_the_rest_stays(before, after, ends, mark):
    content = FILE.replace("{units}\n", before)
    changed = with_units(mark + content.replace("\n", ends).encode(), {"maskdime": 0.25})
    assert changed.startswith(mark)
    text = changed.removeprefix(mark).decode()
    assert text.count("\r") == (text.count("\n") if ends == "\r\n" else 0)
    wanted = tomllib.loads(content)
    wanted["classifier"]["units"] = after
    assert tomllib.loads(text) == wanted
    for kept in ("# mine", "# short", "# beside this file", "folder = 'images'"):
        assert kept in text


def test_a_section_in_one_line_stays_in_one():
    content = b'classifier = { factory = "m:build" }  # mine\n'
    changed = with_units(content, {"dime": 2.0}).decode()
    assert tomllib.loads(changed)["classifier"] == {"factory": "m:build", "units": {"dime": 2.0}}
    assert changed.count("\n") == 1
    assert "# mine" in changed
