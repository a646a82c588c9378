"""Templates, escaping, and data inside pages."""

from __future__ import annotations

import json
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vcebench.formats import number

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
        loader=PackageLoader("vcebench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"json": embedded_json, "number": number}
    return found


def embedded_json(content: Any) -> Markup:
    """JSON that may stand inside a <script> element: no text in it can end the element.

    >>> str(embedded_json({"id": "</script>"}))
    '{"id":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter, escape in _UNSAFE.items():
        text = text.replace(letter, escape)
    return Markup(text)
