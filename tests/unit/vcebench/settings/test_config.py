"""The configuration of a run and its hash."""

from __future__ import annotations

from typing import Any

import pytest

from vcebench.errors import UserError
from vcebench.settings.config import RunConfig, build_config, build_guidance, differences

BASE: dict[str, Any] = {
    "method": "maskdime",
    "settings": {"tau": 60},
    "dataset": "digits",
    "task": "3-8",
    "limit": 64,
}


def test_configuration_survives_json() -> None:
    config = build_config(**BASE)
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"tau": 61}},
        {"limit": 63},
        {"seed": 1},
        {"batch_size": 8},
        {"guidance": {"lambda_class": (8.0,)}},
        {"precision": "bf16"},
        {"image_format": "jpeg"},
        {"device": "cuda"},
    ],
)
def test_whatever_can_change_an_image_changes_the_hash(change: dict[str, Any]) -> None:
    assert build_config(**{**BASE, **change}).digest() != build_config(**BASE).digest()


def test_tracing_changes_no_image_and_no_hash() -> None:
    assert build_config(**BASE, trace=3).digest() == build_config(**BASE).digest()


def test_hash_is_the_same_on_every_machine() -> None:
    assert build_config(**BASE).digest()[:8] == "160d2b9d"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"limit": 0}, "limit is 0"),
        ({"batch_size": 0}, "batch-size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"precision": "double"}, "precision is 'double'"),
        ({"colour": "red"}, "colour is 'red'"),
    ],
)
def test_a_value_out_of_bounds_is_named_in_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        build_config(**{**BASE, **change})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("ladder", [(), (8.0, float("nan")), (-1.0,)])
def test_impossible_ladders_are_refused(ladder: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match="lambda-class"):
        build_guidance(lambda_class=ladder)


def test_differences_name_the_nested_value() -> None:
    stored = build_config(**BASE).model_dump()
    wanted = build_config(**{**BASE, "settings": {"tau": 30}, "seed": 2}).model_dump()
    assert differences(stored, wanted) == ["seed: 0 → 2", "settings.tau: 60 → 30"]
