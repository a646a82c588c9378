"""What plays the roles `latent-text` and `latent-class`: a latent model that is told a task's words."""

from __future__ import annotations

import hashlib
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import torch

from vcebench.data.base import Task
from vcebench.errors import UserError
from vcebench.methods.core.prior import ConditionalPrior
from vcebench.models.latent import LatentModel
from vcebench.models.tokens import read_tokens
from vcebench.settings.prompts import Prompts, prompts_of
from vcebench.weights.shipped import sha256

TEXT, CLASS, TOKENS = "latent-text", "latent-class", "tokens"
LATENT = frozenset({TEXT, CLASS})
"""Roles of a conditional network that walks among an autoencoder's latents."""
TOLD = LATENT | {TOKENS}


@dataclass(frozen=True, eq=False)
class Told:
    """A latent prior that knows what it is told.

    Attributes:
        prior: see `ConditionalPrior`.
        hashes: role → SHA-256 of what made it.
    """

    prior: ConditionalPrior
    hashes: dict[str, str]


def tell(
    model: LatentModel,
    place: Path,
    task: Task,
    needs: Set[str],
    device: torch.device | str,
    *,
    prompts: Prompts | None = None,
    tokens: Path | None = None,
) -> Told:
    """The prior of a latent model for a task.

    Args:
        model: as it was loaded.
        place: folder or file that it came from.
        task: whose classes it is told of.
        needs: roles that the method asks for.
        device: where it shall live.
        prompts: a person's own words, in place of the usual ones and of learned tokens.
        tokens: file of learned tokens, for methods that need them.

    Raises UserError: the model reads no prompts, or knows no classes, or there are no tokens.
    """
    there = model.to(device)
    if CLASS in needs:
        conditions = there.told_classes(task.classes)
        return Told(there.prior(conditions), {CLASS: digest(place)})
    hashes = {TEXT: digest(place)}
    if TOKENS not in needs or prompts is not None:
        conditions = there.told_words(prompts_of(task, prompts))
        return Told(there.prior(conditions), hashes)
    if tokens is None:
        raise UserError(
            f"there are no learned tokens for {task.name}: run `vcebench prepare time`, or say it "
            "in words, --prompt-source and --prompt-target"
        )
    learned = read_tokens(tokens)
    if there.words is None:
        raise UserError("this latent network reads no prompts; use another one")
    there.words.learn(learned.rows)
    if missing := set(task.classes) - learned.prompts.keys():
        raise UserError(f"{tokens} has no prompt for class {min(missing)}; prepare it anew")
    conditions = there.told_words({k: learned.prompts[k] for k in task.classes})
    return Told(there.prior(conditions), hashes | {TOKENS: sha256(tokens)})


def digest(place: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's networks and words."""
    if place.is_file():
        return sha256(place)
    kinds = (".safetensors", ".json", ".txt")
    found = sorted(p for p in place.rglob("*") if p.suffix in kinds and p.name != "card.json")
    lines = [f"{p.relative_to(place).as_posix()} {sha256(p)}" for p in found]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
