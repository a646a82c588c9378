"""Units written into a task's file, which keeps its comments and its order."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

import tomlkit
from tomlkit.exceptions import TOMLKitError

from vcebench.errors import UserError, one_line

_MARK = b"\xef\xbb\xbf"


def with_units(content: bytes, units: Mapping[str, float]) -> bytes:
    """The file with the units of some methods under [classifier]; those of others stay.

    Raises UserError: it cannot be changed; the message has the line to write by hand.
    """
    mark = _MARK if content.startswith(_MARK) else b""
    text = content.removeprefix(_MARK).decode()
    ends = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    wanted = tomllib.loads(text)
    known = {**wanted["classifier"].get("units", {}), **units}
    line = ", ".join(f"{name} = {value:g}" for name, value in known.items())
    try:
        document = tomlkit.parse(text)
        table = tomlkit.inline_table()
        table.update(known)
        document["classifier"]["units"] = table
        changed = document.as_string()
        wanted["classifier"]["units"] = known
        if tomllib.loads(changed) != wanted:
            raise ValueError("it would say something else")
    except (TOMLKitError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"the file cannot be changed ({one_line(error)}); write under [classifier]: "
            f"units = {{ {line} }}"
        ) from error
    return mark + changed.replace("\n", ends).encode()
