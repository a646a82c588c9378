"""The published latent diffusion models that methods walk on: what they are, and where to get them.

No weights ship with this package; those of Stable Diffusion stand under the licence OpenRAIL-M.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LatentCard:
    """A latent diffusion model as its authors distribute it.

    Attributes:
        id: name of the card, and of its folder in the weights folder.
        title: readable name, for tables.
        what: folder or file to fetch.
        where: where it is published.
        file: it is a single file, in that folder.
        size: height and width of the images that it was trained on.
    """

    id: str
    title: str
    what: str
    where: str
    file: bool
    size: int


LATENTS: dict[str, LatentCard] = {
    card.id: card
    for card in (
        LatentCard(
            "minisd",
            "Stable Diffusion 1.x, fine-tuned to 256 pixels",
            "miniSD.ckpt, and the folder tokenizer/ of any Stable Diffusion 1.x",
            "model hub repository justinpinkney/miniSD, named in the README of LDCE",
            file=True,
            size=256,
        ),
        LatentCard(
            "sd-1-4",
            "Stable Diffusion 1.4",
            "the diffusers folder of CompVis/stable-diffusion-v1-4",
            "model hub repository CompVis/stable-diffusion-v1-4",
            file=False,
            size=512,
        ),
        LatentCard(
            "sd-1-5",
            "Stable Diffusion 1.5",
            "the diffusers folder of stable-diffusion-v1-5/stable-diffusion-v1-5",
            "model hub repository stable-diffusion-v1-5/stable-diffusion-v1-5",
            file=False,
            size=512,
        ),
        LatentCard(
            "cin256-v2",
            "class-conditional LDM, ImageNet 256",
            "models/ldm/cin256-v2/model.ckpt",
            "README of CompVis/latent-diffusion (class-conditional ImageNet)",
            file=True,
            size=256,
        ),
    )
}

_TEXT = ("minisd", "sd-1-4", "sd-1-5")
LATENT_ROLES: dict[str, dict[str, tuple[str, ...]]] = {
    "celeba": {"latent-text": _TEXT},
    "celebahq": {"latent-text": _TEXT},
    "bdd100k": {"latent-text": ("sd-1-4", "sd-1-5")},
    "bddoia": {"latent-text": ("sd-1-4", "sd-1-5")},
    "imagenet": {"latent-text": _TEXT, "latent-class": ("cin256-v2",)},
}
"""Data set → role → cards that can play it, the first one that is there does."""


def find_latent(card: LatentCard, root: Path) -> Path | None:
    """The folder, or the single file, of a latent model in the weights folder; None without it."""
    folder = root / card.id
    if not card.file:
        return folder if (folder / "unet").is_dir() else None
    files = [p for p in sorted(folder.glob("*")) if p.suffix in (".ckpt", ".safetensors")]
    return files[0] if files else None


def latents_there(dataset: str, role: str, root: Path) -> list[tuple[LatentCard, Path]]:
    """Cards that can play a data set's role and are in the weights folder, with their places."""
    cards = [LATENTS[id] for id in LATENT_ROLES.get(dataset, {}).get(role, ())]
    return [(card, place) for card in cards if (place := find_latent(card, root)) is not None]


def latent_advice(card: LatentCard, root: Path) -> str:
    """What to fetch and where to put it, in one sentence."""
    return (
        f"{card.title} is missing: get {card.what} ({card.where}), and put it into "
        f"{root / card.id}/"
    )
