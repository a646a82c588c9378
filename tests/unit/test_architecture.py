"""The order of the rooms: every import goes down, and no files import each other in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"vcebench.methods": "methods", "vcebench.metrics": "metrics", "vcebench": "vcebench"}

# Top to bottom; a room may import what stands below its line. `methods` and `metrics` know nothing
# of the harness and nothing of each other.
ORDER = (
    ("vcebench", "cli"),
    ("commands",),
    ("jobs",),
    ("api", "training"),
    ("showing",),
    ("results", "evaluating", "running"),
    ("models",),
    ("devices",),
    ("weights",),
    ("folders",),
    ("settings",),
    ("data",),
    ("methods", "metrics"),
    ("formats",),
    ("errors", "version"),
)
STOREY = {room: storey for storey, rooms in enumerate(ORDER) for room in rooms}
ALONE = ("methods", "metrics")


def room_of(module: str) -> str:
    """The room a module is in: `vcebench.data.base` is in `data`; `vcebench` is its own."""
    return module.split(".")[1] if "." in module else module


def imported(source: str, package: str) -> Iterator[str]:
    """Absolute names that a source imports, wherever in the file; for type checkers alone too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")
            base = ".".join(parent[: len(parent) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)


def offence(room: str, name: str) -> str | None:
    """Why a room may not import a name, or None."""
    top = name.split(".")[0]
    if room in ALONE and top == "diffusers":
        return f"{room} imports {name}: methods and metrics know tensors only"
    if top != "vcebench":
        return None
    other = room_of(name)
    if other == room:
        return None
    if other not in STOREY:  # a name of the package itself, as vcebench.__version__
        other = "vcebench"
    if room in ALONE or STOREY[other] <= STOREY[room]:
        return f"{room} imports {name}, which is not below it"
    return None


@cache
def modules() -> Mapping[str, tuple[str, str]]:
    """Name of every module → (its source, the package it is in)."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            inner = path.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join([package, *inner])
            parent = name.rpartition(".")[0]
            found[parent if inner[-1] == "__init__" else name] = (path.read_text("utf-8"), parent)
    return found


def module_of(name: str) -> str:
    """The module that a name lies in: `vcebench.errors.UserError` → `vcebench.errors`."""
    while name not in modules():
        name = name.rpartition(".")[0]
    return name


def arrows() -> Iterator[tuple[str, str]]:
    """(importing module, imported name) of all imports."""
    for module, (source, package) in modules().items():
        for name in imported(source, package):
            yield module, name


def test_every_room_has_its_storey():
    assert {room_of(module) for module in modules()} == set(STOREY)


def test_imports_go_down_only():
    found = {offence(room_of(module), name): module for module, name in arrows()}
    assert not {why: module for why, module in found.items() if why}


def test_no_files_import_each_other_in_a_circle():
    graph: dict[str, set[str]] = {module: set() for module in modules()}
    for module, name in arrows():
        if name.split(".")[0] == "vcebench" and module_of(name) != module:
            graph[module].add(module_of(name))
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' ← '.join(error.args[1])}")


def test_there_are_few_rooms_and_few_arrows_between_them():
    between = {
        (room_of(module), room_of(module_of(name)))
        for module, name in arrows()
        if name.split(".")[0] == "vcebench"
    }
    assert len(STOREY) <= 25
    assert len([pair for pair in between if pair[0] != pair[1]]) <= 110


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("methods", "import vcebench.running.runner"),
        ("methods", "from vcebench.metrics import cout"),
        ("methods", "def f():\n    from vcebench.models.unet import UNet"),
        ("methods", "from ..metrics import cout"),
        ("methods", "from diffusers import UNet2DModel"),
        ("metrics", "from vcebench.errors import UserError"),
        ("data", "from vcebench.settings import config"),
        ("running", "from vcebench import __version__"),
        ("results", "from vcebench.evaluating.summary import load"),
        ("jobs", "from vcebench.cli import main"),
    ],
)
def test_the_check_sees_a_forbidden_import(room, source):
    assert any(offence(room, name) for name in imported(source, f"vcebench.{room}"))


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("methods", "from vcebench.methods.core.masks import blend"),
        ("models", "from vcebench.methods.core.prior import Prior"),
        ("cli", "from vcebench.version import __version__"),
    ],
)
def test_the_check_allows_what_lies_below(room, source):
    assert not any(offence(room, name) for name in imported(source, f"vcebench.{room}"))


FOLDERS = sorted({package for _, package in modules().values()} - {"vcebench", "", *PACKAGES})


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_says_in_one_sentence_what_it_is_for_and_exports_nothing(folder):
    source, _ = modules()[folder]
    assert ast.get_docstring(ast.parse(source))
    assert len(ast.parse(source).body) == 1
