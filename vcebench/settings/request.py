"""From what a person asked for to a complete configuration."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from vcebench.data.base import ImageSet
from vcebench.data.masks import MaskFolder
from vcebench.data.registry import open_dataset
from vcebench.errors import UserError, user_errors
from vcebench.methods.core.method import Method
from vcebench.methods.registry import ALIASES, METHODS, method
from vcebench.settings.config import (
    RunConfig,
    Setting,
    build_config,
    build_guidance,
)
from vcebench.settings.custom import CustomTask, read_custom
from vcebench.settings.method_presets import MethodPreset, method_preset
from vcebench.settings.plugins import find_method
from vcebench.settings.presets import preset
from vcebench.settings.prompts import Prompts, prompts_of
from vcebench.settings.regions import parse_region
from vcebench.settings.runtable import run_table


@dataclass(frozen=True)
class Request:
    """What was asked for; None stands for the preset's value or the default.

    settings: overrides of the method's settings; an unknown one is an error.
    guidance: overrides of `GuidanceConfig`.
    limit: number of images; 0 means all of the split.
    data_root: folder of a data set that does not ship with the package.
    skip_bad: leave out image files that cannot be used.
    classifier: "task", or "random" or "permuted" for the sanity check.
    custom: a task of somebody's own; it takes the place of data set, task and split.
    shard: (i, n), only every n-th image from the i-th on.
    region: where images may change (`vcebench.settings.regions`), or a folder of masks.
    name: what tables call a method that is given by its place.
    prompts: what a latent network is told of the task's first and second class.
    """

    method: str
    dataset: str
    task: str | None = None
    split: str | None = None
    limit: int | None = None
    seed: int = 0
    batch_size: int | None = None
    device: str = "auto"
    settings: dict[str, Setting] = field(default_factory=dict)
    guidance: dict[str, Any] = field(default_factory=dict)
    precision: str = "exact"
    image_format: str = "png"
    trace: int = 0
    data_root: Path | None = None
    skip_bad: bool = False
    classifier: str = "task"
    custom: CustomTask | None = None
    shard: tuple[int, int] | None = None
    region: str | None = None
    name: str | None = None
    prompts: tuple[str, str] | None = None


def resolve(request: Request) -> tuple[RunConfig, ImageSet]:
    """The complete configuration, and the image set it is about.

    Raises:
        UserError: an unknown name (nearest ones named) or a value out of bounds, in one line.
    """
    if not request.method:
        raise UserError("say which method: --method ID; `vcebench list methods` shows them")
    if not request.dataset:
        raise UserError("say which data set: --dataset ID, or --config FILE.toml for your own")
    if request.custom is not None and request.classifier != "task":
        raise UserError(f"--classifier {request.classifier} is for synthfaces smile, not your own")
    id, origin = find_method(request.method, request.name)
    request = replace(request, method=ALIASES.get(id, id))
    with user_errors():
        method(request.method)  # an unknown method is reported before anything is opened
        images = _images(request)
        chosen = preset(images.name, images.task.name)
        usual = usual_settings(request.method, images.name, images.task.name)
        explainer = configured_method(request.method, usual, request.settings)
        _check_weights(request)
    if request.limit is not None and request.limit < 0:
        raise UserError(f"limit is {request.limit}; use a number of images, or 0 for all")
    limit = chosen.limit if request.limit is None else request.limit
    guidance = {"class_factor": chosen.class_factor, **request.guidance}
    own = _method_preset(request.method, images.name, images.task.name)
    batch_size = request.batch_size or own.batch_size or chosen.batch_size
    config = build_config(
        method=request.method,
        settings=explainer.settings(),
        dataset=images.name,
        task=images.task.name,
        split=images.split,
        limit=min(limit or len(images), len(images)),
        seed=request.seed,
        batch_size=batch_size,
        guidance=build_guidance(**guidance),
        precision=request.precision,
        image_format=request.image_format,
        device=resolve_device(request.device),
        trace=request.trace,
        skip_bad=request.skip_bad,
        classifier=request.classifier,
        custom=_custom(request, images),
        shard=request.shard,
        **_region(request),
        origin=origin,
        prompts=_prompts(request, images),
    )
    return config, images


def with_custom(request: Request, path: Path) -> Request:
    """The request with the task of a TOML file; what was asked for wins over its [run] table.

    Raises UserError: the file does not fit, or data set, task or split are given beside it.
    """
    if request.dataset or request.task or request.split:
        raise UserError("--config brings its own images: leave --dataset, --task, --split away")
    custom, content = read_custom(path)
    table = run_table(content, path)
    given = {name: value for name, value in request.guidance.items() if value is not True}
    defaults = Request(method="", dataset="")
    chosen = {
        name: value
        for name, value in table.named().items()
        if getattr(request, name) == getattr(defaults, name)
    }
    if "region" in chosen and (folder := mask_folder(chosen["region"], path.resolve().parent)):
        chosen["region"] = str(folder)
    return replace(
        request,
        **chosen,
        dataset=custom.name,
        settings={**table.settings(), **request.settings},
        guidance={**table.guidance(), **given},
        custom=custom,
    )


def _custom(request: Request, images: ImageSet) -> dict[str, Any] | None:
    if request.custom is None:
        return None
    custom = request.custom.named(images).of_method(_preset_id(request.method))
    return custom.model_dump(mode="json")


def uncalibrated(request: Request) -> str | None:
    """A line on a method that guides with a classifier whose unit nobody said; None for others."""
    custom, preset = request.custom, _preset_id(request.method)
    part = None if custom is None else custom.classifier
    if part is None or part.is_calibrated(preset):
        return None
    if "lambda_class" not in METHODS[request.method].factory.weights:
        return None
    return (
        f"{preset} is not calibrated for this classifier, its unit is 1: `vcebench calibrate "
        f"--config FILE.toml --method {request.method}` finds one"
    )


def _preset_id(method: str) -> str:
    """The id whose presets, and whose unit, hold for a method."""
    return METHODS[method].preset or method


def _region(request: Request) -> dict[str, str]:
    """Region and folder of masks of a configuration, as far as there are any."""
    entry, asked = METHODS[request.method], request.region
    if entry.region is not None:
        if asked is not None:
            raise UserError(
                f"--region is {entry.region} by definition of {request.method}; drop it"
            )
        return {"region": entry.region}
    if asked is None:
        return {}
    if not entry.factory.regional:
        raise UserError(
            f"{request.method} cannot be told where to change an image; use a method that is "
            "guided in pixels, such as maskdime or rcsb-c"
        )
    if (folder := mask_folder(asked)) is not None:
        return {"region": f"files:{MaskFolder(folder).digest()}", "masks": str(folder)}
    parse_region(asked)
    return {"region": asked}


def _prompts(request: Request, images: ImageSet) -> Prompts | None:
    """A person's own words. Raises UserError: the method reads none, or the classes are many."""
    if request.prompts is None:
        return None
    if "latent-text" not in METHODS[request.method].factory.needs:
        raise UserError(f"{request.method} reads no prompts; use one that does, such as ldce-txt")
    prompts_of(images.task, request.prompts)
    return request.prompts


