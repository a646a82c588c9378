"""Networks that somebody hands over from Python, by their roles; what is none is refused.

Every refusal is a `UserError` that says what to give instead.
"""

from __future__ import annotations

import warnings

from torch import Tensor, nn

from vcebench.errors import UserError
from vcebench.methods.core.bridge import Bridge, BridgePrior
from vcebench.methods.core.prior import ConditionalPrior, Prior
from vcebench.methods.core.schedule import Schedule, linear_schedule
from vcebench.models.classifier import TargetClassifier, over
from vcebench.models.diffusers_prior import DiffusersPrior
from vcebench.models.interpret import interpret
from vcebench.models.normalise import Single
from vcebench.settings.parts import Meaning


def check_modules(classifier: object, latent: object, **others: object) -> None:
    """Refuse what is no network; roles other than the classifier's may be None."""
    for role, module in {"classifier": classifier, "latent": latent, **others}.items():
        if not isinstance(module, nn.Module) and (module is not None or role == "classifier"):
            raise UserError(f"{role} is a {type(module).__name__}; give a torch.nn.Module")
    if latent is not None and not isinstance(latent, ConditionalPrior):
        raise UserError(f"latent is a {type(latent).__name__}; give a ConditionalPrior")


def prior_of(prior: Prior | tuple[nn.Module, Schedule] | nn.Module) -> Prior:
    """The prior of what `vcebench.explain` takes as one."""
    if isinstance(prior, BridgePrior):
        raise UserError("the prior is a bridge; give it as bridge=…")
    if isinstance(prior, Prior):
        return prior
    if isinstance(prior, tuple):
        network, schedule = prior if len(prior) == 2 else (None, None)
        if not isinstance(network, nn.Module) or not isinstance(schedule, Schedule):
            raise UserError("the prior is a tuple of other things; give (network, schedule)")
    elif _is_diffusers(prior):
        network, schedule = prior, linear_schedule(1000, 200)
    else:
        raise UserError(
            "the prior has no schedule; give (network, schedule), e.g. with "
            "vcebench.methods.linear_schedule(1000, 200)"
        )
    return Prior(DiffusersPrior(network) if _is_diffusers(network) else network, schedule)


def _is_diffusers(network: nn.Module) -> bool:
    # By name, so that diffusers is needed only by those who use it.
    return any(kind.__name__ == "UNet2DModel" for kind in type(network).__mro__)


def bridge_of(bridge: BridgePrior | tuple[nn.Module, Bridge]) -> BridgePrior:
    """The prior on a bridge, likewise."""
    if isinstance(bridge, tuple) and len(bridge) == 2 and isinstance(bridge[1], Bridge):
        return BridgePrior(*bridge)
    if not isinstance(bridge, BridgePrior):
        raise UserError(
            "the bridge has no schedule; give (network, vcebench.methods.Bridge(T)) with the T it "
            "was trained on"
        )
    return bridge


def autoencoder_of(latent: ConditionalPrior) -> nn.Module | None:
    """The autoencoder that a latent prior's space is of, if it is a module."""
    found = getattr(latent.space, "autoencoder", None)
    return found if isinstance(found, nn.Module) else None


def walked(
    needs: frozenset[str],
    prior: Prior | None,
    bridge: BridgePrior | None,
    latent: ConditionalPrior | None,
) -> Prior | None:
    """What a method with these needs walks on."""
    if needs & {"latent-text", "latent-class"}:
        return latent
    return bridge if "bridge" in needs else prior


def classifier_of(
    network: nn.Module,
    images: Tensor,
    outputs: Meaning | None,
    grey: bool,
) -> TargetClassifier:
    """The classifier behind the interface of the methods, by what it says of images.

    Args:
        network: see `vcebench.explain`.
        images: some of them in [-1, 1], with shape (B, 3, H, W), where the network is.
        outputs: what it returns, if somebody said so.
        grey: it takes images of one channel.
    """
    if isinstance(network, TargetClassifier):
        return over(network, Single(network.network)) if grey else network
    network = Single(network) if grey else network
    found = interpret(network, images, meaning=outputs)
    for note in found.notes:
        warnings.warn(note, stacklevel=3)
    return found.classifier
