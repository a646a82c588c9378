"""`vcebench prepare time`: the words of a task, learnt from what its classifier says.

Reference: Text-to-Image Models for Counterfactual Explanations: a Black-Box Approach (Jeanneret et
al., WACV 2024), as released: context words from all images, then those of each class from the
images that the classifier takes for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vcebench.data.base import ImageSet, Task
from vcebench.data.registry import dataset_entry, open_dataset
from vcebench.errors import UserError
from vcebench.models.bundle import Bundle
from vcebench.models.latent import LatentModel
from vcebench.models.latent_files import load_latent
from vcebench.models.latent_role import TEXT, digest
from vcebench.models.loading import load_bundle
from vcebench.models.own import load_own_bundle
from vcebench.models.own_latent import load_own_model
from vcebench.models.shipped import FILES, latent_folder
from vcebench.models.tokens import Tokens, prepared, tokens_name, write_tokens
from vcebench.settings.custom import CustomTask
from vcebench.training.augment import to_network
from vcebench.training.inversion import InversionSettings, NewWords, learn
from vcebench.weights.latents import LATENT_ROLES, LATENTS, latent_advice, latents_there
from vcebench.weights.store import weights_root

KINDS = ("portrait", "picture", "image", "photo", "photograph", "snapshot")
CONTEXT = ("|<C*1>|", "|<C*2>|", "|<C*3>|")
CLASSES = (("|<AN*1>|", "|<AN*2>|", "|<AN*3>|"), ("|<AP*1>|", "|<AP*2>|", "|<AP*3>|"))
_BEGIN = {
    "Smiling": ("serious", "smiling"),
    "Young": ("old", "young"),
    "Wearing_Hat": ("hair", "hat"),
    "Eyeglasses": ("eyes", "eyeglasses"),
}
"""Attribute → words that the rows of either class begin with."""
_PLAIN = ("photo", "photo")
EMBEDDED = InversionSettings(iterations=400, batch=16, rate=1e-2)
"""Of the small models that ship; others take the released figures."""
FEW = 2000
"""Images that they are learnt from."""
BATCH = 32


@dataclass(frozen=True, eq=False)
class Subject:
    """What words are learnt for.

    Attributes:
        name: of the data set.
        task: its two classes.
        images: that the words are learnt from.
        model: reads them.
        place: folder or file of the model.
        bundle: of the classifier that decides them.
        output: file of the tokens.
    """

    name: str
    task: Task
    images: ImageSet
    model: LatentModel
    place: Path
    bundle: Bundle
    output: Path


def of_dataset(
    dataset: str, task: str | None, output: Path | None, data_root: Path | None
) -> Subject:
    """A registered data set's task, with its training images and its latent model.

    Raises UserError: there is no latent model that reads prompts.
    """
    entry = dataset_entry(dataset)
    chosen = entry.task(task)
    if dataset in FILES:
        place = latent_folder(dataset)
        model = load_latent(place)
    else:
        ids, root = LATENT_ROLES.get(dataset, {}).get(TEXT, ()), weights_root()
        if not ids:
            raise UserError(f"{dataset} has no latent network")
        there = latents_there(dataset, TEXT, root)
        if not there:
            raise UserError(latent_advice(LATENTS[ids[0]], root))
        card, place = there[0]
        model = load_latent(place)
        model = model.seeing((card.size, card.size), entry.size)
    return Subject(
        name=dataset,
        task=chosen,
        images=open_dataset(dataset, chosen.name, "train", data_root),
        model=model,
        place=place,
        bundle=load_bundle(dataset, chosen.name, needs=frozenset(), metrics=False),
        output=output or prepared(dataset, chosen.name),
    )


def of_custom(custom: CustomTask, output: Path | None) -> Subject:
    """Somebody's own task, with all of its images. Raises UserError: it has no [latent]."""
    if custom.latent is None:
        raise UserError("the file of the task has no section [latent]; see docs/latent.md")
    images = custom.open()
    return Subject(
        name=custom.name,
        task=images.task,
        images=images,
        model=load_own_model(custom.latent, custom.data.geometry()),
        place=custom.latent.stable_diffusion,
        bundle=load_own_bundle(custom.named(images), needs=frozenset(), metrics=False),
        output=output or Path(tokens_name(custom.name)),
    )


