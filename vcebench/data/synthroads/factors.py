"""What a scene is made of: its variables, and the nuisance of its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vcebench.data.rendered.equations import Bools, Floats, Value, Values
from vcebench.data.rendered.noise import Key, make_key, uniforms
from vcebench.data.synthroads import scm

BLOCKS = 8
"""Buildings, or trees, along the horizon."""

NUISANCE = (
    "horizon", "vanishing", "bend", "camera_height", "exposure", "grain", "hour", "cloud",
    "cloud_x", "hill", "hill_phase", "verge_tone", "asphalt", "dash_phase", "lane",
    "crossing", "crossing_tone", "stripe_phase",
    "light_side", "light_height", "light_gap", "light_size", "lamp",
    "walker_x", "walker_size", "walker_shirt", "walker_legs", "walker_stride", "walker_skin",
    "bystander_side", "bystander_x", "bystander_size", "bystander_shirt", "bystander_legs",
    "bystander_skin",
    "car_near", "car_far", "car_x", "car_hue", "car_tone", "car_shape", "car_brake",
    "windows", "rain_slant", "bonnet", "skyline",
    *(f"block{n}_height" for n in range(BLOCKS)),
    *(f"block{n}_hue" for n in range(BLOCKS)),
    *(f"block{n}_tone" for n in range(BLOCKS)),
)  # fmt: skip
"""Factors of a picture that say nothing to the rule, each uniform in [0, 1)."""

_COLUMN = {name: column for column, name in enumerate(NUISANCE)}
_VARIABLE = {name: column for column, name in enumerate(scm.NAMES)}


@dataclass(frozen=True, eq=False)
class Factors:
    """The causes of a batch of B scenes; all arrays have B rows.

    nuisance: uniform numbers with shape (B, len(NUISANCE)).
    exogenous: the variables' own noise, uniform, with shape (B, scm.NOISE_SIZE).
    variables: bool with shape (B, len(scm.NAMES)).
    texture: keys of the pixel noise, one per scene.
    intervened: names set by `do` so far; propagation never re-evaluates them.
    """

    nuisance: Floats
    exogenous: Floats
    variables: Bools
    texture: tuple[Key, ...]
    intervened: frozenset[str] = field(default_factory=frozenset)

    def __len__(self) -> int:
        return len(self.texture)

    def __getitem__(self, rows: slice) -> Factors:
        """The scenes of a slice of rows."""
        arrays = {n: getattr(self, n)[rows] for n in ("nuisance", "exogenous", "variables")}
        return replace(self, **arrays, texture=self.texture[rows])

    def value(self, name: str) -> Floats | Bools:
        """One variable, nuisance factor, or the label `Forward`, by name, with shape (B,)."""
        if name == scm.LABEL:
            return scm.forward(self.variables)
        if name in _VARIABLE:
            return self.variables[:, _VARIABLE[name]]
        return self.nuisance[:, _COLUMN[name]]

    def do(
        self, values: Values | None = None, /, *, propagate: bool = False, **named: Value
    ) -> Factors:
        """Intervene on variables: `do(Red_Light=1)`, values 0 or 1 or arrays of them, (B,).

        All noise and, unless `propagate`, all other variables are held. Raises KeyError for an
        unknown name, ValueError for a value that is neither 0 nor 1.
        """
        values = {**(values or {}), **named}
        variables = scm.intervene(self.variables, values)
        intervened = self.intervened.union(values)
        if propagate:
            changed = frozenset(values)
            variables = scm.propagate(variables, self.exogenous, changed, intervened)
        return replace(self, variables=variables, intervened=intervened)

    def go(self, wanted: Value) -> Factors:
        """The scenes as they would be if the label were `wanted`; see `scm.go`."""
        goal = np.broadcast_to(np.asarray(wanted).astype(np.bool_), (len(self),))
        return self.do(scm.go(self.variables, goal))


def draw(seed: int, scenes: Sequence[int] | NDArray[np.integer]) -> Factors:
    """Factors of these scenes; they depend on (seed, scene) and on nothing else."""
    numbers = [int(number) for number in scenes]
    keys = [make_key("synthroads", seed, "scene", number) for number in numbers]
    grains = tuple(make_key("synthroads", seed, "texture", number) for number in numbers)
    drawn = uniforms(keys, len(NUISANCE) + scm.NOISE_SIZE)
    nuisance, exogenous = drawn[:, : len(NUISANCE)], drawn[:, len(NUISANCE) :]
    return Factors(nuisance, exogenous, scm.sample(exogenous), grains)
