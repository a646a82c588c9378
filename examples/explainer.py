"""Any program as a method: a callable from images to images, here an optimiser on the pixels.

vcebench run --method ./examples/explainer.py:descend --name descend --dataset synthfaces
"""

import torch


def descend(images, target, *, classifier, seed):
    """Adam on the pixels until the classifier sees the target, held near the input by ℓ1."""
    change = torch.zeros_like(images, requires_grad=True)
    optimiser = torch.optim.Adam([change], lr=0.02)
    for _ in range(40):
        x = (images + change).clamp(-1, 1)
        margin = classifier.margin(x, target)
        loss = (-margin).clamp(min=-2).sum() + 10 * change.abs().mean(dim=(1, 2, 3)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return (images + change).clamp(-1, 1).detach()
