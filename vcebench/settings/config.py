"""The complete configuration of a run: validated, serialisable, hashed.

Two runs with the same configuration make the same images (at equal precision and build). What may
differ without changing an image, such as the number of threads, is not part of it.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from vcebench.errors import UserError
from vcebench.settings.origin import Imported, Plugin
from vcebench.settings.regions import parse_region

PROTOCOL = "ace-2023/1"
"""Name and version of the definitions that numbers of a run follow."""

LADDER = (8.0, 10.0, 15.0)
"""λ_c, tried in turn until the prediction flips (all three papers)."""

Precision = Literal["exact", "fast", "bf16", "fp16"]
Explained = Literal["task", "random", "permuted"]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Setting = bool | int | float | str | None


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GuidanceConfig(_Frozen):
    """Weights of the joint loss.

    lambda_class: the λ_c ladder, tried in turn.
    lambda_perceptual, lambda_l1: λ_p and λ_l.
    use_logits: L_class is minus the margin, as released; else minus its log-sigmoid.
    class_factor: factor on the class gradient beside the classifier's calibrated unit (2 for the
        ImageNet tasks, whose published code differentiates with respect to the [0, 1] image).
    """

    lambda_class: tuple[float, ...] = LADDER
    lambda_perceptual: Weight = 30.0
    lambda_l1: Weight = 0.05
    use_logits: bool = True
    class_factor: Weight = 1.0

    @field_validator("lambda_class")
    @classmethod
    def _ladder(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value:
            raise ValueError("the ladder needs at least one λ_c, e.g. 8,10,15")
        if any(not math.isfinite(rung) or rung < 0 for rung in value):
            raise ValueError("every λ_c must be a finite number of at least 0")
        return value


class RunConfig(_Frozen):
    """Everything that decides which images a run makes.

    settings: all settings of the method, also those at their defaults.
    limit: number of images, counted from the beginning of the split.
    batch_size: rows of every batch; the last ones are padded to it.
    device: "cpu" or "cuda".
    trace: number of images whose steps are kept; adds files and changes no image.
    skip_bad: leave out image files that cannot be used, and count them.
    custom: a task of somebody's own (`vcebench.settings.custom.CustomTask`), none for a registered
        one.
    classifier: the task's, or one that knows nothing of the task, for the sanity check: with random
        weights, or trained on permuted labels.
    shard: (i, n), only the images i, i + n, i + 2n, … of the run; none for all of them.
    origin: where the images come from, if no registered method made them. What else would make them
        (settings, guidance, batches) is then not known and at its defaults.
    region: where images may change, see `vcebench.settings.regions`; none leaves it to the method.
    masks: folder of the masks that `region` names by their digest; where it is changes no image.
    prompts: what a latent network is told of the task's two classes, in place of the usual words.
    """

    method: str
    settings: dict[str, Setting] = Field(default_factory=dict)
    dataset: str
    task: str
    split: str = "test"
    limit: Annotated[int, Field(ge=1)]
    seed: int = Field(0, ge=0)
    batch_size: int = Field(16, ge=1)
    guidance: GuidanceConfig = GuidanceConfig()
    precision: Precision = "exact"
    image_format: Literal["png", "jpeg"] = "png"
    device: Literal["cpu", "cuda"] = "cpu"
    trace: int = Field(0, ge=0)
    skip_bad: bool = False
    custom: dict[str, Any] | None = None
    classifier: Explained = "task"
    shard: tuple[int, int] | None = None
    origin: Annotated[Imported | Plugin | None, Field(discriminator="kind")] = None
    region: str | None = None
    masks: str | None = None
    prompts: tuple[str, str] | None = None

    @field_validator("shard")
    @classmethod
    def _shard(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and not 0 <= value[0] < value[1]:
            raise ValueError("shards are counted from 0: use 0/8 … 7/8 for 8 of them")
        return value

    @field_validator("region")
    @classmethod
    def _region(cls, value: str | None) -> str | None:
        if value is not None:
            parse_region(value)
        return value

    def indices(self) -> range:
        """Positions in the split of the images to explain."""
        first, step = self.shard or (0, 1)
        return range(first, self.limit, step)

    def undivided(self) -> RunConfig:
        """The run a shard is a part of."""
        return self.model_copy(update={"shard": None})

    def digest(self) -> str:
        """SHA-256 of the configuration, without what changes no image."""
        # Fields that came later are left out where they say nothing, so that old runs keep theirs.
        unset = {"custom"} if self.custom is None else set()
        unset |= {"classifier"} if self.classifier == "task" else set()
        unset |= {"origin"} if self.origin is None else set()
        unset |= {"region"} if self.region is None else set()
        unset |= {"prompts"} if self.prompts is None else set()
        free = {"trace", "skip_bad", "shard", "masks"}
        content = self.model_dump(mode="json", exclude=free | unset)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def folder_name(self, seeds: int = 1) -> str:
        """Default name of the run folder: <dataset>-<task>-<method>-<hash>[-x<seeds>]."""
        method = self.method.replace(":", "-")
        name = f"{self.dataset}-{self.task}-{method}-{self.digest()[:8]}"
        return f"{name}-x{seeds}" if seeds > 1 else name


def build_config(**values: Any) -> RunConfig:
    """A `RunConfig`; raises `UserError` naming the first value that does not fit."""
    try:
        return RunConfig(**values)
    except ValidationError as error:
        raise UserError(_first(error)) from error


def build_guidance(**values: Any) -> GuidanceConfig:
    """A `GuidanceConfig`; raises `UserError` naming the first value that does not fit."""
    try:
        return GuidanceConfig(**values)
    except ValidationError as error:
        raise UserError(_first(error)) from error


def differences(stored: dict[str, Any], wanted: dict[str, Any], prefix: str = "") -> list[str]:
    """What two configurations disagree in, as "name: stored → wanted" lines."""
    lines = []
    for key in sorted(stored.keys() | wanted.keys()):
        before, after = stored.get(key), wanted.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            lines.append(f"{prefix}{key}: {before} → {after}")
    return lines


def _first(error: ValidationError) -> str:
    """The first complaint of a validation, as one line."""
    detail = error.errors()[0]
    name = ".".join(str(part) for part in detail["loc"]).replace("_", "-")
    message = detail["msg"].removeprefix("Value error, ")
    return f"{name} is {detail['input']!r}: {message}"
