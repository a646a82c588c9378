"""The metrics of the protocol: id -> definition. Importing this does not import torch."""

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from vcebench.metrics.info import MetricInfo, Reference
from vcebench.metrics.outside import OutsideMetric

__all__ = ["METRICS", "OUTSIDE", "MetricError", "MetricInfo", "Reference", "metric", "register"]


class MetricError(ValueError):
    """Unknown metric id; the message names the nearest ones."""


ACE = "Adversarial Counterfactual Visual Explanations (Jeanneret et al., 2023)"
DIME = "Diffusion Models for Counterfactual Explanations (Jeanneret et al., 2022)"
ECED = (
    "From Visual Explanations to Counterfactual Explanations with Latent Diffusion "
    "(Luu et al., 2025)"
)
MASKDIME = (
    "MaskDiME: Adaptive Masked Diffusion for Precise and Efficient Visual Counterfactual "
    "Explanations (Guo et al., 2026)"
)
OWN = "vcebench"
INFINITY = math.inf


def _norm(id: str, order: str) -> MetricInfo:
    return MetricInfo(
        id=id,
        title=f"ℓ{order} norm",
        better="lower",
        range=(0, INFINITY),
        population="flipped",
        reference=Reference(ECED, f"mean ‖x - x_cf‖_{order} on [0, 1]"),
        summary=f"ℓ{order} norm of the difference vector of an image, averaged.",
    )


