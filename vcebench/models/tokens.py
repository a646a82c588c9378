"""Learned words: rows of a text encoder's table, and the prompts that use them.

A file holds a few rows and, in its metadata, what they were learnt for (`vcebench prepare time`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from vcebench.weights.shipped import NetworkFileError, save_tensors
from vcebench.weights.store import weights_root

FORMAT = "vcebench-tokens-1"


@dataclass(frozen=True, eq=False)
class Tokens:
    """Words that were learnt, and what is said with them.

    Attributes:
        rows: word → its row of the table, float32 (D,).
        prompts: class → prompt.
        facts: what they were learnt with.
    """

    rows: Mapping[str, Tensor]
    prompts: Mapping[int, str]
    facts: Mapping[str, Any] = field(default_factory=dict)


def write_tokens(path: Path, tokens: Tokens) -> None:
    """Write a file of tokens, atomically."""
    described = {
        "prompts": {str(k): prompt for k, prompt in tokens.prompts.items()},
        "facts": dict(tokens.facts),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {word: row.detach().float().cpu().contiguous() for word, row in tokens.rows.items()}
    save_tensors(path, rows, {FORMAT: json.dumps(described, sort_keys=True)})


def read_tokens(path: Path) -> Tokens:
    """A file of tokens. Raises NetworkFileError: it is missing, or of another form."""
    try:
        with safe_open(str(path), framework="pt") as file:
            described = json.loads((file.metadata() or {})[FORMAT])
            rows = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        prompts = {int(k): str(prompt) for k, prompt in described["prompts"].items()}
        facts = dict(described["facts"])
    except FileNotFoundError as error:
        raise NetworkFileError(f"{path} is missing: run `vcebench prepare time`") from error
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise NetworkFileError(
            f"{path} is no file of tokens; make one with `vcebench prepare time`"
        ) from error
    if any(row.ndim != 1 or not bool(row.isfinite().all()) for row in rows.values()):
        raise NetworkFileError(f"{path} holds rows that are no vectors of numbers")
    return Tokens(rows, prompts, facts)


def tokens_name(task: str) -> str:
    """Name of the file of a task's tokens."""
    return f"tokens-{task}.safetensors"


def prepared(dataset: str, task: str) -> Path:
    """Where `vcebench prepare` leaves the tokens of a task."""
    return weights_root() / "tokens" / dataset / tokens_name(task)
