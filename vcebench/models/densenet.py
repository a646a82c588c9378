"""The DenseNet-121 classifiers of DiVE/DiME and STEEX: images in [-1, 1], one logit an attribute.

References: Beyond Trivial Counterfactual Explanations with Diverse Valuable Explanations (Rodríguez
et al., 2021); STEEX: Steering Counterfactual Explanations with Semantics (Jacob et al., 2022).
"""

from __future__ import annotations

from torch import Tensor, nn
from torchvision.models import densenet121  # type: ignore[import-untyped]


class _Extractor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.feat_extract = densenet121(weights=None)
        self.feat_extract.classifier = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.feat_extract(x)
        return out


class DenseNetClassifier(nn.Module):
    """(B, 3, H, W) in [-1, 1] → logits (B, outputs); key names as distributed."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.feat_extract = _Extractor()
        self.classifier = nn.Linear(1024, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.feat_extract(x))
        return out