_ENTRIES = (
    MetricInfo(
        id="fr",
        title="FR",
        better="higher",
        range=(0, 100),
        population="all",
        backbone="classifier",
        unit="%",
        reference=Reference(DIME, "mean of [logit of target > logit of source]"),
        summary="Share of stored counterfactuals that the classifier assigns to the target.",
        scale=100.0,
    ),
    MetricInfo(
        id="fr_top1",
        title="FR (top 1)",
        better="higher",
        range=(0, 100),
        population="all",
        backbone="classifier",
        unit="%",
        reference=Reference(OWN, "mean of [arg max over all classes = target]"),
        summary="Flip rate of pair tasks where the target must win among all classes.",
        scale=100.0,
    ),
    MetricInfo(
        id="oracle_fr",
        title="Oracle FR",
        better="higher",
        range=(0, 100),
        population="all",
        backbone="oracle",
        unit="%",
        reference=Reference(OWN, "mean of [prediction of the oracle = target]"),
        summary="Share in which an independent network sees the target too.",
        scale=100.0,
    ),
    MetricInfo(
        id="fid",
        title="FID",
        better="lower",
        range=(0, INFINITY),
        population="flipped",
        backbone="features",
        interval=None,
        reference=Reference(
            "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium "
            "(Heusel et al., 2017), Eq. 6",
            "‖μ₁-μ₂‖² + tr(Σ₁ + Σ₂ - 2√(Σ₁Σ₂))",
        ),
        summary="Fréchet distance between the features of originals and counterfactuals.",
    ),
    MetricInfo(
        id="sfid",
        title="sFID (split)",
        better="lower",
        range=(0, INFINITY),
        population="flipped",
        backbone="features",
        interval="halvings",
        reference=Reference(ACE, "mean over halvings of (FID(A, B_cf) + FID(B, A_cf))/2"),
        summary="FID between halves of the data, so that no image meets its own counterfactual.",
    ),
    MetricInfo(
        id="kid",
        title="KID",
        better="lower",
        range=(-INFINITY, INFINITY),
        population="flipped",
        backbone="features",
        interval=None,
        reference=Reference(
            "Demystifying MMD GANs (Bińkowski et al., 2018)",
            "unbiased MMD² with k(x, y) = (x·y/d + 1)³",
        ),
        summary="Kernel distance between feature sets, unbiased in n: for small sets.",
    ),
    MetricInfo(
        id="fva",
        title="FVA",
        better="higher",
        range=(0, 100),
        population="flipped",
        backbone="identity",
        unit="%",
        reference=Reference(
            "VGGFace2: A Dataset for Recognising Faces across Pose and Age (Cao et al., 2018)",
            "mean of [cosine > 0.5]",
        ),
        summary="Share of counterfactuals that a face verifier takes for the same person.",
        scale=100.0,
    ),
    MetricInfo(
        id="fs",
        title="FS",
        better="higher",
        range=(-1, 1),
        population="flipped",
        backbone="identity",
        reference=Reference(ACE, "mean cosine of identity embeddings"),
        summary="Face similarity: mean cosine of identity embeddings.",
    ),
    MetricInfo(
        id="mnac",
        title="MNAC",
        better="lower",
        range=(0, INFINITY),
        population="flipped",
        backbone="oracle",
        reference=Reference(
            "Beyond Trivial Counterfactual Explanations with Diverse Valuable Explanations "
            "(Rodríguez et al., 2021)",
            "mean over images of Σ_a [(p_a > 0.5) ≠ (p_a of x_cf > 0.5)]",
        ),
        summary="Mean number of attributes changed, by the oracle's predictions.",
    ),
    MetricInfo(
        id="cd",
        title="CD",
        better="lower",
        range=(0, INFINITY),
        population="flipped",
        backbone="oracle",
        reference=Reference(DIME, "Σ_a |c_qa - c^M_qa|"),
        summary="Correlation difference: label correlations against those of the changes.",
    ),
    MetricInfo(
        id="cout",
        title="COUT",
        better="higher",
        range=(-1.02, 1.02),  # the published weights sum to at most 1 + 1/50
        population="correct",
        backbone="classifier",
        reference=Reference(
            "Cycle-Consistent Counterfactuals by Latent Transformations (Khorram and Fuxin, 2022)",
            "AUC of p(target) - AUC of p(source) along the transition",
        ),
        summary="How early the decision turns while the most changed pixels are inserted first.",
    ),
    MetricInfo(
        id="s3",
        title="S3",
        better="higher",
        range=(-1, 1),
        population="correct",
        backbone="representation",
        reference=Reference(ACE, "mean cosine of self-supervised representations"),
        summary="Mean cosine of self-supervised representations of x and x_cf.",
    ),
    MetricInfo(
        id="sigma_l",
        title="σ_L",
        better="higher",
        range=(0, INFINITY),
        population="all",
        backbone="perceptual",
        reference=Reference(DIME, "mean over images of 2/(n(n-1)) Σ_{i<j} LPIPS(x_i, x_j), n = 5"),
        summary="Diversity: mean perceptual distance over the 10 pairs of 5 seeds.",
    ),
    MetricInfo(
        id="l1",
        title="ℓ1",
        better="lower",
        range=(0, 1),
        population="flipped",
        reference=Reference(DIME, "mean |x - x_cf| on [0, 1]"),
        summary="Mean absolute pixel difference on [0, 1].",
    ),
    _norm("l1_norm", "1"),
    _norm("l15_norm", "1.5"),
    _norm("l2_norm", "2"),
    MetricInfo(
        id="gt_iou",
        title="GT IoU",
        better="higher",
        range=(0, 1),
        population="correct and flipped",
        reference=Reference(OWN, "mean |edited ∩ true| / |edited ∪ true|"),
        summary="Overlap of the edited region with the true one.",
    ),
    MetricInfo(
        id="gt_precision",
        title="GT precision",
        better="higher",
        range=(0, 1),
        population="correct and flipped",
        reference=Reference(OWN, "mean Σ_{true region} |x - x_cf| / Σ |x - x_cf|"),
        summary="Share of the edit that lies inside the true region.",
    ),
    MetricInfo(
        id="gt_l1",
        title="GT ℓ1",
        better="lower",
        range=(0, 1),
        population="correct and flipped",
        reference=Reference(OWN, "mean |x_cf - true counterfactual| on [0, 1]"),
        summary="Mean absolute difference to the true counterfactual.",
    ),
    MetricInfo(
        id="off_target",
        title="Off target",
        better="lower",
        range=(0, 1),
        population="correct and flipped",
        reference=Reference(OWN, "mean |x - x_cf| outside the true region, on [0, 1]"),
        summary="Mean absolute change outside the true region.",
    ),
    MetricInfo(
        id="cue_recall",
        title="Cue recall",
        better="higher",
        range=(0, 100),
        population="flipped",
        backbone="oracle",
        unit="%",
        reference=Reference(OWN, "mean of [(p_cue > 0.5) ≠ (p_cue of x_cf > 0.5)]"),
        summary="Share of counterfactuals in which the planted cue came or went, by the oracle.",
        scale=100.0,
    ),
    MetricInfo(
        id="cue_precision",
        title="Cue precision",
        better="higher",
        range=(0, 1),
        population="flipped",
        reference=Reference(OWN, "mean Σ_{region of the cue} |x - x_cf| / Σ |x - x_cf|"),
        summary="Share of the edit that lies inside the region of the planted cue.",
    ),
    MetricInfo(
        id="share_agreement",
        title="Share agreement",
        better="higher",
        range=(0, 1),
        population="flipped",
        reference=Reference(
            OWN, "mean 1 - |a_cue/(a_cue + a_label) - c|/max(c, 1 - c), a = ⟨x_cf-x, t-x⟩/‖t-x‖²"
        ),
        summary="Agreement of the cue's share in the edit with its known share in the decision.",
    ),
    MetricInfo(
        id="outside_change",
        title="Outside change",
        better="lower",
        range=(0, 1),
        population="all",
        reference=Reference(OWN, "mean of max |x - x_cf| outside the region, on [0, 1]"),
        summary="Largest change outside the region that an explanation had to keep to.",
    ),
    MetricInfo(
        id="region_area",
        title="Region area",
        better="lower",
        range=(0, 1),
        population="all",
        reference=Reference(OWN, "mean |region| / (H·W)"),
        summary="Share of the image that an explanation was allowed to change.",
    ),
    MetricInfo(
        id="region_iou",
        title="Region IoU",
        better="higher",
        range=(0, 1),
        population="correct",
        reference=Reference(OWN, "mean |region ∩ true| / |region ∪ true|"),
        summary="Overlap of the region with what the true counterfactual changes.",
    ),
    MetricInfo(
        id="nfe",
        title="NFE",
        better="lower",
        range=(0, INFINITY),
        population="all",
        reference=Reference(OWN, "mean number of prior evaluations, retries counted"),
        summary="Prior evaluations per image, retries counted.",
    ),
    MetricInfo(
        id="time",
        title="Total time",
        better="lower",
        range=(0, INFINITY),
        population="all",
        interval=None,
        unit="s",
        reference=Reference(MASKDIME, "wall seconds of the whole run"),
        summary="Wall seconds for all images.",
    ),
    MetricInfo(
        id="peak_memory",
        title="Peak memory",
        better="lower",
        range=(0, INFINITY),
        population="all",
        interval=None,
        unit="MiB",
        reference=Reference(MASKDIME, "largest memory allocated at a time"),
        summary="Peak memory of the accelerator, or resident memory on a CPU.",
    ),
)

