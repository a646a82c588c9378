"""The classifier of somebody's own task: from a factory, a TorchScript file, or torchvision."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch
import torchvision  # type: ignore[import-untyped]
from torch import Tensor, nn

from vcebench.errors import UserError, one_line
from vcebench.models.classifier import BinaryClassifier
from vcebench.models.code import code_digest, importing, sources
from vcebench.models.interpret import Interpreted, interpret
from vcebench.models.networks import check_finite
from vcebench.models.normalise import Grey, Normalised
from vcebench.models.published import fill
from vcebench.models.shipped import load_network
from vcebench.settings.custom import CustomTask, open_ended
from vcebench.settings.parts import ClassifierPart
from vcebench.weights.entries import choose
from vcebench.weights.reading import load_file_safely


@dataclass(frozen=True, eq=False)
class LoadedClassifier:
    """A classifier as it was loaded.

    Attributes:
        network: in evaluation mode, without gradients of its own weights; images in [-1, 1] →
            outputs.
        name: for tables.
        code: SHA-256 of the code that makes it, if it lies in a file of the person's.
        notes: what a person should know.
    """

    network: nn.Module
    name: str
    code: str | None = None
    notes: tuple[str, ...] = ()


def load_classifier(part: ClassifierPart) -> LoadedClassifier:
    """The classifier that a task's file describes; raises UserError."""
    if part.factory is not None:
        loaded = _from_factory(part)
    elif part.torchscript is not None:
        loaded = _from_torchscript(part.torchscript)
    elif part.trained is not None:
        loaded = LoadedClassifier(load_network(part.trained)[0], part.trained.name)
    else:
        assert part.architecture is not None
        assert part.weights is not None
        outputs = part.outputs if isinstance(part.outputs, int) else 1000
        loaded = _from_torchvision(part.architecture, part.weights, outputs, part.entry)
    network = Grey(loaded.network) if part.channels == 1 else loaded.network
    if part.mean is not None and part.std is not None:
        network = Normalised(network, part.mean, part.std)
    check_finite(network, "classifier")
    for parameter in network.parameters():  # TorchScript has no requires_grad_ of its own
        parameter.requires_grad_(False)
    return LoadedClassifier(network.eval(), loaded.name, loaded.code, loaded.notes)


def explained(
    network: nn.Module, task: CustomTask, part: ClassifierPart, device: torch.device | str
) -> Interpreted:
    """The classifier behind the interface of the methods.

    Raises UserError: it does not fit images of this size, or not the classes of the task.
    """
    geometry = task.data.geometry()
    x = torch.zeros(2, 3, geometry.height, geometry.width, device=device)
    found = interpret(network, x, part.index, part.meaning)
    with torch.no_grad():
        outputs = found.classifier.probabilities(x).shape[1]
    fit_classes(task, outputs, single=isinstance(found.classifier, BinaryClassifier))
    return found


def fit_classes(task: CustomTask, outputs: int, single: bool) -> None:
    """Refuse a number of classes that is not the classifier's; raises UserError.

    Args:
        task: with the names of its classes.
        outputs: number of classes that the classifier tells apart.
        single: it does so with one logit.
    """
    names = task.data.classes
    if not names:  # they are known once the images are listed
        return
    has = "one output, which tells 2 classes apart" if single else f"{outputs} outputs"
    if open_ended(names):
        if len(names) > max(outputs, 2):
            raise UserError(
                f"the classes are numbers up to {len(names) - 1}, but the classifier has {has}, "
                'counted from 0; if yours are counted from 1, say classes = ["1", …] in [data]'
            )
    elif len(names) != outputs:
        shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        raise UserError(
            f"there are {len(names)} classes ({shown}), but the classifier has {has}; `classes` in "
            "[data] names one for each output, in their order"
        )
    target = task.target_class(names)
    if target is not None and target >= outputs:
        raise UserError(f"target {task.target!r} is beyond the classifier, which has {has}")


def _from_factory(part: ClassifierPart) -> LoadedClassifier:
    module, _, symbol = str(part.factory).partition(":")
    if not module or not symbol:
        raise UserError(f"factory is {part.factory!r}; write package.module:function")
    files = {} if part.folder is None else sources(module, part.folder)
    code = code_digest(files) if files else None
    try:
        with importing(files, part.folder):
            network = getattr(import_module(module), symbol)(**part.arguments)
    except Exception as error:  # it is somebody's own code: anything can happen in it
        kind = type(error).__name__
        raise UserError(f"factory {part.factory} failed: {kind}: {one_line(error)}") from error
    except SystemExit as error:
        raise UserError(f"factory {part.factory} ended the program (SystemExit)") from error
    if not isinstance(network, nn.Module):
        raise UserError(
            f"factory {part.factory} returned a {type(network).__name__}; return an nn.Module"
        )
    return LoadedClassifier(network, str(part.factory), code)


def _from_torchscript(path: Path) -> LoadedClassifier:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # people still have such files
            network: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(f"{path} is no TorchScript file: {one_line(error)[:200]}") from error
    code = hashlib.sha256(path.read_bytes()).hexdigest()
    return LoadedClassifier(network, path.name, code)


def _from_torchvision(
    architecture: str, weights: Path, outputs: int, entry: str | None
) -> LoadedClassifier:
    # Its detectors and segmenters fetch the weights of their backbones, whatever they are told.
    if architecture.lower() not in torchvision.models.list_models(module=torchvision.models):
        raise UserError(
            f"torchvision has no classifier {architecture!r}; use one of its classification "
            "models such as resnet18, or a factory"
        )
    with torch.device("meta"):
        network: nn.Module = torchvision.models.get_model(
            architecture, weights=None, num_classes=outputs
        )
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    chosen = choose(load_file_safely(weights), weights, wanted, entry)
    fill_strictly(network, chosen.state, weights, architecture)
    return LoadedClassifier(network, f"{architecture}, {weights.name}", notes=chosen.notes)


def fill_strictly(network: nn.Module, state: Mapping[str, Tensor], path: Path, title: str) -> None:
    """Give a network on `meta` its tensors; missing, unexpected and misshapen ones are named."""
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    lists: dict[str, Sequence[str]] = {
        "missing": [key for key in wanted if key not in state and key not in counters],
        "unexpected": [key for key in state if key not in wanted],
        "misshapen": [k for k in wanted if k in state and tuple(state[k].shape) != wanted[k]],
    }
    for kind, keys in lists.items():
        if keys:
            raise UserError(
                f"{path} is no {title}: {len(keys)} {kind} keys ({', '.join(keys[:3])})"
            )
    for key, value in state.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UserError(f"{path}: {key} holds NaN or infinity; restore the file")
    fill(network, state, title)


def state_of(loaded: LoadedClassifier) -> str:
    """SHA-256 of a classifier's tensors; what has no tensors is what its code says."""
    if not loaded.network.state_dict() and loaded.code is not None:
        return loaded.code
    return state_digest(loaded.network)


def state_digest(module: nn.Module) -> str:
    """SHA-256 over names and values of a network's tensors, whatever file they came from."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
