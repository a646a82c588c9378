"""Method ids: each is a class of choices plus the settings that make it that method.

A new method is one file and one line here; an ablation is one line here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vcebench.methods.ace import ACE, ACEAttack, ACEGradient, ACEPixel, ACETanh
from vcebench.methods.core.errors import MethodError, unknown
from vcebench.methods.core.method import Method
from vcebench.methods.dime import (
    DiME,
    DiMEDirect,
    DiMEEarlyStopping,
    DiMENaive,
    DiMEUnconditional,
)
from vcebench.methods.dive import DiVE, DiVEFisher, DiVEFisherInverse
from vcebench.methods.dvce import DVCE, DVCEConeProjection, DVCENoCone
from vcebench.methods.eced import ECED, ECEDNoPrune
from vcebench.methods.edict import ReleasedTiME, TiME, TiMENaive
from vcebench.methods.fastdime import FastDiME, FastDiME2, FastDiME2Plus
from vcebench.methods.identity import LatentIdentity, LatentIdentityClass
from vcebench.methods.ldce import (
    LDCE,
    LDCEClass,
    LDCECone,
    LDCEFree,
    LDCENoBackprop,
    LDCENoConsensus,
)
from vcebench.methods.maskdime import MaskDiME, ReleasedMaskDiME
from vcebench.methods.pgd import PGD
from vcebench.methods.rcsb import (
    RCSB,
    Inpainting,
    RCSBAdam,
    RCSBNaive,
    RCSBTweedie,
    ReleasedRCSB,
    SmallRCSB,
)
from vcebench.methods.steex import STEEX
from vcebench.methods.svce import SVCE

_ACE = "Jeanneret et al., Adversarial Counterfactual Visual Explanations, CVPR 2023"
_DIME = "Jeanneret et al., Diffusion Models for Counterfactual Explanations, ACCV 2022"
_DIVE = (
    "Rodríguez et al., Beyond Trivial Counterfactual Explanations with Diverse Valuable "
    "Explanations, ICCV 2021"
)
_DVCE = "Augustin et al., Diffusion Visual Counterfactual Explanations, NeurIPS 2022"
_DECODED = (
    "this package; Rombach et al., High-Resolution Image Synthesis with Latent Diffusion Models, "
    "CVPR 2022"
)
_ECED = (
    "Luu et al., From Visual Explanations to Counterfactual Explanations with Latent Diffusion, "
    "WACV 2025"
)
_LDCE = "Farid et al., Latent Diffusion Counterfactual Explanations, 2023"
_TIME = (
    "Jeanneret et al., Text-to-Image Models for Counterfactual Explanations: a Black-Box Approach, "
    "WACV 2024"
)
_RCSB = (
    "Sobieski et al., Rethinking Visual Counterfactual Explanations Through Region Constraint, "
    "ICLR 2025"
)
_SVCE = "Boreiko et al., Sparse Visual Counterfactual Explanations in Image Space, GCPR 2022"
_STEEX = "Jacob et al., STEEX: Steering Counterfactual Explanations with Semantics, ECCV 2022"
_FASTDIME = (
    "Weng et al., Fast Diffusion-Based Counterfactuals for Shortcut Removal and Generation, "
    "ECCV 2024"
)
_MASKDIME = (
    "Guo et al., MaskDiME: Adaptive Masked Diffusion for Precise and Efficient Visual "
    "Counterfactual Explanations, CVPR 2026"
)


@dataclass(frozen=True)
class Entry:
    """A registered method.

    Attributes:
        factory: class of the method.
        summary: one line for people.
        reference: paper and equation or table.
        fixed: settings that make the method what its id says; a user cannot change them.
        nfe: evaluations of the prior per image and try, in words.
        preset: id whose presets hold for it, its own unless given.
        region: where images may change, as a run is told it, if that is part of what the id says.
    """

    factory: type[Method]
    summary: str
    reference: str
    nfe: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    preset: str | None = None
    region: str | None = None

    def parameters(self) -> dict[str, dict[str, Any]]:
        """Settings a user may change: name to default and help."""
        return {
            f.name: {"default": f.default, "help": f.metadata["help"]}
            for f in dataclasses.fields(self.factory)
            if f.metadata and f.name not in self.fixed
        }


def _maskdime(summary: str, where: str, **fixed: Any) -> Entry:
    return Entry(MaskDiME, summary, f"{_MASKDIME}, {where}", "τ", fixed)


def _ace(factory: type[ACEAttack], summary: str, nfe: str, norm: str = "l1", **fixed: Any) -> Entry:
    """An attack with one distance; the other's weight is 0."""
    other = {"l1": "distance_l2", "l2": "distance_l1"}[norm]
    return Entry(factory, summary, _ACE, nfe, {other: 0.0, **fixed}, preset=f"ace-{norm}")


