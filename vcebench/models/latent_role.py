"""What plays the roles `latent-text` and `latent-class`: a latent model, told of a task."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
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
    classes: Sequence[int],
    needs: Set[str],
    device: torch.device | str,
    said: Mapping[int, str] | Path,
) -> Told:
    """The prior of a latent model for a task.

    Args:
        model: as it was loaded.
        place: folder or file that it came from.
        classes: of the task.
        needs: roles that the method asks for.
        device: where it shall live.
        said: class → prompt, or a file of learned tokens.

    Raises UserError: the model reads no prompts, or knows no classes.
    """
    there = model.to(device)
    if CLASS in needs:
        return Told(there.prior(there.told_classes(classes)), {CLASS: digest(place)})
    hashes = {TEXT: digest(place)}
    if not isinstance(said, Path):
        return Told(there.prior(there.told_words(said)), hashes)
    learned = read_tokens(said)
    if there.words is None:
        raise UserError("this latent network reads no prompts; use another one")
    there.words.learn(learned.rows)
    if missing := set(classes) - learned.prompts.keys():
        raise UserError(f"{said} has no prompt for class {min(missing)}; prepare it anew")
    conditions = there.told_words({k: learned.prompts[k] for k in classes})
    return Told(there.prior(conditions), hashes | {TOKENS: sha256(said)})


def what_is_said(
    task: Task, needs: Set[str], prompts: Prompts | None, *tokens: Path
) -> dict[int, str] | Path:
    """What a method that needs these roles tells its network of a task.

    Args:
        prompts: a person's own words, in place of the usual ones and of learned tokens.
        tokens: where files of learned tokens may lie, the first one that is there is taken.

    Raises UserError: tokens are needed, and there are none.
    """
    if CLASS in needs:
        return {}
    if TOKENS not in needs or prompts is not None:
        return prompts_of(task, prompts)
    for place in tokens:
        if place.is_file():
            return place
    raise UserError(
        f"there are no learned tokens for {task.name}: run `vcebench prepare time`, or say it in "
        "words with --prompt-source and --prompt-target"
    )


def digest(place: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's networks and words."""
    if place.is_file():
        return sha256(place)
    kinds = (".safetensors", ".json", ".txt")
    found = sorted(p for p in place.rglob("*") if p.suffix in kinds and p.name != "card.json")
    lines = [f"{p.relative_to(place).as_posix()} {sha256(p)}" for p in found]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
