"""What the registry knows of a method: its class, and the settings that make it that method."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vcebench.methods.core.method import Method


@dataclass(frozen=True)
class Entry:
    """A registered method.

    Attributes:
        factory: class of the method.
        summary: one line for people.
        reference: paper and equation or table.
        fixed: settings that make the method what its id says; a user cannot change them.
        nfe: evaluations of the prior per image and try, in words.
        preset: id whose presets hold for it, its own unless given.
        region: where images may change, as a run is told it, if that is part of what the id says.
    """

    factory: type[Method]
    summary: str
    reference: str
    nfe: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    preset: str | None = None
    region: str | None = None

    def parameters(self) -> dict[str, dict[str, Any]]:
        """Settings a user may change: name to default and help."""
        return {
            f.name: {"default": f.default, "help": f.metadata["help"]}
            for f in dataclasses.fields(self.factory)
            if f.metadata and f.name not in self.fixed
        }
