"""The U-Net of ablated diffusion models (ADM), with the key names of its published checkpoints.

References: Diffusion Models Beat GANs on Image Synthesis (Dhariwal & Nichol, 2021), Section 3 and
Appendix F; Improved Denoising Diffusion Probabilistic Models (Nichol & Dhariwal, 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vcebench.devices.norms import Norm, activated, owned


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a U-Net.

    Attributes:
        model_channels: base width; every level is a multiple of it (and of 32, for group norm).
        channel_mult: width of each level in units of `model_channels`; levels halve the resolution.
        attention_factors: down-sampling factors (1, 2, 4, ...) at which blocks contain attention.
        num_heads: heads of each attention, unless `num_head_channels` fixes their width.
        out_channels: 2·C for a learned variance, C without.
        resblock_updown: resample inside residual blocks rather than by separate layers.
    """

    model_channels: int
    channel_mult: tuple[int, ...]
    num_res_blocks: int
    attention_factors: tuple[int, ...] = ()
    num_heads: int = 1
    num_head_channels: int = -1
    in_channels: int = 3
    out_channels: int = 6
    use_scale_shift_norm: bool = True
    resblock_updown: bool = True


def timestep_embedding(t: Tensor, dim: int) -> Tensor:
    """Sinusoidal embedding of original timesteps, cosines first.

    Args:
        t: timesteps, with shape (B,).
        dim: size of the embedding.

    Returns:
        float32 tensor with shape (B, dim).
    """
    half = dim // 2
    k = torch.arange(half, dtype=torch.float32, device=t.device)
    angles = t.float()[:, None] * torch.exp(-math.log(10000.0) * k / half)
    embedding = torch.cat([angles.cos(), angles.sin()], dim=-1)
    return F.pad(embedding, (0, dim % 2))


class _Down(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)


class _Up(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="nearest")