_known: dict[str, MetricInfo] = {entry.id: entry for entry in _ENTRIES}
METRICS: Mapping[str, MetricInfo] = MappingProxyType(_known)
"""Those of the protocol, and after them those of plug-ins as far as they are loaded."""

_outside: dict[str, OutsideMetric] = {}
OUTSIDE: Mapping[str, OutsideMetric] = MappingProxyType(_outside)
"""The metrics of plug-ins that are loaded."""

_ID = re.compile(r"[a-z][a-z0-9_]{0,39}")


def register(metric: OutsideMetric) -> None:
    """Make a metric from outside known to this process.

    Raises MetricError: its id is taken, or none.
    """
    id = metric.info.id
    if not _ID.fullmatch(id):
        raise MetricError(f"{id!r} is no id of a metric; use small letters, digits and underscore")
    if id in _known and id not in _outside:
        raise MetricError(f"{id} is a metric of this package; give yours another id")
    _known[id] = metric.info
    _outside[id] = metric


def forget(id: str) -> None:
    """Take a metric from outside away again; nothing happens if there is none."""
    if _outside.pop(id, None) is not None:
        del _known[id]


def metric(id: str) -> MetricInfo:
    """Definition of a metric.

    Raises:
        MetricError: there is no such metric; the message names the nearest ones.

    >>> metric("fva").unit
    '%'
    """
    if id in METRICS:
        return METRICS[id]
    near = get_close_matches(id.lower(), METRICS, n=3, cutoff=0.5)
    names = " or ".join(repr(name) for name in near)
    hint = f"did you mean {names}?" if near else f"known: {', '.join(METRICS)}"
    raise MetricError(f"unknown metric {id!r}; {hint}")
