"""The plain arguments of `vcebench.explain`, checked for their types and bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from vcebench.errors import UserError
from vcebench.settings.config import Precision
from vcebench.settings.custom import first_complaint
from vcebench.settings.parts import Meaning, Number

Count = Annotated[StrictInt, Field(ge=1)]
Unit = Annotated[Number, Field(gt=0)]


class _Arguments(BaseModel):
    """See `vcebench.explain`."""

    model_config = ConfigDict(extra="forbid")

    method: StrictStr
    lambda_class: Sequence[Number]
    lambda_perceptual: Number | None
    lambda_l1: Number
    use_logits: StrictBool
    class_unit: Unit
    perceptual_unit: Unit
    seed: Annotated[StrictInt, Field(ge=0)]
    batch_size: Count
    threads: Count | None
    precision: Precision
    outputs: Meaning | None
    ids: Sequence[StrictStr] | None
    value_range: tuple[Number, Number] | None


def check_arguments(**values: Any) -> None:
    """Refuse the first argument that is of another type or out of its bounds; raises UserError."""
    try:
        _Arguments(**values)
    except ValidationError as error:
        raise UserError(first_complaint(error)) from error