class _DownConv(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        out: Tensor = self.op(x)
        return out


class _UpConv(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
        return out


class _Conv(nn.Conv2d):
    """A convolution that takes, and ignores, the embedding the other layers need."""

    def forward(self, x: Tensor, emb: Tensor | None = None) -> Tensor:
        return super().forward(x)


class ResBlock(nn.Module):
    """Residual block, conditioned on the timestep; resamples both branches if told to."""

    def __init__(
        self,
        channels: int,
        out_channels: int,
        emb_channels: int,
        *,
        scale_shift: bool,
        resample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.scale_shift = scale_shift
        self.in_layers = nn.Sequential(
            Norm(channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        self.resample = resample
        self.emb_layers = nn.Sequential(
            nn.SiLU(), nn.Linear(emb_channels, (2 if scale_shift else 1) * out_channels)
        )
        # Position 2 was dropout in the published networks; it holds no parameters.
        self.out_layers = nn.Sequential(
            Norm(out_channels),
            nn.SiLU(),
            nn.Identity(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        nn.init.zeros_(self.out_layers[3].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.out_layers[3].bias)  # type: ignore[arg-type]
        self.skip_connection: nn.Module = nn.Identity()
        if out_channels != channels:
            self.skip_connection = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        norm, _, conv = self.in_layers
        h = activated(norm, x)
        if self.resample is not None:
            h, x = self.resample(h), self.resample(x)
        h = conv(h)
        shift: Tensor = self.emb_layers(emb)[:, :, None, None].to(h.dtype)
        norm, _, _, conv = self.out_layers
        if self.scale_shift:
            h = activated(norm, h, *shift.chunk(2, dim=1))
        else:
            h = activated(norm, h + shift)
        h = conv(h)
        skip = self.skip_connection(x)
        out: Tensor = h.add_(skip) if owned(h) else h + skip
        return out


class AttentionBlock(nn.Module):
    """Self-attention over pixels. qkv channels are grouped per head, q, k, v inside a head."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = Norm(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        b, c, height, width = x.shape
        # Pixels last-but-one: a view, not a copy, of a channels_last tensor.
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(b, height * width, c)
        qkv = F.linear(tokens, self.qkv.weight.squeeze(-1), self.qkv.bias)
        qkv = qkv.view(b, height * width, self.heads, 3, c // self.heads)
        q, k, v = qkv.permute(3, 0, 2, 1, 4)
        h = F.scaled_dot_product_attention(q, k, v)
        h = h.transpose(1, 2).reshape(b, height * width, c)
        h = F.linear(h, self.proj_out.weight.squeeze(-1), self.proj_out.bias)
        return x + h.view(b, height, width, c).permute(0, 3, 1, 2)


class _Block(nn.ModuleList):
    """Layers run one after the other, each given the timestep embedding too."""

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        for layer in self:
            x = layer(x, emb)
        return x


class UNet(nn.Module):
    """ADM U-Net predicting noise (and, with 2·C outputs, the variance's position in its range).

    Call it with z of shape (B, C, H, W), H and W divisible by 2**(levels - 1), and original
    timesteps t of shape (B,); it returns (B, out_channels, H, W).
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.model_channels
        emb = 4 * width
        self.time_embed = nn.Sequential(nn.Linear(width, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.input_blocks = nn.ModuleList(
            [_Block([_Conv(config.in_channels, config.channel_mult[0] * width, 3, padding=1)])]
        )
        channels, skips = self._build_down(emb)
        self.middle_block = _Block(
            [
                self._res(channels, channels, emb),
                self._attention(channels),
                self._res(channels, channels, emb),
            ]
        )
        channels = self._build_up(channels, skips, emb)
        head = nn.Conv2d(channels, config.out_channels, 3, padding=1)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)  # type: ignore[arg-type]
        self.out = nn.Sequential(Norm(channels), nn.SiLU(), head)

    def _res(
        self, channels: int, out: int, emb: int, resample: nn.Module | None = None
    ) -> ResBlock:
        scale_shift = self.config.use_scale_shift_norm
        return ResBlock(channels, out, emb, scale_shift=scale_shift, resample=resample)

    def _attention(self, channels: int) -> AttentionBlock:
        per_head = self.config.num_head_channels
        heads = self.config.num_heads if per_head == -1 else channels // per_head
        return AttentionBlock(channels, heads)

    def _build_down(self, emb: int) -> tuple[int, list[int]]:
        config = self.config
        channels = config.channel_mult[0] * config.model_channels
        skips = [channels]
        for level, mult in enumerate(config.channel_mult):
            for _ in range(config.num_res_blocks):
                block: list[nn.Module] = [self._res(channels, mult * config.model_channels, emb)]
                channels = mult * config.model_channels
                if 2**level in config.attention_factors:
                    block.append(self._attention(channels))
                self.input_blocks.append(_Block(block))
                skips.append(channels)
            if level < len(config.channel_mult) - 1:
                down = (
                    self._res(channels, channels, emb, _Down())
                    if config.resblock_updown
                    else _DownConv(channels)
                )
                self.input_blocks.append(_Block([down]))
                skips.append(channels)
        return channels, skips

    def _build_up(self, channels: int, skips: list[int], emb: int) -> int:
        config = self.config
        self.output_blocks = nn.ModuleList()
        for level, mult in reversed(list(enumerate(config.channel_mult))):
            for i in range(config.num_res_blocks + 1):
                out = mult * config.model_channels
                block: list[nn.Module] = [self._res(channels + skips.pop(), out, emb)]
                channels = out
                if 2**level in config.attention_factors:
                    block.append(self._attention(channels))
                if level > 0 and i == config.num_res_blocks:
                    block.append(
                        self._res(channels, channels, emb, _Up())
                        if config.resblock_updown
                        else _UpConv(channels)
                    )
                self.output_blocks.append(_Block(block))
        return channels

    def forward(self, z: Tensor, t: Tensor) -> Tensor:
        emb = self.time_embed(timestep_embedding(t, self.config.model_channels))
        h = z
        skips = []
        for block in self.input_blocks:
            h = block(h, emb)
            skips.append(h)
        h = self.middle_block(h, emb)
        for block in self.output_blocks:
            h = block(torch.cat([h, skips.pop()], dim=1), emb)
        norm, _, head = self.out
        out: Tensor = head(activated(norm, h))
        return out
