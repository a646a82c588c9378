"""Method ids: each is a class of choices plus the settings that make it that method.

A new method is one file, which ends in its entries, and one line here; an ablation is one entry.
"""

from __future__ import annotations

from typing import Any

from vcebench.methods import (
    ace,
    dime,
    dive,
    dvce,
    eced,
    edict,
    fastdime,
    identity,
    ldce,
    maskdime,
    pgd,
    rcsb,
    steex,
    svce,
)
from vcebench.methods.core.entry import Entry
from vcebench.methods.core.errors import MethodError, unknown
from vcebench.methods.core.method import Method

METHODS: dict[str, Entry] = {
    **ace.ENTRIES,
    **dime.ENTRIES,
    **fastdime.ENTRIES,
    **maskdime.ENTRIES,
    **dvce.ENTRIES,
    **svce.ENTRIES,
    **rcsb.ENTRIES,
    **ldce.ENTRIES,
    **edict.ENTRIES,
    **eced.ENTRIES,
    **identity.ENTRIES,
    **dive.ENTRIES,
    **steex.ENTRIES,
    **pgd.ENTRIES,
}
"""In the order of the tables."""

ALIASES = {"rcsb": "rcsb-c", "rcsb-step-truncation": "rcsb-c"}
"""Published ids of what has another id too; it is run, and ranked, under that one alone."""


def names() -> list[str]:
    """Registered ids, in the order of the tables."""
    return list(METHODS)


def method(name: str, **settings: Any) -> Method:
    """The method of an id.

    Args:
        name: a registered id, e.g. "maskdime".
        settings: values for its parameters, e.g. `guidance_scale=8.0`.

    Raises:
        MethodError: unknown id (nearest ones named), unknown or fixed setting, value out of bounds.
    """
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    entry = METHODS[name]
    allowed = entry.parameters()
    for given in settings:
        if given in entry.fixed:
            raise MethodError(f"{given} is {entry.fixed[given]} by definition of {name}; drop it")
        if given not in allowed:
            raise MethodError(f"{name} has no setting {given!r}; it has {', '.join(allowed)}")
    return entry.factory(**{**settings, **entry.fixed})
