"""Methods from outside the package: named on the command line, or installed as entry points.

Code is loaded only when a person names it, or has installed a package that offers it. A run folder
names what made its images, but nothing that reads a folder imports it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from vcebench.errors import UserError, one_line
from vcebench.methods.core.errors import MethodError
from vcebench.methods.core.method import Method
from vcebench.methods.core.outside import wrapped
from vcebench.methods.registry import METHODS, Entry
from vcebench.settings.origin import Plugin

GROUP = "vcebench.methods"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_LOADED: dict[str, Plugin] = {}


@dataclass(frozen=True)
class Offered:
    """An installed plug-in.

    Attributes:
        id: its name.
        where: "module:Name", and the distribution it comes with.
        point: its entry point.
    """

    id: str
    where: str
    point: EntryPoint


def offered(group: str = GROUP) -> Iterator[Offered]:
    """Installed plug-ins of a group, none of them loaded."""
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        package = "" if point.dist is None else f", {point.dist.name} {point.dist.version}"
        yield Offered(point.name, f"{point.value}{package}", point)


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
        return id, register(id, *_named(place, symbol))
    if called is not None and called != name:
        raise UserError("--name is for methods given as module:Name or ./file.py:Name")
    if name in METHODS:
        return name, _LOADED.get(name)
    for plugin in offered():
        if plugin.id == name:
            return name, register(name, *_from_entry_point(plugin.point))
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
        return Entry(thing, summary, plugin.where, "not known"), False
    if callable(thing):
        return Entry(wrapped(thing, id), summary, plugin.where, "not known"), True
    raise UserError(f"{plugin.where} is a {type(thing).__name__}; give a Method or a function")


def of_callable(function: Any) -> Plugin:
    """Where a callable given from Python comes from."""
    module = sys.modules.get(getattr(function, "__module__", "") or "")
    name = getattr(function, "__qualname__", type(function).__name__)
    place = "notebook" if module is None else module.__name__
    return Plugin(where=f"{place}:{name}", version=_version(module), sha256=_code(function))


def _code(function: Any) -> str:
    """Digest of a callable's source where it can be had, of its name otherwise."""
    import inspect

    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = repr(type(function))
    return hashlib.sha256(source.encode()).hexdigest()


def _named(place: str, symbol: str) -> tuple[Any, Plugin]:
    """What a person named by module or file, and where it comes from."""
    is_file = place.endswith(".py")
    try:
        module = _from_file(Path(place)) if is_file else import_module(place)
        thing = getattr(module, symbol)
    except Exception as error:  # it is somebody's own code: anything can happen in it
        raise UserError(
            f"{place}:{symbol} cannot be loaded: {type(error).__name__}: {one_line(error)}"
        ) from error
    where = f"{Path(place).name if is_file else place}:{symbol}"
    return thing, Plugin(where=where, version=_version(module), sha256=_source(module))


def _from_entry_point(point: EntryPoint) -> tuple[Any, Plugin]:
    try:
        thing = point.load()
    except Exception as error:
        raise UserError(
            f"the plug-in {point.name} ({point.value}) cannot be loaded: "
            f"{type(error).__name__}: {one_line(error)}"
        ) from error
    module = sys.modules.get(point.module)
    version = _version(module) if point.dist is None else point.dist.version
    return thing, Plugin(where=point.value, version=version, sha256=_source(module))


def _from_file(path: Path) -> ModuleType:
    """A module of its own name from a file; what lies beside it can be imported from it."""
    real = path.resolve()
    name = f"vcebench_plugin_{real.stem}_{hashlib.sha256(str(real).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, real)
    if spec is None or spec.loader is None or not real.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(real.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(real.parent))
    return module


def _source(module: ModuleType | None) -> str:
    """Digest of a module's file."""
    path = getattr(module, "__file__", None)
    content = Path(path).read_bytes() if path and Path(path).is_file() else b""
    return hashlib.sha256(content).hexdigest()


def _version(module: ModuleType | None) -> str | None:
    """What a module, or the package around it, says of its version."""
    if module is None:
        return None
    package = sys.modules.get(module.__name__.partition(".")[0])
    version = getattr(module, "__version__", getattr(package, "__version__", None))
    return None if version is None else str(version)
