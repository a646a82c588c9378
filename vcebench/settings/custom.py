"""A task of somebody's own, from a TOML file: images, classifier, prior.

    name = "leaves"

    [data]
    folder = "images"               # class sub-folders; or labels = "labels.csv" (file,label)
    size = 64                       # or [height, width]
    fit = "crop"                    # crop, stretch or pad
    classes = ["healthy", "rust"]   # in the order of the classifier's outputs

    [classifier]
    factory = "leaves_model:build"  # or torchscript = "FILE"
                                    # or architecture = "resnet18", weights = "FILE", outputs = 2

    [prior]
    trained = "prior.safetensors"   # by vcebench train prior
                                    # or diffusers = "FOLDER"
                                    # or checkpoint = "FILE.pt" with [prior.flags]

    [robust]                        # for methods that need a robust classifier, such as dvce
    trained = "robust.safetensors"  # by vcebench train robust; or as in [classifier]

    [bridge]                        # for methods that walk on one, such as rcsb-c
    trained = "bridge.safetensors"  # by vcebench train bridge

    [latent]                        # for methods among latents, such as ldce-txt and time
    stable_diffusion = "FOLDER"     # of diffusers, or a single file of Stable Diffusion 1.x
    prompts = ["a photo of a healthy leaf", "a photo of a leaf with rust"]

    [run]
    method = "maskdime"

Of [prior] and [bridge], what the method does not walk on may be left out. Paths are relative to the
TOML file. Naming a factory means that its code is run.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StrictStr, ValidationError, field_validator, model_validator

from vcebench.data.base import ImageSet, Task
from vcebench.data.folder import FolderSet, folder_set
from vcebench.data.listing import are_class_numbers, list_all, list_csv, list_folder
from vcebench.data.registry import DATASETS
from vcebench.errors import UserError, one_line
from vcebench.settings.parts import (
    BridgePart,
    ClassifierPart,
    DataPart,
    LatentPart,
    OraclePart,
    Part,
    PriorPart,
)


class CustomTask(Part):
    """Everything about a task of somebody's own that a run has to know; paths are absolute.

    prior, bridge, latent: what a method walks on; None for methods that do without.
    target: class that every image is led to, by name or number; without it the other class of two,
        or the runner-up.
    classifier: None for imports, which do without.
    robust: an adversarially robust classifier of the same classes, for methods that need one.
    oracle, representation: what metrics look through besides; no part of what a run is.
    """

    later: ClassVar[frozenset[str]] = frozenset(
        {"classifier", "prior", "bridge", "latent", "robust", "oracle", "representation"}
    )

    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
    target: StrictStr | None = None
    data: DataPart
    classifier: ClassifierPart | None = None
    prior: PriorPart | None = None
    bridge: BridgePart | None = None
    latent: LatentPart | None = None
    robust: ClassifierPart | None = None
    oracle: OraclePart | None = None
    representation: ClassifierPart | None = None

    @field_validator("target", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return str(value) if type(value) is int else value

    @model_validator(mode="after")
    def _own_name(self) -> Self:
        if self.name in DATASETS:
            raise ValueError(f"name {self.name!r} is that of a data set of this package")
        return self

    def open(self) -> FolderSet:
        """The images. Raises UserError: see `vcebench.data.listing`."""
        data = self.data
        if data.labels is None:
            listing = list_folder(data.folder, data.classes)
        else:
            listing = list_csv(data.labels, data.folder, data.classes)
        background = (data.background, data.colour())
        task = task_of(listing.names)
        grey = data.channels == 1
        return folder_set(self.name, task, data.folder, listing, data.geometry(), background, grey)

    def open_all(self, folder: Path) -> FolderSet:
        """All images of another folder, unlabelled, prepared as those of the task."""
        data, found = self.data, list_all(folder)
        background = (data.background, data.colour())
        grey = data.channels == 1
        return folder_set(self.name, self.task(), folder, found, data.geometry(), background, grey)

    def task(self) -> Task:
        """What is asked of the images, as far as the file says it."""
        return task_of(list(self.data.classes))

    def named(self, images: ImageSet) -> Self:
        """The same with the names of the classes that the images turned out to have."""
        data = self.data.model_copy(update={"classes": images.task.labels})
        return self.model_copy(update={"data": data})

    def of_method(self, preset: str) -> Self:
        """What decides the images of a method, by its preset's id: its unit is the only one."""
        part = self.classifier
        if part is None:
            return self.model_copy(update={"oracle": None, "representation": None})
        chosen: dict[str, Any] = {"unit": part.units.get(preset, part.unit), "units": {}}
        made = {"classifier": part.model_copy(update=chosen), "oracle": None}
        return self.model_copy(update={**made, "representation": None})

    def target_class(self, names: tuple[str, ...]) -> int | None:
        """Number of the class asked for. Raises UserError if it is no class."""
        if self.target is None:
            return None
        if self.target in names:
            return names.index(self.target)
        if open_ended(names) and re.fullmatch(r"\d{1,5}", self.target, re.ASCII):
            return int(self.target)
        raise UserError(f"target {self.target!r} is none of the classes {', '.join(names)}")


