"""Settings per data set and task: those printed in the papers, and those of the embedded sets.

Printed values: MaskDiME (Guo et al., CVPR 2026), Section 4.1 and supplement A.2. The published code
of the ImageNet tasks takes the class gradient with respect to the [0, 1] image and so doubles it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

from vcebench.settings.config import GuidanceConfig, Setting
from vcebench.settings.method_presets import METHOD_PRESETS, MethodPreset


@dataclass(frozen=True)
class Preset:
    """Settings of one data set, or of one of its tasks.

    Attributes:
        dataset: id of the data set.
        source: where the values come from.
        guidance_scale, top_k, rho: s, k and ρ of MaskDiME.
        task: task they hold for; None holds for all others.
        tau: steps of the reverse loop.
        steps, respacing: T, the chain the prior was trained on, and N, the steps kept of it.
        batch_size: images in a batch.
        limit: images explained unless told otherwise; None means all.
        class_factor: factor on the class gradient.
    """

    dataset: str
    source: str
    guidance_scale: float
    top_k: float
    rho: float
    task: str | None = None
    tau: int = 60
    steps: int = 500
    respacing: int = 200
    batch_size: int = 25
    limit: int | None = None
    class_factor: float = 1.0

    def settings(self) -> dict[str, Setting]:
        """Values for those settings of a method that have these names."""
        return {name: getattr(self, name) for name in ("tau", "guidance_scale", "top_k", "rho")}


_PAPER = "MaskDiME, Section 4.1 and supplement A.2"
_TUNED = "tuned on val by this package"

PRESETS: tuple[Preset, ...] = (
    Preset("celeba", _PAPER, 8.0, 0.05, 0.5, task="smile", batch_size=50),
    Preset("celeba", _PAPER, 8.0, 0.10, 0.5, batch_size=50),
    Preset("celebahq", _PAPER, 10.0, 0.05, 0.25, task="smile"),
    Preset("celebahq", _PAPER, 10.0, 0.10, 0.25),
    Preset("bdd100k", _PAPER, 14.0, 0.10, 0.5, steps=1000),
    Preset("bddoia", _PAPER, 14.0, 0.10, 0.5, steps=1000),
    Preset("imagenet", _PAPER, 6.5, 0.10, 0.5, steps=1000, class_factor=2.0),
    Preset("digits", _TUNED, 5.0, 0.10, 0.5, batch_size=16, limit=64),
    Preset("digits", _TUNED, 4.0, 0.10, 0.5, task="4-9", batch_size=16, limit=64),
    Preset("digits", _TUNED, 6.5, 0.10, 0.5, task="1-7", batch_size=16, limit=64),
    *(
        Preset("synthfaces", _TUNED, 8.0, 0.05, 0.5, task=task, batch_size=16, limit=64)
        for task in ("smile", "smile-plain", "smile-robust")
    ),
    *(
        # Smile's values; a hat, or two causes at once, need a larger mask for decisions to turn.
        Preset("synthfaces", _TUNED, 8.0, top_k, 0.5, task=task, batch_size=16, limit=64)
        for task, top_k in (
            ("smile-shortcut-hat", 0.10),
            ("smile-shortcut-patch", 0.05),
            ("smile-shortcut-eyeglasses", 0.05),
            ("smile-mixture-eyeglasses", 0.10),
        )
    ),
    Preset("synthfaces", _TUNED, 8.0, 0.10, 0.5, batch_size=16, limit=64),
    # s, k and ρ as printed for BDD100K; tuned on val is the guidance unit, which s multiplies.
    Preset("synthroads", "as bdd100k's", 14.0, 0.10, 0.5, batch_size=16, limit=64),
)


def preset(dataset: str, task: str) -> Preset:
    """The preset of a task, or of its data set, or the paper's smile values where there is none."""
    for wanted in (task, None):
        for entry in PRESETS:
            if entry.dataset == dataset and entry.task == wanted:
                return entry
    return Preset(dataset, "CelebA smile, for want of a preset", 8.0, 0.05, 0.5, batch_size=16)


def region_cell(dataset: str, size: tuple[int, int]) -> int:
    """Side of a region's cells, in pixels: about a sixteenth of the shorter side, at least 4.

    Of what divides both sides, the nearest.
    """
    if dataset == "synthroads":
        return 8
    wanted, common = max(4, min(size) // 16), math.gcd(*size)
    sides = (side for side in range(1, common + 1) if common % side == 0)
    return min(sides, key=lambda side: abs(side - wanted))


def rows() -> Iterator[dict[str, object]]:
    """All presets as table rows: those of data sets, which hold for all methods, then methods'."""
    weights = GuidanceConfig()
    shared = {
        "lambda_class": ", ".join(f"{rung:g}" for rung in weights.lambda_class),
        "lambda_perceptual": weights.lambda_perceptual,
        "lambda_l1": weights.lambda_l1,
    }
    for entry in PRESETS:
        facts = {field.name: getattr(entry, field.name) for field in fields(entry)}
        settings = entry.settings()
        free = {name: value for name, value in facts.items() if name not in settings}
        yield {**_row("(all)", entry, settings), **free, "task": entry.task or OTHERS, **shared}
    for own in METHOD_PRESETS:
        yield _row(own.method, own, own.settings)


OTHERS = "(others)"


def _row(
    method: str, entry: Preset | MethodPreset, settings: Mapping[str, Setting]
) -> dict[str, object]:
    return {
        "method": method,
        "dataset": entry.dataset,
        "task": entry.task or OTHERS,
        "settings": dict(settings),
        "batch_size": entry.batch_size,
        "source": entry.source,
    }
