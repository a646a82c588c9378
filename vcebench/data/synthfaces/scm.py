"""The structural causal model of the attributes, with CelebA's names.

Every binary attribute is `u < p(parents)`, u its own uniform noise; the hair colour is one
categorical variable (the Gumbel maximum of log-probabilities), shown as four exclusive attributes.
"""

from __future__ import annotations

import numpy as np

from vcebench.data.rendered import equations
from vcebench.data.rendered.equations import (
    Bools,
    Equations,
    Floats,
    State,
    Values,
    as_bools,
    choose,
    constant,
    to_array,
    to_state,
)

HAIR_COLOURS = ("Black_Hair", "Brown_Hair", "Blond_Hair", "Gray_Hair")

ATTRIBUTES = (
    "Smiling", "Young", "Male", "Eyeglasses", "Wearing_Hat", "Mouth_Slightly_Open", "Bangs",
    "Black_Hair", "Brown_Hair", "Blond_Hair", "Gray_Hair", "Rosy_Cheeks", "Wearing_Lipstick",
    "Bushy_Eyebrows", "Narrow_Eyes", "No_Beard",
)  # fmt: skip
"""The attributes that CelebA knows too, in the column order of every label array."""

PATCH = "patch"
"""The rare coloured square in a corner: independent, and no attribute of a face."""

NAMES = (*ATTRIBUTES, PATCH)
INDEX = {name: column for column, name in enumerate(NAMES)}

_HAIR = "hair colour"
_BINARY = tuple(name for name in NAMES if name not in HAIR_COLOURS)
_NOISE_COLUMN = {name: column for column, name in enumerate(_BINARY)}
NOISE_SIZE = len(_BINARY) + len(HAIR_COLOURS)
"""Uniform numbers that one face's attributes need."""


def _eyeglasses(s: State) -> Floats:
    return choose(s["Young"], 0.14, 0.38) + choose(s["Male"], 0.05, 0.0)


def _bangs(s: State) -> Floats:
    return choose(s["Male"], 0.12, 0.34)


def _rosy_cheeks(s: State) -> Floats:
    return choose(s["Smiling"], 0.36, 0.10) + choose(s["Male"], -0.05, 0.08)


def _lipstick(s: State) -> Floats:
    return np.where(s["Male"], 0.02, choose(s["Young"], 0.66, 0.46))


EQUATIONS: Equations = {
    "Male": ((), constant(0.46)),
    "Young": ((), constant(0.58)),
    "Smiling": (("Male",), lambda s: choose(s["Male"], 0.44, 0.56)),
    "Eyeglasses": (("Young", "Male"), _eyeglasses),
    "Wearing_Hat": (("Male",), lambda s: choose(s["Male"], 0.18, 0.11)),
    "Mouth_Slightly_Open": (("Smiling",), lambda s: choose(s["Smiling"], 0.68, 0.22)),
    "Bangs": (("Male",), _bangs),
    "Rosy_Cheeks": (("Smiling", "Male"), _rosy_cheeks),
    "Wearing_Lipstick": (("Male", "Young"), _lipstick),
    "Bushy_Eyebrows": (("Male",), lambda s: choose(s["Male"], 0.48, 0.12)),
    "Narrow_Eyes": (("Smiling",), lambda s: choose(s["Smiling"], 0.30, 0.12)),
    "No_Beard": (("Male",), lambda s: choose(s["Male"], 0.58, 0.99)),
    PATCH: ((), constant(0.05)),
}
_HAIR_PARENTS = ("Young",)
_HAIR_ODDS_YOUNG = (0.28, 0.36, 0.32, 0.04)
_HAIR_ODDS_OLD = (0.12, 0.20, 0.16, 0.52)


def _hair_scores(state: State, exogenous: Floats, skin_tone: Floats) -> Floats:
    """Perturbed log-probabilities with shape (B, 4); the largest is the colour."""
    odds = np.where(state["Young"][:, None], _HAIR_ODDS_YOUNG, _HAIR_ODDS_OLD)
    # Darker skin goes with black hair and seldom with blond.
    tilt = skin_tone[:, None] * np.array([1.0, 0.3, -1.2, 0.0])
    noise = np.clip(exogenous[:, len(_BINARY) :], 1e-12, 1 - 1e-12)
    scores: Floats = np.log(odds) + tilt - np.log(-np.log(noise))
    return scores


def _set_hair(state: State, scores: Floats) -> None:
    best = scores.argmax(axis=1)
    for number, name in enumerate(HAIR_COLOURS):
        state[name] = best == number


def sample(exogenous: Floats, skin_tone: Floats) -> Bools:
    """Attributes with shape (B, len(NAMES)) from their noise (B, NOISE_SIZE)."""
    state = equations.sample(EQUATIONS, exogenous, _NOISE_COLUMN)
    _set_hair(state, _hair_scores(state, exogenous, skin_tone))
    return to_array(state, NAMES)


def intervene(attributes: Bools, values: Values, exogenous: Floats, skin_tone: Floats) -> Bools:
    """`attributes` with `values` set and nothing else changed, except for exclusive hair colours.

    A hair colour set to 0 where it was 1 gives way to the next likely colour under the same noise.
    """
    state = to_state(attributes, NAMES)
    for name, value in values.items():
        wanted = as_bools("attribute", name, value, len(attributes), NAMES)
        if name in HAIR_COLOURS:
            scores = _hair_scores(state, exogenous, skin_tone)
            column = HAIR_COLOURS.index(name)
            scores[:, column] = np.where(wanted, np.inf, -np.inf)
            chosen: State = {}
            _set_hair(chosen, scores)
            keep = state[name] == wanted
            state.update({k: np.where(keep, state[k], chosen[k]) for k in HAIR_COLOURS})
        else:
            state[name] = wanted
    return to_array(state, NAMES)


def touched(values: Values) -> frozenset[str]:
    """The variables that an intervention on `values` fixes; hair colours are one variable."""
    return frozenset(_HAIR if name in HAIR_COLOURS else name for name in values)


def propagate(
    attributes: Bools, values: Values, exogenous: Floats, skin_tone: Floats, fixed: frozenset[str]
) -> Bools:
    """Re-evaluate the descendants of `values` with the same noise; `fixed` variables stay."""
    state = to_state(attributes, NAMES)
    changed = equations.propagate(
        state, EQUATIONS, exogenous, _NOISE_COLUMN, touched(values), fixed
    )
    if _HAIR not in fixed and changed.intersection(_HAIR_PARENTS):
        _set_hair(state, _hair_scores(state, exogenous, skin_tone))
    return to_array(state, NAMES)


def descendants(name: str) -> frozenset[str]:
    """Attributes that an intervention on `name` can change when it propagates."""
    found = equations.descendants(EQUATIONS, name)
    if found.union({name}).intersection(_HAIR_PARENTS):
        found = found.union(HAIR_COLOURS)
    return found
