"""Estimates of a run: they follow the plan, and leave everything as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vcebench.data.digits import Digits
from vcebench.errors import UserError
from vcebench.folders.runfolder import RunFolder
from vcebench.methods.core.bridge import Bridge, BridgePrior
from vcebench.models.bundle import Bundle
from vcebench.running.dryrun import TIMED, WARM_UP, estimate, plan_rows
from vcebench.settings.request import Request, resolve


def configured(**asked: Any) -> tuple[Any, Any]:
    return resolve(Request(**{"method": "maskdime", "dataset": "digits", "limit": 10, **asked}))


def counted(bundle: Bundle) -> list[int]:
    """Fills with the batch size of every evaluation of the prior."""
    seen: list[int] = []
    bundle.prior.network.register_forward_hook(lambda _, inputs, out: seen.append(len(out)))
    return seen


@pytest.mark.parametrize(("method", "evaluations"), [("maskdime", 30), ("dime", 465)])
def test_a_warm_up_is_a_small_part_of_a_try(bundle: Bundle, method: str, evaluations: int) -> None:
    seen = counted(bundle)
    found = estimate(
        *configured(method=method, batch_size=4, settings={"tau": 30}), bundle, threads=2
    )
    assert (found.evaluations, found.batches, found.tries) == (evaluations, 3, 3)
    assert (WARM_UP + TIMED) * 2 <= len(seen) < 2 * evaluations
    once, always = found.seconds
    assert 0 < once == pytest.approx(found.seconds_per_batch * 3)
    assert always == pytest.approx(3 * once)


def test_the_cost_of_an_attack_is_told_before_it_is_run(bundle: Bundle, tmp_path: Path) -> None:
    seen = counted(bundle)
    config, images = configured(method="ace-l1", batch_size=4)
    rows = plan_rows(config, images, bundle, tmp_path / "run", threads=1)
    shown = {row["what"]: row["value"] for row in rows}
    steps = config.settings["iterations"]
    assert shown["prior evaluations"] == (
        f"{5 * (steps + 1)} an image and try, {5 * steps} of them differentiated"
    )
    assert shown["tries"] == "one an image"
    assert shown["batches"] == "3 of 4"
    assert "if every image" not in shown["time"]
    # The filter's evaluations are made again for their gradient, and are not counted twice.
    assert len(seen) < 5 * steps


def test_a_try_shorter_than_the_warm_up_is_timed_as_a_whole(bundle: Bundle) -> None:
    seen = counted(bundle)
    found = estimate(*configured(settings={"tau": 3}, batch_size=5), bundle, threads=1)
    assert len(seen) == found.evaluations == 3
    assert found.seconds_per_batch > 0


def test_it_leaves_threads_and_network_alone(bundle: Bundle) -> None:
    threads, hooks = torch.get_num_threads(), len(bundle.prior.network._forward_hooks)
    estimate(*configured(), bundle, threads=1)
    assert torch.get_num_threads() == threads
    assert len(bundle.prior.network._forward_hooks) == hooks


def test_images_that_are_there_are_not_counted_again(
    bundle: Bundle, tiny_run: Callable[..., RunFolder]
) -> None:
    folder = tiny_run(limit=6)
    config = folder.config()
    rows = plan_rows(config, Digits(*_task_and_split(config)), bundle, folder.path)
    shown = {row["what"]: row["value"] for row in rows}
    assert shown["images"] == "0 to explain, 6 there already"
    assert shown["time"].startswith("0 s if")


def test_another_configuration_in_the_folder_is_refused(
    bundle: Bundle, tiny_run: Callable[..., RunFolder], tmp_path: Path
) -> None:
    folder = tiny_run(limit=6)
    config = folder.config().model_copy(update={"seed": 5})
    images = Digits(*_task_and_split(config))
    with pytest.raises(UserError, match="seed: 0 → 5"):
        plan_rows(config, images, bundle, folder.path)
    plan_rows(config, images, bundle, tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


def _task_and_split(config: Any) -> tuple[Any, str]:
    from vcebench.jobs.session import task_of

    return task_of(config), config.split


@pytest.mark.parametrize(
    ("method", "scale", "shown"), [("rcsb-c", 6.0, "0.108"), ("rcsb-a", 3.0, "0.0541")]
)
def test_the_scale_of_rcsb_is_said_for_a_pixel_too(
    bundle: Bundle, tmp_path: Path, method: str, scale: float, shown: str
) -> None:
    """6/√(3·32·32) = 0.108."""
    config, images = configured(method=method, settings={"scale": scale, "moves": 2}, limit=2)
    bridge = BridgePrior(_Still(), Bridge(500))
    rows = plan_rows(config, images, replace(bundle, prior=bridge), tmp_path / "run")
    settings = next(row["value"] for row in rows if row["what"] == "settings")
    assert settings.endswith(f"; s/√(3HW) {shown}")


class _Still(nn.Module):
    def forward(self, z: Tensor, level: Tensor) -> Tensor:
        return 0.1 * z