def _rcsb(
    summary: str,
    where: str,
    factory: type[Method] = RCSB,
    preset: str | None = None,
    **fixed: Any,
) -> Entry:
    return Entry(factory, summary, f"{_RCSB}, {where}", _MOVES, fixed, preset)


def _within(summary: str, where: str, region: str) -> Entry:
    """RCSB inside a region that is part of the id; else as C."""
    return Entry(RCSB, summary, f"{_RCSB}, {where}", _MOVES, preset="rcsb-c", region=region)


def _ldce(
    factory: type[Method], summary: str, backward: str, where: str = "as released", **fixed: Any
) -> Entry:
    nfe = f"2τ, of the conditional network{backward}"
    return Entry(factory, summary, f"{_LDCE}, {where}", nfe, fixed, preset="ldce-txt")


def _eced(summary: str, factory: type[Method] = ECED, **fixed: Any) -> Entry:
    nfe = "2·T'·K, and as many backward passes, of the conditional network"
    return Entry(factory, summary, f"{_ECED}; our reading of it", nfe, fixed, preset="eced-v")


def _dive(
    summary: str,
    where: str = "as released",
    factory: type[Method] = DiVE,
    preset: str | None = "dive",
    **fixed: Any,
) -> Entry:
    return Entry(factory, summary, f"{_DIVE}, {where}", _CODES, fixed, preset=preset)


_CODES = "explanations × iterations at most, of the decoder"
_MOVES = "moves, and as many backward passes"
_RCSB_C = _rcsb("RCSB within 30 % of the image", "Table 1 (C)", preset="rcsb-c", area=0.3)
_WITHOUT_MASKS = _maskdime("MaskDiME without masks, s = 8", "Tables 4 and 7", masking="none")

