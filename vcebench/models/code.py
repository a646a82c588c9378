"""The code that makes a network of somebody's own: imported from beside the task's file, digested.

A classifier is more than its weights: with the same tensors, another `forward` is another one.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_OURS = "vcebench"


def sources(module: str, folder: Path) -> dict[str, Path]:
    """The modules in a folder that a module needs to run, itself included: name → file.

    Found by reading the import statements, without running anything. Empty if the module does not
    lie in the folder.
    """
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _source(name, folder)
        if path is None or name in found or name.partition(".")[0] == _OURS:
            continue
        found[name] = path
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        parents = [name.rsplit(".", k)[0] for k in range(1, name.count(".") + 1)]
        waiting += [*parents, *_imported(path, package)]
    return found


def code_digest(files: Mapping[str, Path]) -> str:
    """SHA-256 over names and contents of source files; line ends do not matter."""
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@contextmanager
def importing(files: Mapping[str, Path], folder: Path | None) -> Iterator[None]:
    """Modules are imported from a folder before all other places, as their files are now.

    Others of these names that were imported before are forgotten; nothing is written there.
    """
    if folder is None:
        yield
        return
    for name in files:
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
        sys.path.remove(str(folder))


def _source(module: str, folder: Path) -> Path | None:
    """The file of a module that lies in a folder; None if it does not."""
    place = folder.joinpath(*module.split("."))
    candidates = (place / "__init__.py", place.with_name(f"{place.name}.py"))
    return next((path for path in candidates if path.is_file()), None)


def _imported(path: Path, package: str) -> Iterator[str]:
    """Names that a file may import: modules, or what they define."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # importing it will say so
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".") if package else []
            base = ".".join(parent[: len(parent) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from ([module] if module else [])
            yield from (".".join(p for p in (module, alias.name) if p) for alias in node.names)
