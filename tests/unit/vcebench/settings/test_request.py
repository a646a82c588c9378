"""From what was asked for to a configuration: presets, overrides, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from vcebench.data.registry import open_dataset
from vcebench.errors import UserError
from vcebench.settings.presets import PRESETS, preset
from vcebench.settings.request import Request, method_of, resolve


def ask(**values: Any) -> Any:
    config, _ = resolve(Request(**{"method": "maskdime", "dataset": "digits", **values}))
    return config


def test_defaults_come_from_the_preset() -> None:
    chosen = preset("digits", "3-8")
    config = ask()
    assert config.settings["guidance_scale"] == chosen.guidance_scale
    assert (config.task, config.limit, config.batch_size) == ("3-8", 64, chosen.batch_size)


def test_own_settings_win() -> None:
    assert ask(settings={"top_k": 0.2}).settings["top_k"] == 0.2


def test_a_preset_leaves_methods_without_its_settings_alone() -> None:
    assert ask(method="dime").settings == {"tau": 60, "inner_noise": True}


def test_a_preset_does_not_undo_an_ablation() -> None:
    assert ask(method="maskdime-rho1").settings["rho"] == 1.0


def test_configuration_rebuilds_its_method() -> None:
    config = ask(method="maskdime-k0.1", settings={"tau": 7})
    assert method_of(config).settings() == config.settings


def test_limit_zero_means_all_and_larger_ones_are_cut() -> None:
    assert ask(limit=0).limit == ask(limit=10**6).limit == 100


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "mskdime"}, "did you mean 'maskdime'"),
        ({"dataset": "digts"}, "digits"),
        ({"task": "3-9"}, "3-8"),
        ({"split": "tset"}, "test"),
        ({"settings": {"top_k": 1.5}}, r"top-k is 1.5; use a number in \(0, 1\]"),
        ({"settings": {"rho": 0.0}}, "rho is 0.0"),
        ({"settings": {"warm_up": 3}}, "no setting 'warm_up'"),
        ({"method": "maskdime-rho1", "settings": {"rho": 0.5}}, "by definition"),
        ({"method": "dime", "settings": {"top_k": 0.1}}, "it has tau, inner_noise"),
        ({"limit": -1}, "limit"),
        ({"device": "tpu"}, "use auto, cpu or cuda"),
    ],
)
def test_refusals_say_what_to_do_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        ask(**values)
    assert "\n" not in str(error.value)


def test_presets_are_the_printed_ones() -> None:
    printed = {
        (p.dataset, p.task): (p.guidance_scale, p.top_k, p.rho, p.batch_size) for p in PRESETS
    }
    assert printed["celeba", "smile"] == (8.0, 0.05, 0.5, 50)
    assert printed["celebahq", None] == (10.0, 0.10, 0.25, 25)
    assert printed["bdd100k", None] == (14.0, 0.10, 0.5, 25)
    assert printed["imagenet", None] == (6.5, 0.10, 0.5, 25)


def test_a_methods_preset_wins_over_the_data_sets() -> None:
    config, _ = resolve(Request("ace-l1-pre", "digits"))
    assert config.settings["iterations"] == 30
    assert config.settings["step"] == 8 / 255
    assert "tau" not in config.settings
    asked, _ = resolve(Request("ace-l1", "digits", settings={"iterations": 7}))
    assert (asked.settings["iterations"], asked.settings["dilation"]) == (7, 3)


def test_weights_that_a_method_does_not_read_are_refused() -> None:
    with pytest.raises(UserError, match="ace-l1 does not read lambda-class; leave it away"):
        resolve(Request("ace-l1", "digits", guidance={"lambda_class": (8.0,)}))
    resolve(Request("pgd", "digits", guidance={"lambda_l1": 0.1}))


@pytest.mark.parametrize("dataset", ["digits", "synthfaces", "synthroads"])
def test_presets_of_rcsb_keep_the_published_ratio_and_the_length_of_a_step(dataset: str) -> None:
    """A:B:C = 2:1:1; Adam alone has no norm of the whole image to be divided by."""
    images = open_dataset(dataset)
    height, width = images.size
    a, b, c, norm, adam = (
        ask(method=f"rcsb-{name}", dataset=dataset).settings
        for name in ("a", "b", "c", "step-adaptive-norm", "step-adam")
    )
    assert (a["scale"], norm["scale"]) == (2 * c["scale"], c["scale"])
    assert b["scale"] == c["scale"]
    assert adam["scale"] == pytest.approx(norm["scale"] / (3 * height * width) ** 0.5, rel=0.02)
    assert {s["moves"] for s in (a, b, c, norm, adam)} == {25}
    assert norm["truncation"] == adam["truncation"] == 1.0
    for name in ("rcsb-truth", "rcsb-freeform-10-20", "rcsb-step-truncation"):
        if name != "rcsb-truth" or dataset != "digits":
            assert ask(method=name, dataset=dataset).settings == c


@pytest.mark.parametrize("alias", ["rcsb", "rcsb-step-truncation"])
def test_an_alias_runs_under_the_one_id(alias: str) -> None:
    assert ask(method=alias) == ask(method="rcsb-c")
