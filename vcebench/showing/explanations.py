"""What `vcebench.explain` returns: tensors that can also be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from PIL import Image
from torch import Tensor

from vcebench.showing.grids import grid
from vcebench.showing.pictures import png_bytes


@dataclass(frozen=True, eq=False)
class Explanations:
    """Counterfactuals of N images, each from its last try.

    Attributes:
        counterfactuals: uint8 with shape (N, C, H, W), C of 3, or of 1 where the images had one.
        flipped: bool (N,), the quantised counterfactual is classified as the target.
        prediction, source, target: int64 (N,), class of the input, and between which classes.
        target_probability_input, target_probability: float (N,), before and after.
        lambda_class: float (N,), λ_c of the last try; NaN for methods without.
        tries: int64 (N,), number of tries.
        nfe, backward: int64 (N,), evaluations of the prior in all of them, and backward passes
            through it.
        finite: bool (N,); where it is False the method returned NaN or infinity, and the
            counterfactual is grey there.
        already_target: bool (N,); where it is True a class was asked for that the image is
            predicted as: it is returned unchanged, has no tries, and `flipped` is False.
        mask_z, mask_x: bool (N, 1, H, W), the last masks; None if the method has none, or no image
            had a try.
        images: uint8 (N, C, H, W), what was explained.
        region: bool (N, 1, H, W), where the images could change; None if everywhere.
    """

    counterfactuals: Tensor
    flipped: Tensor
    prediction: Tensor
    source: Tensor
    target: Tensor
    target_probability_input: Tensor
    target_probability: Tensor
    lambda_class: Tensor
    tries: Tensor
    nfe: Tensor
    backward: Tensor
    finite: Tensor
    already_target: Tensor
    mask_z: Tensor | None
    mask_x: Tensor | None

    images: Tensor | None = None
    region: Tensor | None = None

    def __len__(self) -> int:
        return len(self.counterfactuals)

    def __getitem__(self, index: int) -> Explained:
        """One image: its facts by name, its pictures, and a picture of them in a notebook."""
        found = {str(k): v for k, v in self.to_frame().iloc[[index]].to_dict("records")[0].items()}
        before = None if self.images is None else self.images[index]
        return Explained(before, self.counterfactuals[index], found)

    def to_frame(self) -> pd.DataFrame:
        """One row an image with everything but pictures and masks."""
        names = ["flipped", "prediction", "source", "target", "target_probability_input"]
        names += ["target_probability", "lambda_class", "tries", "nfe", "backward", "finite"]
        names += ["already_target"]
        return pd.DataFrame({name: getattr(self, name).tolist() for name in names})

    def show(self, count: int = 8) -> Image.Image:
        """Input and counterfactual of the first images, as one picture."""
        shown = range(min(count, len(self)))
        columns: dict[str, list[Tensor | None]] = {}
        if self.images is not None:
            columns["input"] = [self.images[i] for i in shown]
        columns["counterfactual"] = [self.counterfactuals[i] for i in shown]
        return grid(columns, [_said(self[i].facts) for i in shown])

    def _repr_png_(self) -> bytes:
        return png_bytes(self.show())


@dataclass(frozen=True, eq=False)
class Explained:
    """One image of `Explanations`.

    Attributes:
        image, counterfactual: uint8 with shape (C, H, W), C of 3 or 1.
        facts: source, target, flipped, probabilities and costs by name.
    """

    image: Tensor | None
    counterfactual: Tensor
    facts: dict[str, Any]

    def show(self) -> Image.Image:
        """Both images side by side, as one picture."""
        columns = {"counterfactual": [self.counterfactual]}
        if self.image is not None:
            columns = {"input": [self.image], **columns}
        return grid(columns, [_said(self.facts)])

    def _repr_png_(self) -> bytes:
        return png_bytes(self.show())


def _said(facts: Mapping[str, Any]) -> str:
    verdict = "" if facts["flipped"] else ", not flipped"
    before, after = facts["target_probability_input"], facts["target_probability"]
    return f"{facts['source']} → {facts['target']}   {before:.2f} → {after:.2f}{verdict}"
