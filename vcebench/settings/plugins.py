"""Methods from outside the package: named on the command line, or installed as entry points.

Code is loaded only when a person names it, or has installed a package that offers it. A run folder
names what made its images, but nothing that reads a folder imports it.
"""

from __future__ import annotations

import hashlib
import re
import sys
from typing import Any

from vcebench.errors import UserError, one_line
from vcebench.methods.core.entry import Entry
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.method import Method
from vcebench.methods.core.outside import guarded, wrapped
from vcebench.methods.registry import METHODS
from vcebench.settings.foreigncode import (
    METHODS_GROUP,
    from_entry_point,
    named,
    offered,
    version_of,
)
from vcebench.settings.origin import Plugin

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_LOADED: dict[str, Plugin] = {}


def find_method(name: str, called: str | None = None) -> tuple[str, Plugin | None]:
    """The id of a method, loaded first if it is a plug-in, and where that comes from.

    Args:
        name: a registered id, that of an installed plug-in, "package.module:Name", or
            "./file.py:Name".
        called: the id that a plug-in named by its place gets (default: its name there).

    Raises:
        UserError: it cannot be loaded, is no method, or has the id of another one.
    """
    if ":" in name:
        place, _, symbol = name.rpartition(":")
        id = called or symbol
        return id, register(id, *named(place, symbol))
    if called is not None and called != name:
        raise UserError("--name is for methods given as module:Name or ./file.py:Name")
    if name in METHODS:
        return name, _LOADED.get(name)
    for plugin in offered(METHODS_GROUP):
        if plugin.id == name:
            return name, register(name, *from_entry_point(plugin.point))
    return name, None  # unknown: whoever looks it up names the nearest ones


def register(id: str, thing: Any, plugin: Plugin) -> Plugin:
    """Make a plug-in known to this process under an id; returns where it comes from.

    Args:
        id: how tables call it.
        thing: an `Entry`, a class of `Method`, or a callable (`vcebench.methods.core.outside`).
        plugin: where it comes from.

    Raises:
        UserError: it is none of these, or the id is taken or no id.
    """
    if not _ID.fullmatch(id):
        raise UserError(f"{id!r} is no name of a method; use letters, digits, dot and minus")
    if id in METHODS and _LOADED.get(id) != plugin:
        raise UserError(f"{id} is a method already; give yours another name with --name")
    try:
        entry, outside = _entry(id, thing, plugin)
    except MethodError as error:
        raise UserError(one_line(error)) from error
    METHODS[id] = entry
    _LOADED[id] = plugin.model_copy(update={"callable": outside})
    return _LOADED[id]


def _entry(id: str, thing: Any, plugin: Plugin) -> tuple[Entry, bool]:
    """The registry's entry, and whether it is a callable."""
    if isinstance(thing, Entry):
        return thing, False
    text = (getattr(thing, "__doc__", None) or "a method from outside").strip()
    summary = text.splitlines()[0]
    if isinstance(thing, type):
        if not issubclass(thing, Method):
            raise UserError(f"{plugin.where} is a class but no Method; give a Method or a function")
        return Entry(guarded(thing, id), summary, plugin.where, "not known"), False
    if callable(thing):
        return Entry(wrapped(thing, id), summary, plugin.where, "not known"), True
    raise UserError(f"{plugin.where} is a {type(thing).__name__}; give a Method or a function")


def of_callable(function: Any) -> Plugin:
    """Where a callable given from Python comes from."""
    module = sys.modules.get(getattr(function, "__module__", "") or "")
    name = getattr(function, "__qualname__", type(function).__name__)
    place = "notebook" if module is None else module.__name__
    return Plugin(where=f"{place}:{name}", version=version_of(module), sha256=_code(function))


def _code(function: Any) -> str:
    """Digest of a callable's source where it can be had, of its name otherwise."""
    import inspect

    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = repr(type(function))
    return hashlib.sha256(source.encode()).hexdigest()
