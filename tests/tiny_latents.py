"""A conditional prior among latents of half the side, of random networks."""

import torch
from torch import Tensor, nn

from vcebench.methods.core.prior import ByClass, ConditionalPrior
from vcebench.methods.core.schedule import scaled_linear_schedule
from vcebench.methods.core.space import Latents


class TinyCoder(nn.Module):
    """An autoencoder of four channels at half the side."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, 8, 2, stride=2)
        self.decoder = nn.ConvTranspose2d(4, 3, 2, stride=2)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance - 4

    def decode(self, z: Tensor) -> Tensor:
        return torch.tanh(self.decoder(z))


class TinyTold(nn.Module):
    """Predicts noise from a convolution, the timestep and the mean of what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.words = nn.Linear(5, 4)

    def forward(self, z: Tensor, t: Tensor, context: Tensor) -> Tensor:
        words = self.words(context.mean(dim=1))[:, :, None, None]
        return torch.tanh(self.conv(z) * (1 + words) + words + t.view(-1, 1, 1, 1) / 1000)


def tiny_latents() -> ConditionalPrior:
    """The same one every time; classes 0 and 1 have words."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        coder, network = TinyCoder().requires_grad_(False), TinyTold().requires_grad_(False)
        contexts = {class_: torch.randn(3, 5) for class_ in range(2)}
    schedule = scaled_linear_schedule(0.00085, 0.012, 50, 1, "float32")
    conditions = ByClass(torch.zeros(3, 5), contexts)
    return ConditionalPrior(network.eval(), schedule, conditions, Latents(coder.eval(), 0.5))
