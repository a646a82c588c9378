"""The golden runs' tiny Stable Diffusion and class-conditional latent diffusion, as priors."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from latent_miniatures import ARCH, tensors
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from vcebench.methods.core.noise import Noise
from vcebench.methods.core.prior import ByClass, ConditionalPrior
from vcebench.methods.core.schedule import scaled_linear_schedule
from vcebench.methods.core.space import Latents
from vcebench.models.latent import Denoiser, KLAutoencoder, VQAutoencoder

GOLDEN = Path(__file__).parent / "parity/golden/latent"


def load(name: str) -> dict[str, Tensor]:
    """A golden file; float16 tensors hold exact values and become float32."""
    content = load_file(GOLDEN / f"{name}.safetensors")
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in content.items()}


class Classifier(nn.Module):
    """The golden classifiers: one logit, or twelve."""

    def __init__(self, logits: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.fc = nn.Linear(12, logits)

    def forward(self, x: Tensor) -> Tensor:
        h = nn.functional.silu(self.conv2(nn.functional.silu(self.conv1(x))))
        out: Tensor = self.fc(h.mean(dim=(2, 3)))
        return out


def _built(kind: str, part: str) -> Any:
    import diffusers

    arch = ARCH[kind][part]
    network = getattr(diffusers, arch["class_name"])(**arch["config"])
    network.load_state_dict(tensors(f"{kind}_{part}"), strict=True)
    return network.eval().requires_grad_(False)


@cache
def unet(kind: str) -> Denoiser:
    return Denoiser(_built(kind, "unet"))


@cache
def space(kind: str) -> Latents:
    wrap = KLAutoencoder if kind == "txt" else VQAutoencoder
    return Latents(wrap(_built(kind, "vae")), ARCH[kind]["vae"]["config"]["scaling_factor"])


@cache
def text_encoder() -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    network = CLIPTextModel(CLIPTextConfig(**ARCH["text_encoder"]["config"]))
    weights = tensors("text_encoder")
    own = network.state_dict()
    prefix = "" if any(key.startswith("text_model.") for key in own) else "text_model."
    network.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items()}, strict=False)
    return network.eval().requires_grad_(False)


def read(ids: Tensor, rows: Tensor | None = None) -> Tensor:
    """Contexts (B, L, D) of token ids; rows of new tokens stand behind the table."""
    network = text_encoder()
    table = network.get_input_embeddings().weight
    known = table if rows is None else torch.cat([table, rows])
    # Tokens beyond the table are put in where the network looks its own up.
    hooked = network.get_input_embeddings().register_forward_hook(lambda *_: known[ids])
    try:
        out: Tensor = network(ids.clamp(max=len(table) - 1)).last_hidden_state
    finally:
        hooked.remove()
    return out


def prior(
    kind: str, null: Tensor, contexts: dict[int, Tensor], product: str = "float64"
) -> ConditionalPrior:
    betas = ARCH["schedules"][kind]["beta_start"], ARCH["schedules"][kind]["beta_end"]
    schedule = scaled_linear_schedule(*betas, 999, 1, product)  # type: ignore[arg-type]
    return ConditionalPrior(unet(kind), schedule, ByClass(null, contexts), space(kind))


def classifier(logits: int) -> Classifier:
    kind = "binary" if logits == 1 else "multiclass"
    network = Classifier(logits)
    network.load_state_dict(tensors(f"classifier_{kind}"), strict=True)
    return network.eval().requires_grad_(False)


class Recorded(Noise):
    """Draws by purpose, step and inner step."""

    def __init__(self, draws: dict[tuple[str, int, int], Tensor]) -> None:
        self.draws = draws

    def draw(
        self,
        purpose: str,
        step: int,
        inner_step: int = 0,
        pass_index: int = 0,
        shape: tuple[int, ...] | None = None,
    ) -> Tensor:
        drawn = self.draws[(purpose, step, inner_step)]
        assert shape == tuple(drawn.shape[1:])
        return drawn


class Film:
    """A trace that keeps everything."""

    keeps = True

    def __init__(self) -> None:
        self.z: list[Tensor] = []
        self.x_t: list[Tensor] = []
        self.mask_x: list[Tensor | None] = []

    def record(
        self,
        step: int,
        i: int,
        z: Tensor,
        x_t: Tensor,
        mask_z: Tensor | None,
        mask_x: Tensor | None,
    ) -> None:
        self.z.append(z)
        self.x_t.append(x_t)
        self.mask_x.append(mask_x)


def facts(name: str) -> Any:
    """What a golden run says of itself."""
    with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
        return json.loads(file.metadata()["meta"])


def close(actual: Tensor, expected: Tensor) -> None:
    """1e-5 times the largest magnitude of what is expected, or of 1."""
    scale = max(1.0, float(expected.abs().max()))
    torch.testing.assert_close(actual, expected, atol=1e-5 * scale, rtol=0)


class Cam(nn.Module):
    """The golden classifier whose fifth layer Score-CAM looks at."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        convolution = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 9, 3, padding=1)
        self.features = nn.Sequential(
            convolution[0], nn.ReLU(), nn.AvgPool2d(2), convolution[1], nn.ReLU()
        )
        self.classifier = nn.Linear(9, 3)
        self.load_state_dict(weights, strict=True)

    def logits(self, x: Tensor) -> Tensor:
        out: Tensor = self.classifier(self.features(x).mean(dim=(2, 3)))
        return out

    def predict(self, x: Tensor) -> Tensor:
        return self.logits(x).argmax(dim=1)

    def log_prob(self, x: Tensor, classes: Tensor) -> Tensor:
        return self.logits(x).log_softmax(dim=1).gather(1, classes[:, None])[:, 0]
