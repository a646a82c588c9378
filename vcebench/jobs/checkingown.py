"""What of somebody's own task is there, left out or wrong, and what a run would cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from vcebench.data.base import Example, ImageSet
from vcebench.data.files import BadImageError, check_picture
from vcebench.data.folder import FolderSet
from vcebench.data.listed import UNLABELLED
from vcebench.data.spread import spread
from vcebench.errors import UserError, one_line, user_errors
from vcebench.folders.images import dequantise
from vcebench.jobs.checking import Finding
from vcebench.models.bundle import Bundle
from vcebench.models.latent_files import load_latent
from vcebench.models.own_classifier import load_classifier
from vcebench.models.own_prior import load_prior
from vcebench.running.assemble import networks_of, worker_of
from vcebench.running.dryrun import estimate, span
from vcebench.running.precision import precision_flags
from vcebench.running.probe import first_images, probe
from vcebench.settings.custom import CustomTask, read_custom
from vcebench.settings.request import Request, resolve, with_custom

_SAMPLED = 64
"""Images that are read wholly, evenly spread: what is met in them is told as of all."""

_ASKED, _USUALLY = 16, 0.6
"""Images that the classifier is asked about, and the share it should be right on."""

_USUAL = "maskdime"
"""Method that is looked at where the file names none."""

Progress = Callable[[int, int], None]


def check_own(
    path: Path, thorough: bool = False, progress: Progress = lambda done, total: None
) -> Iterator[Finding]:
    """Look at everything that a run of a task's file would meet, one finding after another.

    Args:
        path: the TOML file.
        thorough: decode every image; else some, and of the others only what shows damage.
        progress: called with the image files looked at and all of them.
    """
    try:
        custom, table = read_custom(path)
        method = table.get("method")
        request = with_custom(Request("" if method else _USUAL, ""), path)
    except UserError as error:
        yield Finding("file", "wrong", one_line(error))
        return
    if method is None:
        yield Finding(
            "method", "note", f"[run] names none; looked at with {_USUAL}, a run needs --method"
        )
    images = None
    try:
        with user_errors():
            images = custom.open()
    except UserError as error:
        yield Finding("images", "wrong", one_line(error))
    else:
        yield from _images(images, thorough, progress)
    networks = list(_networks(custom))
    yield from networks
    if images is None or any(finding.state == "wrong" for finding in networks):
        return
    yield from _run(request)


def _images(images: FolderSet, thorough: bool, progress: Progress) -> Iterator[Finding]:
    """What is there, by class; what is left out; which files cannot be used."""
    names, counts = images.task.labels, Counter(images.labels)
    shown = ", ".join(f"{name} {counts[number]}" for number, name in enumerate(names[:20]))
    kinds = "unlabelled" if counts[UNLABELLED] else shown + (", …" if len(names) > 20 else "")
    yield Finding("images", "ok", f"{len(images):,} in {images.root}: {kinds}")
    bad = list(damaged(images, thorough, progress))
    for line in images.notes():
        yield Finding("images", "note", line)
    if bad:
        others = f" (and {len(bad) - 1:,} more)" if len(bad) > 1 else ""
        yield Finding("images", "wrong", f"{one_line(bad[0])}{others}")


def damaged(
    images: FolderSet, thorough: bool = False, progress: Progress = lambda done, total: None
) -> Iterator[UserError]:
    """What is wrong with the files that cannot be used, see `check_own`."""
    count = len(images)
    whole = set(range(count) if thorough else spread(count, _SAMPLED))
    for index in range(count):
        progress(index, count)
        try:
            if index in whole:
                images[index]
            else:
                check_picture(images.path(index), images.geometry)
        except (BadImageError, UserError) as error:
            yield error


def _networks(custom: CustomTask) -> Iterator[Finding]:
    """Classifier and prior, each by itself, so that one does not hide what is wrong with both.

    A latent model is told of only where the file names one: most methods do without.
    """
    roles = [("classifier", _classifier), ("prior", _prior)]
    for role, describe in roles if custom.latent is None else [*roles, ("latent", _latent)]:
        try:
            with user_errors():
                found = describe(custom)
        except UserError as error:
            yield Finding(role, "wrong", one_line(error))
            continue
        yield Finding(role, "ok" if found else "note", found or "the file names none")


def _classifier(custom: CustomTask) -> str | None:
    if custom.classifier is None:
        return None
    found = load_classifier(custom.classifier)
    return found.name if found.code is None else f"{found.name}, code {found.code[:8]}"


def _prior(custom: CustomTask) -> str | None:
    if custom.prior is None:
        return None
    found = load_prior(custom.prior)
    return f"{found.name}, {len(found.prior.schedule)} steps"


def _latent(custom: CustomTask) -> str | None:
    if custom.latent is None:
        return None
    place = custom.latent.stable_diffusion
    reads = "reads prompts" if load_latent(place).words is not None else "reads no prompts"
    return f"{place.name}, {reads}"


def _run(request: Request) -> Iterator[Finding]:
    """Whether networks, images and settings go together, and what a run would cost."""
    try:
        with user_errors():
            config, images = resolve(replace(request, skip_bad=True))
            bundle = networks_of(config, metrics=False)
            first = first_images(config, images)
            with precision_flags(config.precision):
                probe(worker_of(config, bundle), first)
    except UserError as error:
        yield Finding("run", "wrong", one_line(error))
        return
    for note in bundle.notes:
        yield Finding("networks", "note", note)
    if not first:  # what is wrong with the files has been said
        return
    yield _outputs(bundle, images)
    yield Finding("run", "ok", f"one image and a full batch pass; method {config.method}")
    found = estimate(config, images, bundle)
    low, high = map(span, found.seconds)
    most = f", at most {high} if none flips at once" if found.tries > 1 else ""
    yield Finding(
        "cost",
        "ok",
        f"{found.images:,} images in {found.batches} batches of {config.batch_size}: {low}{most}; "
        f"{found.memory_mib:.0f} MiB ({found.memory_of})",
    )


@torch.no_grad()
def _outputs(bundle: Bundle, images: ImageSet) -> Finding:
    """What the classifier says of some images, and how often that is their label."""
    examples, names = list(_readable(images)), images.task.labels
    if not examples:
        return Finding("classifier", "note", "not asked: none of the images tried can be read")
    x = dequantise(torch.stack([example.image for example in examples]).to(bundle.device))
    found = bundle.explained.predict(x).tolist()
    said = ", ".join(
        f"{names[number] if number < len(names) else f'class {number}'} {count}"
        for number, count in sorted(Counter(found).items())
    )
    text = f"of {len(examples)} images it says: {said}"
    labelled = [
        (example.label, one)
        for example, one in zip(examples, found, strict=True)
        if example.label != UNLABELLED
    ]
    if not labelled:
        return Finding("classifier", "ok", text)
    right = sum(label == one for label, one in labelled)
    text += f"; {right} of {len(labelled)} as they are labelled"
    if right > _USUALLY * len(labelled):
        return Finding("classifier", "ok", text)
    return Finding(
        "classifier", "note", f"{text}: are mean, std and the order of `classes` those it knows?"
    )


def _readable(images: ImageSet) -> Iterator[Example]:
    """Some images from the first to the last, without those that cannot be read."""
    for index in spread(len(images), _ASKED):
        try:
            yield images[index]
        except BadImageError:
            continue