def usual_settings(dataset: str) -> InversionSettings:
    """How words are learnt for a data set unless somebody says otherwise."""
    return EMBEDDED if dataset in FILES else InversionSettings()


def usual_images(subject: Subject) -> int:
    """How many images words are learnt from unless somebody says otherwise."""
    return min(FEW, len(subject.images)) if subject.name in FILES else len(subject.images)


def prepare_time(
    subject: Subject, settings: InversionSettings, count: int, progress: bool = True
) -> Path:
    """Learn a task's words, or go on learning them; returns the file of tokens.

    Args:
        subject: what they are learnt for.
        settings: how.
        count: images to learn from, the first ones of the training split.

    Raises UserError: the task has more than two classes, the model reads no prompts, or no image is
        taken for one of the classes.
    """
    task, model = subject.task, subject.model
    if len(task.classes) != 2:
        raise UserError(f"{task.name} has {len(task.classes)} classes; words are learnt for two")
    if model.words is None:
        raise UserError("this latent network reads no prompts; use another one")
    latents, decided = _seen(subject, min(count, len(subject.images)))
    state = subject.output.with_name(f".{subject.output.stem}.state")
    inputs = {
        "images": len(latents),
        "latent_sha256": digest(subject.place),
        "classifier_sha256": subject.bundle.hashes.get("classifier", ""),
    }
    context = " ".join(CONTEXT)
    every = NewWords("context", CONTEXT, ("photo",) * 3, tuple(f"A {context} {k}" for k in KINDS))
    rows = _learnt(model, every, latents, settings, state, inputs, progress)
    prompts: dict[int, str] = {}
    begin = _BEGIN.get(task.attribute or "", _PLAIN)
    for class_, words, first, label in zip(task.classes, CLASSES, begin, task.labels, strict=True):
        said = f"A {context} photo with a {' '.join(words)}"
        taken = latents[decided == class_]
        if not len(taken):
            raise UserError(f"none of {len(latents)} images is taken for {label}; give more")
        new = NewWords(f"class {class_}", words, (first,) * 3, (said,))
        rows |= _learnt(model, new, taken, settings, state, inputs, progress)
        prompts[class_] = said
    facts = {
        **inputs,
        "dataset": subject.name,
        "task": task.name,
        "iterations": settings.iterations,
        "batch": settings.batch,
        "rate": settings.rate,
        "decay": settings.decay,
        "seed": settings.seed,
        "command": f"vcebench prepare time --dataset {subject.name} --task {task.name}",
    }
    write_tokens(subject.output, Tokens(rows, prompts, facts))
    for path in state.parent.glob(f"{state.name}-*"):
        path.unlink()
    return subject.output


def _learnt(
    model: LatentModel,
    new: NewWords,
    latents: Tensor,
    settings: InversionSettings,
    state: Path,
    inputs: dict[str, Any],
    progress: bool,
) -> dict[str, Tensor]:
    checkpoint = state.with_name(f"{state.name}-{new.name.replace(' ', '-')}")
    return learn(model, new, latents, settings, checkpoint, inputs=inputs, progress=progress)


@torch.no_grad()
def _seen(subject: Subject, count: int) -> tuple[Tensor, Tensor]:
    """Posteriors of the images, float16 (N, 2·c, h, w), and the classes they are taken for."""
    latents, decided = [], []
    encode: Any = subject.model.autoencoder.encode
    for start in range(0, count, BATCH):
        rows = range(start, min(start + BATCH, count))
        x = to_network(torch.stack([subject.images[k].image for k in rows]))
        latents.append(torch.cat(encode(x), dim=1).half())
        decided.append(subject.bundle.explained.predict(x))
    return torch.cat(latents), torch.cat(decided)


def settings_of(
    dataset: str, iterations: int | None, batch: int | None, rate: float | None, seed: int
) -> InversionSettings:
    """The usual settings of a data set with what a person said otherwise."""
    given = {"iterations": iterations, "batch": batch, "rate": rate}
    chosen = {name: value for name, value in given.items() if value is not None}
    return replace(usual_settings(dataset), seed=seed, **chosen)  # type: ignore[arg-type]