METHODS: dict[str, Entry] = {
    "ace-l1": _ace(ACE, "attack through a diffusion filter, ℓ1 distance, refined", "(N+1)τ"),
    "ace-l2": _ace(ACE, "attack through a diffusion filter, ℓ2 distance, refined", "(N+1)τ", "l2"),
    "ace-l1-pre": _ace(ACEAttack, "the attack of ace-l1 alone (pre-explanation)", "Nτ"),
    "ace-l2-pre": _ace(ACEAttack, "the attack of ace-l2 alone (pre-explanation)", "Nτ", "l2"),
    "ace-l1-gd": _ace(ACEGradient, "ace-l1 by plain gradient descent, without the sign", "(N+1)τ"),
    "ace-l1-cw": _ace(ACETanh, "ace-l1 by the attack of Carlini and Wagner", "Nτ"),
    "ace-l1-pixel": _ace(ACEPixel, "ace-l1 without the filter: a plain attack, refined", "τ"),
    "ace-l1-no-inpainting": _ace(ACE, "ace-l1, refined everywhere", "(N+1)τ", threshold=0.0),
    "ace-filter": _ace(
        ACE,
        "no attack: what the filter alone changes",
        "τ",
        iterations=0,
        threshold=0.0,
        step=1 / 255,
        epsilon=1.0,
        distance_l1=0.0,
        dilation=1,
    ),
    "dime": Entry(
        DiME,
        "gradient at a nested denoising of z, with noise in the nested chain",
        f"{_DIME}, Eq. 8",
        "τ(τ+1)/2",
    ),
    "dime-deterministic": Entry(
        DiME,
        "DiME with a noise-free nested chain",
        f"{_DIME}, Eq. 8",
        "τ(τ+1)/2",
        {"inner_noise": False},
    ),
    "dime-direct": Entry(
        DiMEDirect, "gradient at the noisy z itself", f"{_DIME}, Table 2 (Direct)", "τ"
    ),
    "dime-naive": Entry(
        DiMENaive, "gradient at the input in every step", f"{_DIME}, Table 2 (Naive)", "τ"
    ),
    "dime-early-stopping": Entry(
        DiMEEarlyStopping,
        "DiME, guided only until x_t is classified as the target",
        f"{_DIME}, Table 2 (Early Stopping)",
        "at most τ(τ+1)/2",
    ),
    "dime-unconditional": Entry(
        DiMEUnconditional,
        "no guidance: the input is noised and denoised",
        f"{_DIME}, Table 2 (Unconditional)",
        "τ",
    ),
    "fastdime": Entry(
        FastDiME,
        "gradient at the previous one-step estimate, self-optimised mask",
        f"{_FASTDIME}, efficient gradient estimate and self-optimised mask",
        "τ",
    ),
    "fastdime-2": Entry(
        FastDiME2,
        "FastDiME twice: without masks, then inside the difference found",
        f"{_FASTDIME}, FastDiME-2",
        "2τ",
    ),
    "fastdime-2plus": Entry(
        FastDiME2Plus,
        "FastDiME twice: with its mask, then inside the difference found",
        f"{_FASTDIME}, FastDiME-2+",
        "2τ",
    ),
    "maskdime": _maskdime("two nested masks from the class gradient, every step", "Eqs. 4 and 9"),
    "maskdime-released": Entry(
        ReleasedMaskDiME,
        "MaskDiME as its authors released it: no reverse noise, ℓ1 on z",
        f"{_MASKDIME}, authors' release; Eqs. 4 and 9",
        "τ",
    ),
    "maskdime-rho1": _maskdime("MaskDiME with one mask, ρ = 1", "Table 5", rho=1.0),
    "maskdime-k0.025": _maskdime("MaskDiME with k = 0.025", "Table 5", top_k=0.025),
    "maskdime-k0.1": _maskdime("MaskDiME with k = 0.1", "Table 5", top_k=0.1),
    "maskdime-wo-s": _maskdime(
        "MaskDiME without guidance scale, s = 1", "Table 7", guidance_scale=1.0
    ),
    "maskdime-wo-mask": _WITHOUT_MASKS,
    "fixed-mask": _maskdime(
        "MaskDiME with the first step's masks", "Table 4", masking="first-step"
    ),
    "no-mask-s1": _maskdime(
        "MaskDiME without masks, s = 1", "Table 4", masking="none", guidance_scale=1.0
    ),
    "no-mask-s8": _WITHOUT_MASKS,
    "dvce": Entry(
        DVCE,
        "unit gradients through the prior; a robust classifier's, on a cone around the explained's",
        f"{_DVCE}, as released",
        "τ, and 3τ backward passes",
    ),
    "dvce-no-cone": Entry(
        DVCENoCone,
        "DVCE guided by the explained classifier alone",
        f"{_DVCE}, as released without a cone",
        "τ, and 2τ backward passes",
    ),
    "dvce-cone-projection": Entry(
        DVCEConeProjection,
        "DVCE that keeps a robust gradient inside the cone as it is",
        f"{_DVCE}; what the cone's projection says, where the release takes its axis",
        "τ, and 3τ backward passes",
    ),
    "dvce-distance-direct": Entry(
        DVCE,
        "DVCE with the distance gradient at the estimate, not through the prior",
        f"{_DVCE}, default of the released program",
        "τ, and 2τ backward passes",
        {"distance_through_prior": False},
    ),
    "svce": Entry(
        SVCE,
        "Frank-Wolfe steps in an l1.5 ball: explains a robust classifier, attacks any other",
        f"{_SVCE}, as released with DVCE",
        "0",
    ),
    "rcsb-a": _rcsb("RCSB within 10 % of the image", "Table 1 (A)", SmallRCSB, area=0.1),
    "rcsb-b": _rcsb("RCSB within 20 % of the image", "Table 1 (B)", area=0.2),
    "rcsb-c": _RCSB_C,
    "rcsb": _RCSB_C,
    "rcsb-released": _rcsb(
        "RCSB as its code computes: stretched estimates, cells from quantiles",
        "authors' code",
        ReleasedRCSB,
    ),
    "rcsb-step-naive": Entry(
        RCSBNaive,
        "a bridge guided by the gradient at z itself",
        f"{_RCSB}, Figure 3 (1)",
        "moves",
        {"truncation": 1.0},
    ),
    "rcsb-step-tweedie": _rcsb(
        "guided through the clean estimate", "Figure 3 (2)", RCSBTweedie, truncation=1.0
    ),
    "rcsb-step-adam": _rcsb("… with Adam's moments", "Figure 3 (3)", RCSBAdam, truncation=1.0),
    "rcsb-step-adaptive-norm": _rcsb(
        "… in units of the first step's norm", "Figure 3 (4)", truncation=1.0
    ),
    "rcsb-step-truncation": _RCSB_C,
    "rcsb-freeform-10-20": _within("RCSB within random strokes", "Table 2 B", "free-form:10-20"),
    "rcsb-freeform-20-30": _within("RCSB within random strokes", "Table 2 B", "free-form:20-30"),
    "rcsb-truth": Entry(
        RCSB,
        "RCSB where the true counterfactual changes: an upper bound",
        "this package, after Sobieski et al., ICLR 2025",
        _MOVES,
        preset="rcsb-c",
        region="truth",
    ),
    "inpaint": Entry(
        Inpainting,
        "the bridge alone: the region is filled again, without guidance",
        "Liu et al., I²SB: Image-to-Image Schrödinger Bridge, ICML 2023",
        "moves",
    ),
    "ldce-cls": Entry(
        LDCEClass,
        "latent diffusion told of classes; the class gradient counts where the condition agrees",
        f"{_LDCE}, as released",
        "2τ, of the conditional network, and 2τ backward passes",
    ),
    "ldce-txt": _ldce(
        LDCE, "latent diffusion told by words; else as ldce-cls", ", and 2τ backward passes"
    ),
    "ldce-txt-free": _ldce(
        LDCEFree,
        "classifier-free guidance by words alone: what the released faces are made with",
        "",
        "released configuration of CelebA-HQ",
    ),
    "ldce-no-consensus": _ldce(
        LDCENoConsensus, "ldce-txt with the class gradient everywhere", ", and 2τ backward passes"
    ),
    "ldce-no-distance": _ldce(
        LDCE,
        "ldce-txt without its pull to the input",
        ", and τ backward passes",
        distance_scale=0.0,
    ),
    "ldce-no-backprop": _ldce(
        LDCENoBackprop, "ldce-txt with gradients through the decoder only", ""
    ),
    "ldce-cone": _ldce(
        LDCECone,
        "ldce-txt that turns the class gradient into a cone around the condition, not dropping it",
        ", and 2τ backward passes",
        "an option of the released program",
    ),
    "time": Entry(
        TiME,
        "exact inversion under learned words for a class, then those of the other; a black box",
        f"{_TIME}, as released, with an exact inversion",
        "8n, of the conditional network",
    ),
    "time-released": Entry(
        ReleasedTiME,
        "TiME as its pinned library inverts: not exactly",
        f"{_TIME}, as released",
        "8n, of the conditional network",
        preset="time",
    ),
    "time-naive": Entry(
        TiMENaive,
        "TiME that begins from noise instead of an inversion",
        f"{_TIME}, as released",
        "2n, of the conditional network",
        preset="time",
    ),
    "eced-v": _eced("attack among the latents where the classifier looks, denoised in a blend"),
    "eced-r": _eced(
        "eced-v by the second of the last three blocks of a ResNet-50", layer="layer4.1"
    ),
    "eced-no-prune": _eced(
        "eced-v whose gradient also moves what lies outside of the region", ECEDNoPrune
    ),
    "eced-no-tuning": _eced("eced-v with the decoder as it is", tuning_steps=0),
    "latent-identity": Entry(
        LatentIdentity,
        "decoded as encoded: the floor under every method told by words",
        _DECODED,
        "0",
    ),
    "latent-identity-cls": Entry(
        LatentIdentityClass,
        "decoded as encoded: the floor under ldce-cls",
        _DECODED,
        "0",
    ),
    "xgem-plus": Entry(
        DiVE,
        "one explanation among the codes of DiVE's autoencoder, held by its distance alone",
        f"{_DIVE}, as released; Joshi et al., xGEMs: Generating Examplars to Explain Black-Box "
        "Models, 2018",
        "iterations at most, of the decoder",
        {"explanations": 1, "lasso": 0.0, "diversity": 0.0},
    ),
    "dive": _dive("diverse explanations among the codes of an autoencoder", iterations=20),
    "dive-100": _dive(
        "DiVE with 100 iterations",
        "as DiME's authors run it (Jeanneret et al., ACCV 2022, Table 1)",
        preset=None,
        iterations=100,
    ),
    "dive-fisher": _dive(
        "DiVE whose explanations each move one cluster of codes", factory=DiVEFisher
    ),
    "dive-fisher-inv": _dive(
        "DiVE whose explanations each move all but one cluster of codes", factory=DiVEFisherInverse
    ),
    "steex": Entry(
        STEEX,
        "the look of a picture's regions is moved, their layout stays",
        f"{_STEEX}, as released",
        "iterations, of the generator",
    ),
    "pgd": Entry(
        PGD,
        "adversarial attack in pixel space, without a prior: a baseline that explains nothing",
        "Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018",
        "0",
    ),
}

ALIASES = {"rcsb": "rcsb-c", "rcsb-step-truncation": "rcsb-c"}
"""Published ids of what has another id too; it is run, and ranked, under that one alone."""


def names() -> list[str]:
    """Registered ids, in the order of the tables."""
    return list(METHODS)


def method(name: str, **settings: Any) -> Method:
    """The method of an id.

    Args:
        name: a registered id, e.g. "maskdime".
        settings: values for its parameters, e.g. `guidance_scale=8.0`.

    Raises:
        MethodError: unknown id (nearest ones named), unknown or fixed setting, value out of bounds.
    """
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    entry = METHODS[name]
    allowed = entry.parameters()
    for given in settings:
        if given in entry.fixed:
            raise MethodError(f"{given} is {entry.fixed[given]} by definition of {name}; drop it")
        if given not in allowed:
            raise MethodError(f"{name} has no setting {given!r}; it has {', '.join(allowed)}")
    return entry.factory(**{**settings, **entry.fixed})
