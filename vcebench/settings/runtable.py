"""The [run] table of a task's file: every value checked for its type, with its key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)

from vcebench.errors import UserError
from vcebench.settings.config import GuidanceConfig, Precision, Setting
from vcebench.settings.custom import first_complaint
from vcebench.settings.parts import Number

_SETTING: TypeAdapter[Setting] = TypeAdapter(StrictBool | StrictInt | Number | StrictStr)


class RunTable(BaseModel):
    """What may stand under [run]; everything else is a setting of the method."""

    model_config = ConfigDict(frozen=True, extra="allow")

    method: StrictStr | None = None
    limit: Annotated[StrictInt, Field(ge=0)] | None = None
    batch_size: Annotated[StrictInt, Field(ge=1)] | None = None
    seed: Annotated[StrictInt, Field(ge=0)] | None = None
    precision: Precision | None = None
    image_format: Literal["png", "jpeg"] | None = None
    region: StrictStr | None = None
    lambda_class: tuple[Number, ...] | None = None
    lambda_perceptual: Number | None = None
    lambda_l1: Number | None = None
    use_logits: StrictBool | None = None
    class_factor: Number | None = None

    def named(self) -> dict[str, Any]:
        """What is there of the request's own values: name → value."""
        return self._given(set(type(self).model_fields) - set(GuidanceConfig.model_fields))

    def guidance(self) -> dict[str, Any]:
        """What is there of the weights of the loss."""
        return self._given(set(GuidanceConfig.model_fields))

    def settings(self) -> dict[str, Setting]:
        """Settings of the method."""
        return dict(self.model_extra or {})

    def _given(self, names: set[str]) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def run_table(content: dict[str, Any], path: Path) -> RunTable:
    """The [run] table of a file; raises UserError with the key of the first value that is wrong."""
    try:
        table = RunTable(**content)
    except ValidationError as error:
        raise UserError(f"{path}: run.{first_complaint(error)}") from error
    for name, value in table.settings().items():
        try:
            _SETTING.validate_python(value)
        except ValidationError:
            raise UserError(
                f"{path}: run.{name} is {value!r}; use a number, true, false or a word"
            ) from None
    return table
