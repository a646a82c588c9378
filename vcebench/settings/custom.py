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

    [run]
    method = "maskdime"

Paths are relative to the TOML file. Naming a factory means that its code is run.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vcebench.data.base import ImageSet, Task
from vcebench.data.files import Geometry
from vcebench.data.folder import FolderSet, folder_set, list_csv, list_folder
from vcebench.data.registry import DATASETS
from vcebench.errors import UserError, one_line

Side = Annotated[int, Field(ge=8, le=4096)]
Colour = tuple[float, float, float]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataPart(_Part):
    """Where the images are, and how they are brought to the size of the networks."""

    folder: Path
    labels: Path | None = None
    size: Side | tuple[Side, Side]
    fit: Literal["crop", "stretch", "pad"] = "crop"
    classes: tuple[str, ...] = ()

    def geometry(self) -> Geometry:
        """The size as height and width, with the way to reach it."""
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return Geometry(height, width, self.fit)


class ClassifierPart(_Part):
    """The classifier: exactly one of factory, torchscript, architecture.

    It gets images in [-1, 1] unless `mean` and `std` are given: then ([0, 1] image - mean) / std.
    `index` picks one logit of several independent ones; `unit` is a factor of the class gradient.
    A factory, "package.module:function", is imported from `folder`, that of the TOML file unless
    given, or from what is installed; it is called with `arguments` and returns the network.
    """

    factory: str | None = None
    folder: Path | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    torchscript: Path | None = None
    architecture: str | None = None
    weights: Path | None = None
    outputs: Annotated[int, Field(ge=1)] = 1000
    mean: Colour | None = None
    std: Colour | None = None
    index: Annotated[int, Field(ge=0)] | None = None
    unit: Annotated[float, Field(gt=0)] = 1.0

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = (self.factory, self.torchscript, self.architecture)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("give one of factory, torchscript, architecture")
        if (self.architecture is None) != (self.weights is None):
            raise ValueError("architecture and weights belong together")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together")
        return self


class PriorPart(_Part):
    """The prior: exactly one of trained, diffusers, checkpoint (with the flags of its training).

    steps and respacing (T and N) hold for the latter two; a diffusers folder or the flags may say
    T themselves.
    """

    trained: Path | None = None
    diffusers: Path | None = None
    checkpoint: Path | None = None
    flags: dict[str, bool | int | float | str] = Field(default_factory=dict)
    respacing: Annotated[int, Field(ge=1)] = 200

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = (self.trained, self.diffusers, self.checkpoint)
        if sum(kind is not None for kind in kinds) != 1:
            raise ValueError("give one of trained, diffusers, checkpoint")
        if (self.checkpoint is None) != (not self.flags):
            raise ValueError("checkpoint and flags belong together")
        return self


class CustomTask(_Part):
    """Everything about a task of somebody's own that a run has to know; paths are absolute.

    target: class that every image is led to; without it the other class of two, or the runner-up.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    target: str | None = None
    data: DataPart
    classifier: ClassifierPart
    prior: PriorPart

    @model_validator(mode="after")
    def _own_name(self) -> Self:
        if self.name in DATASETS:
            raise ValueError(f"name {self.name!r} is that of a data set of this package")
        return self

    def open(self) -> FolderSet:
        """The images. Raises UserError: see `vcebench.data.folder`."""
        data = self.data
        if data.labels is None:
            rows, names = list_folder(data.folder, data.classes)
        else:
            rows, names = list_csv(data.labels, data.folder, data.classes)
        return folder_set(self.name, task_of(names), data.folder, rows, data.geometry())

    def task(self) -> Task:
        """What is asked of the images, as far as the file says it."""
        return task_of(list(self.data.classes))

    def named(self, images: ImageSet) -> Self:
        """The same with the names of the classes that the images turned out to have."""
        data = self.data.model_copy(update={"classes": images.task.labels})
        return self.model_copy(update={"data": data})

    def target_class(self, names: tuple[str, ...]) -> int | None:
        """Number of the class asked for. Raises UserError if it is no class."""
        if self.target is None:
            return None
        if self.target not in names:
            raise UserError(f"target {self.target!r} is none of the classes {', '.join(names)}")
        return names.index(self.target)


def task_of(names: list[str]) -> Task:
    """The task among these classes; two of no name if there are fewer than two."""
    labels = tuple(names) if len(names) > 1 else ("class 0", "class 1")
    kind: Literal["binary", "multiclass"] = "binary" if len(labels) == 2 else "multiclass"
    return Task("own", kind, tuple(range(len(labels))), labels)


def stored_task(custom: Mapping[str, Any]) -> Task:
    """What is asked in a stored run of somebody's own task; raises UserError if it is none."""
    try:
        return CustomTask(**custom).task()
    except (ValidationError, TypeError) as error:
        raise UserError(f"the run's own task is none ({_first(error)})") from error


def read_custom(path: Path) -> tuple[CustomTask, dict[str, Any]]:
    """The task of a TOML file, and its [run] table.

    Raises UserError: unreadable, or the first entry that does not fit.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read: {one_line(error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is no TOML: {one_line(error)}") from error
    settings = content.pop("run", {})
    if not isinstance(settings, dict):
        raise UserError(f"{path}: run is no table; write [run]")
    try:
        task = CustomTask(**_absolute(content, path.resolve().parent))
    except (ValidationError, TypeError) as error:
        raise UserError(f"{path}: {_first(error)}") from error
    return task, settings


_PATHS = {
    "data": ("folder", "labels"),
    "classifier": ("torchscript", "weights", "folder"),
    "prior": ("trained", "diffusers", "checkpoint"),
}


def _absolute(content: dict[str, Any], base: Path) -> dict[str, Any]:
    """The same with paths made absolute, and with the folder that factories are imported from."""
    found = dict(content)
    if isinstance(found.get("classifier"), dict) and "factory" in found["classifier"]:
        found["classifier"] = {"folder": ".", **found["classifier"]}
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


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return one_line(error)
    detail = error.errors()[0]
    name = ".".join(str(part) for part in detail["loc"] if not str(part).startswith("constrained"))
    message = detail["msg"].removeprefix("Value error, ")
    return f"{name or 'the file'}: {message}"
