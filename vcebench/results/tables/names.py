"""What ids are called in print, and how figures are written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from vcebench.methods.registry import METHODS as REGISTRY
from vcebench.metrics.registry import METRICS
from vcebench.settings.origin import published_name

METHODS: dict[str, str] = {
    "xgem-plus": "xGEM+",
    "pe": "PE",
    "dive": "DiVE",
    "dive-100": "DiVE-100",
    "dive-fisher": "DiVE (Spectral Fisher)",
    "dive-fisher-inv": "DiVE (Spectral Fisher, inverse)",
    "steex": "STEEX",
    "dime": "DiME",
    "dime-deterministic": "DiME (noise-free inner chain)",
    "dime-direct": "DiME, direct",
    "dime-naive": "DiME, naive",
    "dime-early-stopping": "DiME, early stopping",
    "dime-unconditional": "DiME, unconditional",
    "ace": "ACE",
    "ace-l1": "ACE ℓ1",
    "ace-l2": "ACE ℓ2",
    "ace-l1-pre": "ACE ℓ1, pre-explanation",
    "ace-l2-pre": "ACE ℓ2, pre-explanation",
    "ace-l1-gd": "ACE ℓ1, gradient descent",
    "ace-l1-cw": "ACE ℓ1, C&W",
    "ace-l1-pixel": "ACE ℓ1, no filter",
    "ace-l1-no-inpainting": "ACE ℓ1, no inpainting",
    "ace-filter": "ACE, filter alone",
    "fastdime": "FastDiME",
    "fastdime-2": "FastDiME-2",
    "fastdime-2plus": "FastDiME-2+",
    "ldce-cls": "LDCE-cls",
    "ldce-txt": "LDCE-txt",
    "ldce-txt-free": "LDCE-txt, words alone",
    "ldce-no-consensus": "LDCE-txt, no consensus",
    "ldce-no-distance": "LDCE-txt, no distance",
    "ldce-no-backprop": "LDCE-txt, through the decoder alone",
    "ldce-cone": "LDCE-txt, cone",
    "time": "TiME",
    "time-released": "TiME (released code)",
    "time-naive": "TiME, from noise",
    "latent-identity": "latent autoencoder alone",
    "latent-identity-cls": "latent autoencoder alone (of LDCE-cls)",
    "dvce": "DVCE",
    "dvce-no-cone": "DVCE, no cone",
    "dvce-cone-projection": "DVCE, projected cone",
    "dvce-distance-direct": "DVCE, direct distance",
    "svce": "SVCE",
    "rcsb": "RCSB",
    "rcsb-a": "RCSB (A)",
    "rcsb-b": "RCSB (B)",
    "rcsb-c": "RCSB (C)",
    "rcsb-released": "RCSB (released code)",
    "rcsb-step-naive": "RCSB, naive step",
    "rcsb-step-tweedie": "RCSB, step through the estimate",
    "rcsb-step-adam": "RCSB, step by Adam",
    "rcsb-step-adaptive-norm": "RCSB, normalised step",
    "rcsb-truth": "RCSB, true regions",
    "inpaint": "bridge without guidance",
    "rcsb-langsam": "RCSB, LangSAM regions",
    "rcsb-freeform-10-20": "RCSB, free-form regions, 10–20 %",
    "rcsb-freeform-20-30": "RCSB, free-form regions, 20–30 %",
    "repaint": "RePaint",
    "mcg": "MCG",
    "ddrm": "DDRM",
    "eced": "ECED",
    "eced-v": "ECED-v",
    "eced-r": "ECED-r",
    "eced-no-prune": "ECED-v, gradient everywhere",
    "eced-no-tuning": "ECED-v, decoder as it is",
    "maskdime": "MaskDiME",
    "maskdime-released": "MaskDiME (released code)",
    "maskdime-rho1": "MaskDiME, ρ = 1",
    "maskdime-k0.025": "MaskDiME, k = 0.025",
    "maskdime-k0.1": "MaskDiME, k = 0.1",
    "maskdime-wo-s": "MaskDiME w/o s",
    "maskdime-wo-mask": "MaskDiME w/o mask",
    "no-mask-s1": "no mask, s = 1",
    "no-mask-s8": "no mask, s = 8",
    "fixed-mask": "fixed mask",
    "pgd": "PGD",
}

DATASETS: dict[str, str] = {
    "celeba": "CelebA",
    "celebahq": "CelebA-HQ",
    "bdd100k": "BDD100K",
    "bddoia": "BDD-OIA",
    "imagenet": "ImageNet",
}

TASKS: dict[str, str] = {
    "smile": "Smile",
    "age": "Age",
    "forward-slowdown": "Forward / Slow down",
    "sorrel-zebra": "Sorrel – Zebra",
    "persian-egyptian": "Persian – Egyptian",
    "cougar-cheetah": "Cougar – Cheetah",
}


FAMILIES: dict[str, str] = {
    **dict.fromkeys(("dime", "fastdime", "maskdime"), "guided denoising (DiME's)"),
    "dvce": "gradients through the prior (DVCE)",
    "ace": "attack through a denoiser (ACE)",
    "rcsb": "inpainting bridge (RCSB)",
    **dict.fromkeys(("dive", "steex"), "codes of an autoencoder"),
    **dict.fromkeys(("ldce", "edict", "eced", "identity"), "latent diffusion"),
    "svce": "sparse steps in pixels (SVCE)",
    "pgd": "adversarial attack (PGD)",
}
"""Module of a method's class → what methods of that kind are called together."""


