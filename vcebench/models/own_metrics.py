"""Networks of somebody's own that only metrics look through: an oracle, and features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from vcebench.errors import UserError
from vcebench.models.bundle import Bundle, Reference
from vcebench.models.classifier import BinaryClassifier
from vcebench.models.interpret import interpret, outputs_of
from vcebench.models.own_classifier import LoadedClassifier, explained, load_classifier, state_of
from vcebench.settings.custom import CustomTask
from vcebench.settings.parts import OraclePart

NO_ATTRIBUTES = "the oracle decides no attributes; one that does names them: attributes in [oracle]"
NO_QUERY = 'the file does not say which attribute the classes are: query = "…" in [oracle]'
NO_REFERENCE = (
    "the file names no training images, whose attributes CD compares with: "
    'reference = "FOLDER" in [oracle]'
)


def with_metric_networks(
    bundle: Bundle, task: CustomTask, device: torch.device | str = "cpu"
) -> Bundle:
    """The bundle with the networks of [oracle] and [representation] in their roles.

    An oracle without `attributes` is another classifier of the same question. One with them gives a
    logit for each; `query` names the one that the task's second class means, and `reference` a
    folder of training images.

    Raises UserError: one cannot be loaded, or gives something else; or the folder has no image.
    """
    geometry = task.data.geometry()
    x = torch.zeros(2, 3, geometry.height, geometry.width, device=device)
    if task.oracle is not None:
        bundle = _with_oracle(bundle, task, task.oracle, x)
    if task.representation is not None:
        loaded = _loaded("representation", load_classifier(task.representation), x)
        bundle = _in_role(bundle, "representation", loaded)
        # S3 compares the same features: a published network for it would be of other images.
        others = {k: v for k, v in bundle.missing.items() if k != "semantic"}
        bundle = replace(bundle, semantic=None, missing=others)
    return bundle


def _with_oracle(bundle: Bundle, task: CustomTask, part: OraclePart, x: Tensor) -> Bundle:
    loaded = load_classifier(part)
    loaded.network.to(x.device)
    if not part.attributes:
        judge = explained(loaded.network, task, part, x.device).classifier
        found = _in_role(bundle, "oracle", loaded, oracle=judge.network, judge=judge)
        return replace(found, missing={**found.missing, "attributes": NO_ATTRIBUTES})
    with torch.no_grad():
        out = outputs_of(loaded.network, x)
    if out.ndim != 2 or out.shape[1] != len(part.attributes):
        raise UserError(
            f"the oracle gives {tuple(out.shape)} for 2 images; it must return a logit for each of "
            f"its {len(part.attributes)} attributes"
        )
    network = interpret(loaded.network, x, 0, part.meaning).classifier.network
    changes: dict[str, Any] = {"oracle": network, "attributes": part.attributes}
    if part.query is not None:
        changes["judge"] = BinaryClassifier(network, index=part.attributes.index(part.query)).eval()
        if part.reference is not None:
            changes["reference"] = Reference(task.open_all(part.reference), part.query)
    found = _in_role(bundle, "oracle", loaded, **changes)
    lacking = {}
    if part.query is None:
        lacking["oracle"] = lacking["reference"] = NO_QUERY
    elif part.reference is None:
        lacking["reference"] = NO_REFERENCE
    return replace(found, missing={**found.missing, **lacking})


def _in_role(bundle: Bundle, role: str, loaded: LoadedClassifier, **networks: Any) -> Bundle:
    """The bundle with a network in a role, named in every figure that it gives."""
    codes = {} if loaded.code is None else {role: loaded.code}
    return replace(
        bundle,
        hashes={**bundle.hashes, role: state_of(loaded)},
        backbones={**bundle.backbones, role: loaded.name},
        codes={**bundle.codes, **codes},
        missing={name: why for name, why in bundle.missing.items() if name != role},
        notes=(*bundle.notes, *loaded.notes),
        **(networks or {role: loaded.network}),
    )


def _loaded(role: str, loaded: LoadedClassifier, x: Tensor) -> LoadedClassifier:
    """A network that gives features; refuses one that does not."""
    with torch.no_grad():
        out = outputs_of(loaded.network.to(x.device), x)
    if out.ndim < 2 or len(out) != len(x) or out[0].numel() < 2:
        raise UserError(
            f"[{role}] gives {tuple(out.shape)} for 2 images; it must return features, (B, D)"
        )
    return loaded
