"""The arrows of the architecture: vcebench → methods, vcebench → metrics, never back."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {"methods": "vcebench.methods", "metrics": "vcebench.metrics"}


def imported(source: str, package: str) -> Iterator[str]:
    """Absolute names of the modules a source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")
            base = ".".join(parent[: len(parent) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def leaves(name: str, room: str) -> bool:
    """Whether an import reaches into the harness or another room."""
    if name.split(".")[0] != "vcebench" or name == "vcebench":
        return False
    return not (name == room or name.startswith(f"{room}."))


def offences(source: str, room: str) -> list[str]:
    return [name for name in imported(source, room) if leaves(name, room)]


@pytest.mark.parametrize("folder", ROOMS)
def test_rooms_import_neither_the_harness_nor_each_other(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    found = {f.name: offences(f.read_text(), ROOMS[folder]) for f in files}
    assert not {name: names for name, names in found.items() if names}


@pytest.mark.parametrize(
    "source",
    [
        "import vcebench.running.runner",
        "from vcebench.metrics import cout",
        "from vcebench import store",
        "def f():\n    from vcebench.models.unet import UNet",
        "from ..metrics import cout",
    ],
)
def test_the_check_sees_a_forbidden_import(source):
    assert offences(source, "vcebench.methods")


def test_the_check_allows_the_room_itself():
    assert not offences("from vcebench.methods.core.masks import blend", "vcebench.methods")
