"""Networks of somebody's own task: any classifier, and a prior from one of three sources."""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Mapping, Set
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torchvision  # type: ignore[import-untyped]
from torch import Tensor, nn

from vcebench.errors import UserError, one_line
from vcebench.methods.core.method import Method
from vcebench.methods.core.prior import Prior
from vcebench.methods.core.schedule import linear_schedule
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import BinaryClassifier, MulticlassClassifier, TargetClassifier
from vcebench.models.diffusers_prior import load_diffusers
from vcebench.models.guided_diffusion import config_from_flags
from vcebench.models.normalise import Normalised
from vcebench.models.published import fill, load_published
from vcebench.models.shipped import load_network
from vcebench.models.unet import UNet
from vcebench.settings.custom import ClassifierPart, CustomTask, PriorPart
from vcebench.weights.cards import CARDS
from vcebench.weights.reading import read_tensors
from vcebench.weights.shipped import NetworkFileError
from vcebench.weights.store import Found, advice, locate, verify, weights_root

METRIC_ROLES = {"representation": "inception", "semantic": "simsiam", "lpips": "lpips"}


def load_own_bundle(
    task: CustomTask,
    device: torch.device | str = "cpu",
    weights: Path | None = None,
    needs: Set[str] = Method.needs,
    metrics: bool = True,
) -> Bundle:
    """The networks of somebody's own task, and those published ones that happen to be there.

    Without the published VGG-19 there is no perceptual loss: λ_p has to be 0 then.

    Args:
        task: what the TOML file says.
        device: where the networks shall live.
        weights: the weights folder.
        needs, metrics: see `vcebench.models.loading.load_bundle`.

    Raises UserError: a network cannot be loaded, or does not fit the images.
    """
    classifier, name = load_classifier(task.classifier)
    own: dict[str, nn.Module] = {"classifier": classifier}
    names = {"classifier": name}
    prior = None
    if "prior" in needs:
        own["prior"] = prior = load_prior(task.prior)
        names["prior"] = prior_name(task.prior)
    root = weights_root(weights)
    roles = {"perceptual": "vgg19"} if metrics or "perceptual" in needs else {}
    roles |= METRIC_ROLES if metrics else {}
    found = {r: f for r, id in roles.items() if (f := locate(CARDS[id], root)) is not None}
    networks = {role: load_published(CARDS[roles[role]], f.path) for role, f in found.items()}
    for network in (*own.values(), *networks.values()):
        network.to(device)
    explained = _interpret(classifier, task, device)
    return Bundle(
        classifier=explained,
        prior=prior,
        perceptual=networks.get("perceptual"),
        representation=networks.get("representation"),
        semantic=networks.get("semantic"),
        lpips=networks.get("lpips"),
        class_unit=task.classifier.unit,
        hashes={role: state_digest(network) for role, network in own.items()}
        | {role: verify(CARDS[roles[role]], f, root) for role, f in found.items()},
        backbones=names | {role: CARDS[roles[role]].title for role in networks},
        missing=_missing(found, roles, root),
    )


def _missing(found: Mapping[str, Found], roles: Mapping[str, str], root: Path) -> dict[str, str]:
    reasons = {role: advice(CARDS[id], root) for role, id in roles.items() if role not in found}
    return reasons | {
        "oracle": "there is no oracle for a task of one's own",
        "identity": "there is no identity network for a task of one's own",
    }


def state_digest(module: nn.Module) -> str:
    """SHA-256 over names and values of a network's tensors, whatever file they came from."""
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def load_classifier(part: ClassifierPart) -> tuple[nn.Module, str]:
    """The classifier in evaluation mode, and its name for tables; raises UserError."""
    if part.factory is not None:
        network, name = _from_factory(part), part.factory
    elif part.torchscript is not None:
        network, name = _from_torchscript(part.torchscript), part.torchscript.name
    else:
        assert part.architecture is not None
        assert part.weights is not None
        network = _from_torchvision(part.architecture, part.weights, part.outputs)
        name = f"{part.architecture}, {part.weights.name}"
    if part.mean is not None and part.std is not None:
        network = Normalised(network, part.mean, part.std)
    for key, value in network.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UserError(f"the classifier has NaN or infinity in {key}; load a sound checkpoint")
    for parameter in network.parameters():  # TorchScript has no requires_grad_ of its own
        parameter.requires_grad_(False)
    return network.eval(), name


