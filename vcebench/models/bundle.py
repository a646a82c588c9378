"""All networks that a task needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from vcebench.data.base import ImageSet
from vcebench.errors import UserError
from vcebench.methods.core.prior import Prior
from vcebench.models.classifier import TargetClassifier


@dataclass(frozen=True, eq=False)
class Reference:
    """Training images of a task of somebody's own, and the attribute that its classes are."""

    images: ImageSet
    query: str


@dataclass(frozen=True, eq=False)
class Bundle:
    """The networks of one task, on one device, in evaluation mode.

    Attributes:
        classifier: the classifier that is explained; None only where an imported run is looked at
            without it.
        prior: what a method walks on, a diffusion prior or a bridge, if it was asked for.
        perceptual: φ of the perceptual loss: (B, 3, H, W) → (B, C, H', W'), likewise.
        robust: an adversarially trained classifier of the same question, likewise; it guides only.
        autoencoder: what a method walks in, of whole pictures or of their regions, likewise.
        fisher: how the classifier depends on each pair of the autoencoder's codes, (c, c).
        representation: features of set distances: (B, 3, H, W) → (B, D).
        oracle: independent network: (B, 3, H, W) → logits (B, K).
        judge: the oracle as a classifier of this very task.
        semantic: features of S3 where they are not the representation's.
        lpips: distance of two batches of images → (B,), if the published one is there.
        attributes: names of the oracle's logits if it decides attributes, else empty.
        reference: training images without labels, where an oracle of somebody's own tells their
            attributes; data sets bring theirs along.
        identity: identity embedder (B, 3, H, W) → (B, D), if the data set has identities.
        class_unit, perceptual_unit: guidance units, calibrated on `val`.
        certificate: figures of the classifier's card; where a shortcut is planted, what it uses.
        hashes: role → SHA-256 of the file.
        backbones: role → readable name, for tables.
        missing: role → why the network is not there (roles that only metrics need).
        codes: role → SHA-256 of the code that makes the network, where it is somebody's own.
        notes: what a person should know about how they were loaded.
        channels: of the images that the prior walks on, 1 or 3: those of a run.
    """

    classifier: TargetClassifier | None
    prior: Prior | None = None
    perceptual: nn.Module | None = None
    robust: TargetClassifier | None = None
    autoencoder: nn.Module | None = None
    fisher: Tensor | None = None
    representation: nn.Module | None = None
    oracle: nn.Module | None = None
    judge: TargetClassifier | None = None
    identity: nn.Module | None = None
    class_unit: float = 1.0
    perceptual_unit: float = 1.0
    attributes: tuple[str, ...] = ()
    reference: Reference | None = None
    certificate: dict[str, Any] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    backbones: dict[str, str] = field(default_factory=dict)
    semantic: nn.Module | None = None
    lpips: nn.Module | None = None
    missing: dict[str, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    channels: int = 3

    def facts(self) -> dict[str, dict[str, Any]]:
        """Role → name and hash of the checkpoint, and that of its code if it is known."""
        found = {
            role: {"name": self.backbones.get(role, role), "sha256": digest}
            for role, digest in self.hashes.items()
        }
        for role, digest in self.codes.items():
            found[role]["code_sha256"] = digest
        return found

    @property
    def explained(self) -> TargetClassifier:
        """The classifier; raises `UserError` that says what to do if it is not there."""
        if self.classifier is None:
            raise UserError(self.missing.get("classifier", "there is no classifier"))
        return self.classifier

    @property
    def device(self) -> torch.device:
        """Where the networks live; a classifier may have no tensor that tells it."""
        networks = (self.classifier, self.prior, self.perceptual, self.representation, self.oracle)
        there = (network for network in networks if network is not None)
        tensors = (t for n in there for t in (*n.parameters(), *n.buffers()))
        return next((tensor.device for tensor in tensors), torch.device("cpu"))