NAMELESS = ("class 0", "class 1")
"""Classes of images that are unlabelled, where nobody names any."""


def task_of(names: Sequence[str]) -> Task:
    """The task among these classes; two of no name if there are none."""
    labels = tuple(names) or NAMELESS
    kind: Literal["binary", "multiclass"] = "binary" if len(labels) == 2 else "multiclass"
    return Task("own", kind, tuple(range(len(labels))), labels)


def open_ended(names: Sequence[str]) -> bool:
    """Whether the classifier may have more classes than these: they are numbers, or nameless."""
    return tuple(names) == NAMELESS or are_class_numbers(names)


def stored_custom(content: Mapping[str, Any]) -> CustomTask:
    """The task that a run's configuration holds. Raises UserError if it is of another form."""
    try:
        return CustomTask(**content)
    except (ValidationError, TypeError) as error:
        raise UserError(f"the run's own task does not fit: {first_complaint(error)}") from error


def read_custom(path: Path) -> tuple[CustomTask, dict[str, Any]]:
    """The task of a TOML file, and its [run] table.

    Raises UserError: unreadable, or the first entry that does not fit.
    """
    try:
        content = tomllib.loads(path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {one_line(error)}") from error
    except tomllib.TOMLDecodeError as error:
        hint = "; write paths with / or in single quotes" if "\\" in str(error) else ""
        raise UserError(f"{path} is no TOML: {one_line(error)}{hint}") from error
    settings = content.pop("run", {})
    if not isinstance(settings, dict):
        raise UserError(f"{path}: run is no table; write [run]")
    try:
        task = CustomTask(**_absolute(content, path.resolve().parent))
    except (ValidationError, TypeError) as error:
        raise UserError(f"{path}: {first_complaint(error)}") from error
    return task, settings


_PATHS = {
    "data": ("folder", "labels"),
    "classifier": ("torchscript", "weights", "folder", "trained"),
    "prior": ("trained", "diffusers", "checkpoint"),
    "robust": ("torchscript", "weights", "folder", "trained"),
    "oracle": ("torchscript", "weights", "folder", "trained", "reference"),
    "representation": ("torchscript", "weights", "folder", "trained"),
    "bridge": ("trained",),
    "latent": ("stable_diffusion", "tokens"),
}


def _absolute(content: dict[str, Any], base: Path) -> dict[str, Any]:
    """The same with paths made absolute, and with the folder that factories are imported from."""
    found = dict(content)
    for section in ("classifier", "robust", "oracle", "representation"):
        if isinstance(found.get(section), dict) and "factory" in found[section]:
            found[section] = {"folder": ".", **found[section]}
    for section, names in _PATHS.items():
        part = found.get(section)
        if isinstance(part, dict):
            paths = {
                name: str(base / Path(part[name]).expanduser())
                for name in names
                if isinstance(part.get(name), str)
            }
            found[section] = {**part, **paths}
    return found


_KINDS = {"int", "float", "str", "bool", "path", "none"}
"""What pydantic adds to a key for the members of a union."""


def first_complaint(error: Exception) -> str:
    """The first thing that does not fit, with its key and the value that is there."""
    if not isinstance(error, ValidationError):
        return one_line(error)
    detail = error.errors()[0]
    keys = [str(part) for part in detail["loc"]]
    if detail["type"] == "extra_forbidden":
        return f"{'.'.join(keys)}: there is no such key; docs/own-data.md shows those that are"
    name = ".".join(k for k in keys if re.fullmatch(r"\w+", k) and k not in _KINDS)
    message = detail["msg"].removeprefix("Value error, ")
    value = detail["input"]
    plain = isinstance(value, bool | int | float | str) and detail["type"] != "value_error"
    return f"{name or 'the file'}{f' is {value!r}' if plain else ''}: {message}"