def _from_factory(part: ClassifierPart) -> nn.Module:
    module, _, symbol = str(part.factory).partition(":")
    if not symbol:
        raise UserError(f"factory is {part.factory!r}; write package.module:function")
    folder = str(part.folder) if part.folder else None
    if folder:
        sys.path.insert(0, folder)
    try:
        network = getattr(import_module(module), symbol)(**part.arguments)
    except Exception as error:  # it is somebody's own code: anything can happen in it
        kind = type(error).__name__
        raise UserError(f"factory {part.factory} failed: {kind}: {one_line(error)}") from error
    finally:
        if folder:
            sys.path.remove(folder)
    if not isinstance(network, nn.Module):
        raise UserError(
            f"factory {part.factory} returned a {type(network).__name__}; return an nn.Module"
        )
    return network


def _from_torchscript(path: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # people still have such files
            network: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(f"{path} is no TorchScript file: {one_line(error)[:200]}") from error
    return network


def _from_torchvision(architecture: str, weights: Path, outputs: int) -> nn.Module:
    try:
        with torch.device("meta"):
            network: nn.Module = torchvision.models.get_model(
                architecture, weights=None, num_classes=outputs
            )
    except (ValueError, TypeError) as error:
        raise UserError(
            f"torchvision has no classifier {architecture!r}: {one_line(error)}"
        ) from error
    fill_strictly(network, read_tensors(weights), weights, architecture)
    return network


def fill_strictly(network: nn.Module, state: Mapping[str, Tensor], path: Path, title: str) -> None:
    """Give a network on `meta` its tensors; missing, unexpected and misshapen ones are named."""
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    lists = {
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


@torch.no_grad()
def _interpret(
    network: nn.Module, task: CustomTask, device: torch.device | str
) -> TargetClassifier:
    """The classifier behind the interface of the methods, by what it says of an image."""
    part, geometry = task.classifier, task.data.geometry()
    x = torch.zeros(2, 3, geometry.height, geometry.width, device=device)
    try:
        logits = network(x)
    except Exception as error:
        raise UserError(
            f"the classifier fails on images of shape {tuple(x.shape)}: {one_line(error)[:300]}"
        ) from error
    shape = tuple(logits.shape) if isinstance(logits, Tensor) else None
    if part.index is not None:
        if shape is None or len(shape) != 2 or part.index >= shape[1]:
            raise UserError(f"classifier.index is {part.index}, but two images give {shape}")
        return BinaryClassifier(network, index=part.index).eval()
    if shape in ((2,), (2, 1)):
        return BinaryClassifier(network).eval()
    if shape is not None and len(shape) == 2 and shape[0] == 2:
        return MulticlassClassifier(network).eval()
    raise UserError(
        f"the classifier gives {shape or type(logits).__name__} for two images; it must return "
        "logits with shape (B,), (B, 1) or (B, K)"
    )


def load_prior(part: PriorPart) -> Prior:
    """The prior in evaluation mode; raises UserError."""
    if part.trained is not None:
        network, card = load_network(part.trained)
        described = card.get("schedule", {})
        if described.get("name") != "linear":
            raise NetworkFileError(f"{part.trained} is no prior: its card has no linear schedule")
        steps, respacing = int(described["steps"]), int(described["respacing"])
    elif part.diffusers is not None:
        network, steps = load_diffusers(part.diffusers)
        respacing = part.respacing
    else:
        assert part.checkpoint is not None
        network, steps = load_guided_diffusion(part.checkpoint, part.flags)
        respacing = part.respacing
    return Prior(network.eval().requires_grad_(False), linear_schedule(steps, respacing)).eval()


def load_guided_diffusion(path: Path, flags: Mapping[str, Any]) -> tuple[UNet, int]:
    """A guided-diffusion checkpoint with the flags it was trained with: (network, T)."""
    config, steps = config_from_flags(flags)
    with torch.device("meta"):
        network = UNet(config)
    fill_strictly(network, read_tensors(path), path, "U-Net with these flags")
    return network, steps


def prior_name(part: PriorPart) -> str:
    """Name of the prior, for tables."""
    path = part.trained or part.diffusers or part.checkpoint
    assert path is not None
    return path.name


def needs_perceptual(lambda_perceptual: float, weights: Path | None = None) -> None:
    """Refuse a perceptual loss for which there is no network; raises UserError."""
    root = weights_root(weights)
    if lambda_perceptual != 0 and locate(CARDS["vgg19"], root) is None:
        raise UserError(
            f"{advice(CARDS['vgg19'], root)}; or go without: lambda_perceptual = 0 in [run]"
        )