def family(method: str) -> str:
    """The family of a registered method; its own id where none is known."""
    factory = REGISTRY[method].factory
    return FAMILIES.get(factory.__module__.rpartition(".")[2], method)


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        metric: id in the metric registry, or one of `EXTRA`.
        printed: id in the published files.
        title: heading, without arrow.
        digits: decimals of measured figures; published ones stay as printed.
        better: "higher", "lower", or None for columns without a best.
        factor: what measured figures are multiplied by, for the papers' unit.
    """

    metric: str
    printed: str
    title: str
    digits: int
    better: Literal["higher", "lower"] | None
    factor: float = 1.0

    @property
    def heading(self) -> str:
        """Title with the arrow of the better direction."""
        arrow = {"higher": " ↑", "lower": " ↓", None: ""}[self.better]
        return self.title + arrow


PRINTED = {
    "time": "total_time_s",
    "peak_memory": "peak_memory_mb",
    "l15_norm": "l15",
    "l1_norm": "l1",
    "l2_norm": "l2",
}
"""Registry id → id in the published files, where they differ (ECED's l1 is a norm, DiME's not)."""

EXTRA: dict[str, tuple[str, Literal["higher", "lower"] | None]] = {
    "complexity": ("Complexity", None),
    "fid_plus": ("FID+", "lower"),
    "background_loss": ("Background loss", None),  # of three parts of one experiment
    "seconds_per_image": ("Seconds per image", "lower"),
    "nfe_per_try": ("NFE per try", "lower"),
    "backward_per_image": ("Backward", "lower"),
}
_DIGITS = {"fva": 1, "fr": 1, "fr_top1": 1, "oracle_fr": 1, "time": 1, "peak_memory": 0, "nfe": 0}
_DIGITS |= {"l1": 4, "l1_norm": 1, "l15_norm": 2, "l2_norm": 2, "sigma_l": 4, "kid": 4}
_DIGITS |= {"gt_l1": 4, "off_target": 4, "background_loss": 4, "s3": 3}


def column(metric: str) -> Column:
    """The column of a metric; direction and title are the registry's."""
    digits = _DIGITS.get(metric, 2)
    if metric in EXTRA:
        title, better = EXTRA[metric]
        return Column(metric, metric, title, digits, better)
    info = METRICS[metric]
    if metric == "peak_memory":
        title, megabytes = f"{info.title} (MB)", 2**20 / 10**6
        return Column(metric, PRINTED[metric], title, digits, info.better, megabytes)
    title = f"{info.title} ({info.unit})" if info.unit and info.unit != "%" else info.title
    return Column(metric, PRINTED.get(metric, metric), title, digits, info.better)


def method_name(id: str) -> str:
    """How a method is called; its id if it has no other name."""
    name = published_name(id)
    return METHODS.get(name, name)


def dataset_name(id: str) -> str:
    """How a data set is called; its id if it has no other name."""
    return DATASETS.get(id, id)


def task_name(id: str) -> str:
    """How a task is called; its id if it has no other name."""
    return TASKS.get(id, id)


def figure_text(metric: str, value: float, digits: int) -> str:
    """A measured figure as printed.

    >>> figure_text("fid", 0.7149, 2), figure_text("complexity", 1.976, 2)
    ('0.71', 'O(T^2)')
    """
    return power_text(value) if metric == "complexity" else f"{value:.{digits}f}"


def enough_digits(column: Column, values: Iterable[float]) -> int:
    """Decimals that show two digits of the smallest set distance; features differ in scale.

    >>> enough_digits(column("fid"), [0.0123, 4.5]), enough_digits(column("fr"), [0.0123])
    (3, 1)
    """
    if column.metric not in ("fid", "sfid", "kid"):
        return column.digits
    sizes = [abs(value) for value in values if value]
    wanted = 1 - math.floor(math.log10(min(sizes))) if sizes else 0
    return max(column.digits, min(wanted, 6))


def power_text(power: float) -> str:
    """A power of τ as a complexity; within a quarter of a whole number it is that number.

    >>> power_text(1.02), power_text(1.98), power_text(1.5)
    ('O(T)', 'O(T^2)', 'O(T^1.5)')
    """
    whole = round(power)
    if abs(power - whole) > 0.25:
        return f"O(T^{power:.1f})"
    return "O(T)" if whole == 1 else f"O(T^{whole})"
