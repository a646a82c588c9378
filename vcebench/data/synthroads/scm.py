"""The structural causal model of the scenes, and the rule that gives the label.

A driver goes forward where nothing says slow down: no red light, nobody on the crossing, no car
close ahead. All other variables change the picture and say nothing to the rule.
"""

from __future__ import annotations

import numpy as np

from vcebench.data.rendered import equations
from vcebench.data.rendered.equations import Bools, Equations, Floats, State, Values, choose

STOPPING = ("Red_Light", "Pedestrian", "Car_Near")
"""Each of these, alone, says slow down."""

CONTEXT = ("Rain", "Night", "Buildings", "Bystander")
"""What goes with the causes, or with nothing, and never decides."""

NAMES = (*STOPPING, *CONTEXT)
"""All variables, in the column order of every array."""

LABEL = "Forward"
NOISE_SIZE = len(NAMES)
"""Uniform numbers that one scene's variables need."""

_COLUMNS = {name: column for column, name in enumerate(NAMES)}


def _pedestrian(s: State) -> Floats:
    return choose(s["Red_Light"], 0.42, 0.15) - choose(s["Rain"], 0.06, 0.0)


def _car_near(s: State) -> Floats:
    return choose(s["Red_Light"], 0.36, 0.17) + choose(s["Buildings"], 0.02, 0.0)


def _bystander(s: State) -> Floats:
    return choose(s["Buildings"], 0.50, 0.30) - choose(s["Rain"], 0.12, 0.0)


EQUATIONS: Equations = {
    "Rain": ((), equations.constant(0.30)),
    "Night": ((), equations.constant(0.35)),
    "Buildings": ((), equations.constant(0.60)),
    "Red_Light": (("Buildings",), lambda s: choose(s["Buildings"], 0.34, 0.27)),
    "Pedestrian": (("Red_Light", "Rain"), _pedestrian),
    "Car_Near": (("Red_Light", "Buildings"), _car_near),
    "Bystander": (("Buildings", "Rain"), _bystander),
}


def sample(exogenous: Floats) -> Bools:
    """Variables with shape (B, len(NAMES)) from their noise (B, NOISE_SIZE)."""
    return equations.to_array(equations.sample(EQUATIONS, exogenous, _COLUMNS), NAMES)


def forward(variables: Bools) -> Bools:
    """The label, with shape (B,): true where none of `STOPPING` holds."""
    stops = variables[:, : len(STOPPING)].sum(axis=1)
    clear: Bools = stops == 0
    return clear


def go(variables: Bools, wanted: Bools) -> Values:
    """The intervention that makes the label `wanted`, a bool array with shape (B,).

    Towards forward, every cause that says slow down is cleared. Towards slow down, the light of a
    scene that says forward turns red: of the three interventions the one that brings nothing new
    into the picture; the other causes are left alone. Scenes whose label is `wanted` stay as they
    are.
    """
    state = equations.to_state(variables, NAMES)
    turns_red = ~wanted & forward(variables)
    values = {name: state[name] & ~wanted for name in STOPPING}
    return values | {"Red_Light": values["Red_Light"] | turns_red}


def intervene(variables: Bools, values: Values) -> Bools:
    """`variables` with `values` set and nothing else changed."""
    state = equations.to_state(variables, NAMES)
    for name, value in values.items():
        state[name] = equations.as_bools("cause", name, value, len(variables), NAMES)
    return equations.to_array(state, NAMES)


def propagate(
    variables: Bools, exogenous: Floats, changed: frozenset[str], fixed: frozenset[str]
) -> Bools:
    """Re-evaluate the descendants of `changed` with the same noise; `fixed` variables stay."""
    state = equations.to_state(variables, NAMES)
    equations.propagate(state, EQUATIONS, exogenous, _COLUMNS, changed, fixed)
    return equations.to_array(state, NAMES)


def shares(variables: Bools) -> dict[str, float]:
    """How often each variable holds, and the label."""
    held = {name: float(np.mean(variables[:, column])) for name, column in _COLUMNS.items()}
    return held | {LABEL: float(np.mean(forward(variables)))}
