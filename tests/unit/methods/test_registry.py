"""One registry of all families."""

from importlib import import_module
from pkgutil import iter_modules

import vcebench.methods
from vcebench.methods.registry import METHODS


def test_every_entry_of_every_file_is_registered_under_its_own_id():
    names = [found.name for found in iter_modules(vcebench.methods.__path__) if not found.ispkg]
    files = [import_module(f"vcebench.methods.{name}") for name in names]
    entries = [pair for file in files for pair in getattr(file, "ENTRIES", {}).items()]
    assert len(entries) == len(dict(entries)) > 50
    assert all(METHODS[id] is entry for id, entry in entries)
