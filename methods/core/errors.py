"""Errors of this room; their messages are one sentence that says what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MethodError(ValueError):
    """A method, one of its settings, or its input is not usable."""


def unknown(kind: str, name: str, known: Iterable[str]) -> MethodError:
    """The error for a name nobody registered, with the nearest known ones."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known: {', '.join(known)}"
    return MethodError(f"unknown {kind} {name!r}; {hint}")