def told_region(config: RunConfig) -> str | None:
    """Where images may change if a person said so and not the method's id; digests shortened."""
    if config.region is None or config.method not in METHODS:
        return config.region
    if config.region == METHODS[config.method].region:
        return None
    return config.region[:18] if config.region.startswith("files:") else config.region


def mask_folder(region: str, base: Path = Path()) -> Path | None:
    """The folder of masks that a region names, from `base`; None if it is a word, or not there.

    Raises UserError: a digest in place of a folder, which says nothing of where the masks are.
    """
    try:
        kind = parse_region(region).kind
    except UserError:
        folder = base / Path(region).expanduser()
        return folder if folder.is_dir() else None
    if kind == "files":
        raise UserError("name the folder of the masks: --region FOLDER")
    return None


def _images(request: Request) -> ImageSet:
    """The image set asked for, a registered one or somebody's own."""
    if request.custom is None:
        return open_dataset(request.dataset, request.task, request.split, request.data_root)
    images = request.custom.open()
    request.custom.target_class(images.task.labels)
    return images


def configured_method(
    name: str, defaults: dict[str, Setting], overrides: dict[str, Setting]
) -> Method:
    """A method with a preset's values for the settings it has, and a person's own on top."""
    allowed = METHODS[name].parameters()
    fitting = {key: value for key, value in defaults.items() if key in allowed}
    return method(name, **{**fitting, **overrides})


def usual_settings(name: str, dataset: str, task: str) -> dict[str, Setting]:
    """What a method's settings are on a task unless somebody says otherwise, as far as presets say.

    The data set's τ is the length of a walk on its diffusion prior; methods that walk elsewhere
    have their own.
    """
    settings = preset(dataset, task).settings()
    needs = METHODS[name].factory.needs
    if needs and "prior" not in needs:
        del settings["tau"]
    return {**settings, **_method_preset(name, dataset, task).settings}


def _method_preset(name: str, dataset: str, task: str) -> MethodPreset:
    return method_preset(_preset_id(name), dataset, task)


def _check_weights(request: Request) -> None:
    """Refuse weights of the joint loss that the method does not read."""
    read = METHODS[request.method].factory.weights
    for weight in request.guidance:
        if weight not in read:
            option = weight.replace("_", "-")
            raise UserError(f"{request.method} does not read {option}; leave it away")


def needs_of(method: str, lambda_perceptual: float) -> frozenset[str]:
    """Roles of networks that make a run's images, besides the classifier.

    A method that is not registered is taken for one that needs what most do.
    """
    factory = METHODS[method].factory if method in METHODS else Method
    return factory.needs if lambda_perceptual != 0 else factory.needs - {"perceptual"}


def method_of(config: RunConfig) -> Method:
    """The method of a configuration."""
    fixed = METHODS[config.method].fixed
    free = {key: value for key, value in config.settings.items() if key not in fixed}
    return method(config.method, **free)


def resolve_device(name: str) -> str:
    """ "cpu" or "cuda", from "auto", "cpu" or "cuda"; raises `UserError` if it is not there."""
    available = torch.cuda.is_available()
    if name == "auto":
        return "cuda" if available else "cpu"
    if name not in ("cpu", "cuda"):
        raise UserError(f"unknown device {name!r}; use auto, cpu or cuda")
    if name == "cuda" and not available:
        raise UserError("PyTorch finds no CUDA device here; use --device cpu")
    return name
