"""Somebody else's code: found among installed packages, or in a file that a person names.

It is loaded only when a person names it, or has installed a package that offers it, and never
because a run folder speaks of it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from vcebench.errors import UserError, one_line
from vcebench.settings.origin import Plugin

METHODS_GROUP = "vcebench.methods"
METRICS_GROUP = "vcebench.metrics"
DATASETS_GROUP = "vcebench.datasets"


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


def offered(group: str) -> Iterator[Offered]:
    """Installed plug-ins of a group, none of them loaded."""
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        package = "" if point.dist is None else f", {point.dist.name} {point.dist.version}"
        yield Offered(point.name, f"{point.value}{package}", point)


def named(place: str, symbol: str) -> tuple[Any, Plugin]:
    """What a person named by module or file, and where it comes from; raises `UserError`."""
    is_file = place.endswith(".py")
    try:
        module = _from_file(Path(place)) if is_file else import_module(place)
        thing = getattr(module, symbol)
    except Exception as error:  # it is somebody's own code: anything can happen in it
        raise UserError(
            f"{place}:{symbol} cannot be loaded: {type(error).__name__}: {one_line(error)}"
        ) from error
    where = f"{Path(place).name if is_file else place}:{symbol}"
    return thing, Plugin(where=where, version=version_of(module), sha256=_source(module))


def from_entry_point(point: EntryPoint) -> tuple[Any, Plugin]:
    """What an installed package offers, and where it comes from; raises `UserError`."""
    try:
        thing = point.load()
    except Exception as error:
        raise UserError(
            f"the plug-in {point.name} ({point.value}) cannot be loaded: "
            f"{type(error).__name__}: {one_line(error)}"
        ) from error
    module = sys.modules.get(point.module)
    version = version_of(module) if point.dist is None else point.dist.version
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


def version_of(module: ModuleType | None) -> str | None:
    """What a module, or the package around it, says of its version."""
    if module is None:
        return None
    package = sys.modules.get(module.__name__.partition(".")[0])
    version = getattr(module, "__version__", getattr(package, "__version__", None))
    return None if version is None else str(version)
