"""Templates, escaping, and data inside pages."""

from __future__ import annotations

import json
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vcebench.folders.rows import NOT_KNOWN
from vcebench.formats import number
from vcebench.showing.report.sharing import without_paths

_UNSAFE = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def environment() -> Environment:
    """The templates of this package; whatever they print is escaped, an unknown name an error."""
    found = Environment(
        loader=PackageLoader("vcebench.showing.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=without_paths,
    )
    found.filters |= {
        "json": lambda content: embedded_json(without_paths(content)),
        "number": known_number,
        "probability": probability,
        "known": known,
    }
    return found


def known(value: Any) -> str:
    """A value of a row, or that it is not known."""
    return NOT_KNOWN if value is None else str(value)


def known_number(value: float | None) -> str:
    """A number for people, or that it is not known."""
    return NOT_KNOWN if value is None else number(value)


def probability(value: float | None) -> str:
    """A probability for people, or that it is not known.

    >>> probability(0.61234), probability(2.7e-5), probability(0.99999), probability(None)
    ('0.612', '< 0.001', '> 0.999', 'not known')
    """
    if value is None:
        return NOT_KNOWN
    if 0 < value < 0.001:
        return "< 0.001"
    if 0.999 < value < 1:
        return "> 0.999"
    return f"{value:.3f}"


def embedded_json(content: Any) -> Markup:
    """JSON that may stand inside a <script> element: no text in it can end the element.

    >>> str(embedded_json({"id": "</script>"}))
    '{"id":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter, escape in _UNSAFE.items():
        text = text.replace(letter, escape)
    return Markup(text)
