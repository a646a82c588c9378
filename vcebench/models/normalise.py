"""Input conventions of published networks, put around them: ours are images in [-1, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalised(nn.Module):
    """A network that sees ([0, 1] image - mean) / std.

    Args:
        network: what is called with the normalised image; the only part with parameters.
        mean, std: per channel (R, G, B), on the [0, 1] scale.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        self.network = network
        # The explicit device keeps the constants real when the network is built on `meta`.
        for name, values in (("mean", mean), ("std", std)):
            column = torch.tensor(values, device="cpu")[:, None, None]
            self.register_buffer(name, column, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: images in [-1, 1] with shape (B, 3, H, W)."""
        out: Tensor = self.network(((x + 1) / 2 - self.mean) / self.std)
        return out


class Grey(nn.Module):
    """A network of one channel that is given images of three: their mean.

    Grey files are read as three equal channels, so it sees what is in them.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """x: images (B, 3, H, W)."""
        out: Tensor = self.network(x.mean(dim=1, keepdim=True))
        return out


class Single(nn.Module):
    """A network of one channel that is given images of three equal ones: the first, bit for bit."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """x: images (B, 3, H, W), or (B, 1, H, W), which stay as they are."""
        out: Tensor = self.network(x[:, :1])
        return out


class Coloured(nn.Module):
    """A network of three channels that is given images of one: the same three times."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """x: images (B, 1, H, W), or (B, 3, H, W), which stay as they are."""
        out: Tensor = self.network(x.expand(-1, 3, -1, -1))
        return out
