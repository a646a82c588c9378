"""What a synthetic face is made of: identity, nuisance and attributes of a batch of faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from vcebench.data.rendered.equations import Value, Values
from vcebench.data.rendered.noise import Key, make_key, uniforms
from vcebench.data.synthfaces import scm

IDENTITY = (
    "face_width", "face_height", "jaw_taper", "jaw_square", "cheekbones", "ear_size",
    "eye_spacing", "eye_width", "eye_opening", "eye_tilt", "eye_height", "iris_hue", "iris_tone",
    "brow_height", "brow_arch", "brow_tilt", "brow_length", "brow_weight",
    "nose_width", "nose_length", "nose_bridge", "nose_tip",
    "mouth_width", "mouth_height", "lip_upper", "lip_lower",
    "skin_tone", "skin_hue", "hairline", "hair_part", "hair_volume", "hair_length", "hair_wave",
    "hair_strands", "hair_shade", "mole", "mole_u", "mole_v", "freckles", "beard_cut",
)  # fmt: skip
"""Factors that stay with a person, each uniform in [0, 1)."""

NUISANCE = (
    "rotation", "yaw", "pitch", "scale", "shift_x", "shift_y",
    "light_x", "light_y", "light_strength", "light_warmth", "exposure",
    "back_hue", "back_tone", "back_hue2", "back_tone2", "back_angle", "blob_x", "blob_y",
    "blob_size", "blob_tone", "shirt_hue", "shirt_tone", "shirt_cut",
    "hat_hue", "hat_tone", "hat_style", "hat_height", "rim_tone", "rim_shape", "rim_size",
    "gaze_x", "smile_strength", "smile_skew", "neutral_mouth", "mouth_gap", "lid",
    "lipstick_hue", "lipstick_strength", "rosiness", "wrinkle_phase", "wrinkle_depth",
    "strand_phase", "strand_phase2", "patch_hue", "grain", "hair_tint", "beard_density",
    "bang_edge",
)  # fmt: skip
"""Factors of one picture of a person, each uniform in [0, 1)."""


@dataclass(frozen=True, eq=False)
class Factors:
    """The causes of a batch of B faces; all arrays have B rows.

    identity, nuisance: uniform numbers with shapes (B, len(IDENTITY)) and (B, len(NUISANCE)).
    exogenous: the attributes' own noise, uniform, with shape (B, scm.NOISE_SIZE).
    attributes: bool with shape (B, len(scm.NAMES)); the last column is the corner patch.
    texture: keys of the pixel noise, one per face.
    intervened: names set by `do` so far; propagation never re-evaluates them.
    """

    identity: NDArray[np.float64]
    nuisance: NDArray[np.float64]
    exogenous: NDArray[np.float64]
    attributes: NDArray[np.bool_]
    texture: tuple[Key, ...]
    intervened: frozenset[str] = field(default_factory=frozenset)

    def __len__(self) -> int:
        return len(self.texture)

    def __getitem__(self, rows: slice) -> Factors:
        """The faces of a slice of rows."""
        return replace(
            self,
            identity=self.identity[rows],
            nuisance=self.nuisance[rows],
            exogenous=self.exogenous[rows],
            attributes=self.attributes[rows],
            texture=self.texture[rows],
        )

    def value(self, name: str) -> NDArray[np.float64] | NDArray[np.bool_]:
        """One factor by name, with shape (B,)."""
        if name in scm.INDEX:
            return self.attributes[:, scm.INDEX[name]]
        if name in _IDENTITY_INDEX:
            return self.identity[:, _IDENTITY_INDEX[name]]
        return self.nuisance[:, _NUISANCE_INDEX[name]]

    def do(
        self,
        values: Values | None = None,
        /,
        *,
        propagate: bool = False,
        **named: Value,
    ) -> Factors:
        """Intervene on attributes: `do(Smiling=0)` or `do({"Smiling": 0})`.

        Values are 0 or 1, or arrays of them with shape (B,).

        All noise is held. Other attributes are held too, unless `propagate`, which re-evaluates
        the descendants with the same exogenous noise. Hair colours exclude each other, so setting
        one changes the others. Raises KeyError for an unknown name, ValueError for a value that
        is neither 0 nor 1.
        """
        values = {**(values or {}), **named}
        attributes = scm.intervene(self.attributes, values, self.exogenous, self.skin_tone)
        intervened = self.intervened | scm.touched(values)
        if propagate:
            attributes = scm.propagate(
                attributes, values, self.exogenous, self.skin_tone, frozenset(intervened)
            )
        return replace(self, attributes=attributes, intervened=intervened)

    @property
    def skin_tone(self) -> NDArray[np.float64]:
        """Skin tone with shape (B,), 0 the lightest; the one identity factor that causes colour."""
        return self.identity[:, _IDENTITY_INDEX["skin_tone"]]


_IDENTITY_INDEX = {name: column for column, name in enumerate(IDENTITY)}
_NUISANCE_INDEX = {name: column for column, name in enumerate(NUISANCE)}


def draw(seed: int, identities: Sequence[int], draws: Sequence[int]) -> Factors:
    """Factors of picture `draws[b]` of person `identities[b]`.

    Pictures of one person share the identity factors only. The numbers depend on (seed, identity,
    draw) and on nothing else.
    """
    people = [make_key("synthfaces", seed, "identity", int(who)) for who in identities]
    pairs = list(zip(identities, draws, strict=True))
    pictures = [make_key("synthfaces", seed, "draw", int(who), int(n)) for who, n in pairs]
    grains = tuple(make_key("synthfaces", seed, "texture", int(who), int(n)) for who, n in pairs)
    identity = uniforms(people, len(IDENTITY))
    drawn = uniforms(pictures, len(NUISANCE) + scm.NOISE_SIZE)
    nuisance, exogenous = drawn[:, : len(NUISANCE)], drawn[:, len(NUISANCE) :]
    attributes = scm.sample(exogenous, identity[:, _IDENTITY_INDEX["skin_tone"]])
    return Factors(identity, nuisance, exogenous, attributes, grains)
