"""A plain MaskDiME loop that works as research code does, to measure against.

Written from the method's equations, apart from the package's sampler, guidance, masks and ladder.
It shares with them the weights of the networks and the noise, so that its images are the same. What
it does as the authors' programs do: images in NCHW order, attention as two einsums with its weights
written out, tensors never overwritten, φ(x) computed anew at every step, values read to the host at
every step, all steps kept in tensors with five dimensions, and λ_c tried in turn on what is left of
each batch, so that batches shrink.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.setting import Setting
from vcebench.folders.images import dequantise, quantise
from vcebench.methods.core.noise import KeyedNoise
from vcebench.models.unet import AttentionBlock, ResBlock, UNet, timestep_embedding


class _Attention(AttentionBlock):
    """Attention whose weights, pixels by pixels, are a tensor."""

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        b, c, height, width = x.shape
        flat = x.reshape(b, c, height * width)
        qkv = self.qkv(self.norm(flat)).reshape(b * self.heads, -1, height * width)
        q, k, v = qkv.chunk(3, dim=1)
        scale = q.shape[1] ** -0.25
        weights = torch.einsum("bct,bcs->bts", q * scale, k * scale).softmax(dim=-1)
        h = torch.einsum("bts,bcs->bct", weights, v).reshape(b, c, height * width)
        out: Tensor = flat + self.proj_out(h)
        return out.reshape(b, c, height, width)


class _ResBlock(ResBlock):
    """A residual block without a tensor overwritten."""

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        norm, act, conv = self.in_layers
        h = act(norm(x))
        if self.resample is not None:
            h, x = self.resample(h), self.resample(x)
        h = conv(h)
        shift = self.emb_layers(emb)[:, :, None, None]
        if self.scale_shift:
            scale, shift = shift.chunk(2, dim=1)
            h = self.out_layers[0](h) * (1 + scale) + shift
            h = self.out_layers[1:](h)
        else:
            h = self.out_layers(h + shift)
        out: Tensor = self.skip_connection(x) + h
        return out


class _UNet(UNet):
    """The network around them."""

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        emb = self.time_embed(timestep_embedding(t, self.config.model_channels))
        h, skips = z, []
        for block in self.input_blocks:
            h = block(h, emb)
            skips.append(h)
        h = self.middle_block(h, emb)
        for block in self.output_blocks:
            h = block(torch.cat([h, skips.pop()], dim=1), emb)
        out: Tensor = self.out(h)
        return out


_PLAIN = {AttentionBlock: _Attention, ResBlock: _ResBlock, UNet: _UNet}


def plain(network: nn.Module) -> nn.Module:
    """A copy of a U-Net of ours with the same weights, NCHW, run as above."""
    twin = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
    for module in twin.modules():
        module.__class__ = _PLAIN.get(type(module), type(module))
    return twin


@dataclass
class Found:
    """Counterfactuals as stored, uint8 (n, 3, H, W); flips and λ_c of the last try, (n,)."""

    images: Tensor
    flipped: Tensor
    lambda_class: Tensor
    history: list[Tensor] = field(default_factory=list)


class Reference:
    """The loop for the networks and settings of a configuration."""

    def __init__(self, given: Setting) -> None:
        self.config, self.bundle = given.config, given.bundle
        numbers = {k: v for k, v in given.config.settings.items() if isinstance(v, int | float)}
        self.settings = {name: float(value) for name, value in numbers.items()}
        self.network = plain(given.bundle.prior.network)
        self.schedule = given.bundle.prior.schedule

    def explain(self, pixels: Tensor, ids: list[str]) -> Found:
        """All images, a batch after the other; each batch through all λ_c before the next.

        Args:
            pixels: uint8 with shape (n, 3, H, W).
            ids: names that key the noise.
        """
        size = self.config.batch_size
        parts = [
            self._batch(pixels[start : start + size], ids[start : start + size])
            for start in range(0, len(pixels), size)
        ]
        return Found(
            torch.cat([part.images for part in parts]),
            torch.cat([part.flipped for part in parts]),
            torch.cat([part.lambda_class for part in parts]),
            parts[-1].history,
        )

    def _batch(self, pixels: Tensor, ids: list[str]) -> Found:
        classifier = self.bundle.classifier
        x = dequantise(pixels)
        with torch.no_grad():
            decision = classifier.decide(x)
        found = Found(pixels.clone(), torch.zeros(len(x), dtype=torch.bool), torch.zeros(len(x)))
        left = torch.arange(len(x))
        for rung in self.config.guidance.lambda_class:
            target, source = decision.target[left], decision.source[left]
            z, found.history = self._loop(x[left], target, source, rung, [ids[i] for i in left])
            found.images[left], found.lambda_class[left] = quantise(z), rung
            with torch.no_grad():
                margin = classifier.margin(dequantise(quantise(z)), target, source)
            found.flipped[left] = margin > 0
            left = left[margin <= 0]
            if left.numel() == 0:
                break
        return found

    def _loop(
        self, x: Tensor, target: Tensor, source: Tensor, rung: float, ids: list[str]
    ) -> tuple[Tensor, list[Tensor]]:
        """The reverse process at one λ_c: z at its end, and all steps of z, x_t and the masks."""
        tau, schedule = int(self.settings["tau"]), self.schedule
        noise = KeyedNoise(self.config.seed, self.config.dataset, ids, tuple(x.shape[1:]))  # type: ignore[arg-type]
        z = schedule.q_sample(x, tau - 1, noise.draw("start", 0))
        x_t, mask_x = x, torch.zeros_like(x[:, :1])
        steps: list[list[Tensor]] = [[], [], [], []]
        losses = []
        for step, i in enumerate(range(tau - 1, -1, -1)):
            mean, variance, log_variance, x0 = self._posterior(z, i)
            if step > 0:
                x_t = mask_x * x0 + (1 - mask_x) * x
            gradient, class_gradient, loss = self._gradient(x_t, x, target, source, rung, i)
            losses.append(loss)
            mask_z, mask_x = self._masks(class_gradient)
            for kept, value in zip(steps, (z, x_t, mask_z, mask_x), strict=True):
                kept.append(value.clone())
            inside = mean - variance * self.settings["guidance_scale"] * gradient
            if i > 0:
                inside = inside + torch.exp(0.5 * log_variance) * noise.draw("posterior", step)
                outside = schedule.q_sample(x, i - 1, noise.draw("outside", step))
            else:
                outside = x
            z = mask_z * inside + (1 - mask_z) * outside
        return z, [torch.stack(kept, dim=1) for kept in steps]

    @torch.no_grad()
    def _posterior(self, z: Tensor, i: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        s = self.schedule
        t = torch.full((len(z),), int(s.timestep_map[i]))
        noise, v = self.network(z, t).chunk(2, dim=1)
        high = torch.log(torch.tensor(s.betas[i]))
        low = torch.tensor(s.posterior_log_variance_clipped[i])
        share = (v + 1) / 2
        log_variance = (share * high + (1 - share) * low).float()
        bar = float(s.alphas_cumprod[i])
        x0 = ((z - (1 - bar) ** 0.5 * noise) / bar**0.5).clamp(-1, 1)
        first, second = float(s.posterior_mean_coef1[i]), float(s.posterior_mean_coef2[i])
        return first * x0 + second * z, log_variance.exp(), log_variance, x0

    def _gradient(
        self, x_t: Tensor, x: Tensor, target: Tensor, source: Tensor, rung: float, i: int
    ) -> tuple[Tensor, Tensor, float]:
        """The joint loss's gradient over √ᾱ, that of its class term, and the loss on the host."""
        weights, bundle = self.config.guidance, self.bundle
        root = float(self.schedule.alphas_cumprod[i]) ** 0.5
        at = x_t.detach().clone().requires_grad_()
        class_loss = -bundle.classifier.margin(at, target, source)
        factor = rung * bundle.class_unit * weights.class_factor
        (class_gradient,) = torch.autograd.grad(factor * class_loss.sum(), at)
        at = x_t.detach().clone().requires_grad_()
        difference = F.mse_loss(bundle.perceptual(at), bundle.perceptual(x), reduction="none")
        loss = difference.mean(dim=(1, 2, 3)).sum()
        factor = weights.lambda_perceptual * bundle.perceptual_unit
        (perceptual,) = torch.autograd.grad(factor * loss, at)
        distance = weights.lambda_l1 * torch.sign(x_t - x)
        value = class_loss.mean().item() + loss.item()
        return (class_gradient + perceptual + distance) / root, class_gradient / root, value

    def _masks(self, class_gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The two masks, float with shape (B, 1, H, W)."""
        magnitude = class_gradient.abs().mean(dim=1).flatten(1)
        outer = max(1, int(self.settings["top_k"] * magnitude.shape[1]))
        inner = max(1, int(self.settings["rho"] * outer))
        masks = []
        for count in (outer, inner):
            mask = torch.zeros_like(magnitude)
            mask.scatter_(1, magnitude.topk(count, dim=1).indices, 1.0)
            size = int(self.settings["dilation"])
            square = mask.view(-1, 1, *class_gradient.shape[2:])
            masks.append(F.max_pool2d(square, size, stride=1, padding=size // 2))
        return masks[0], masks[1]
