"""A data set outside the repository, with its networks: bright and dark rectangles.

pip install ./examples, then: vcebench run --method pgd --dataset rectangles --lambda-perceptual 0
"""

import torch

from vcebench.data.base import Example, Task
from vcebench.data.registry import DatasetEntry
from vcebench.models.bundle import Bundle
from vcebench.models.classifier import BinaryClassifier

TASK = Task("brightness", "binary", (0, 1), ("dark", "bright"))


class Rectangles:
    """A grey rectangle on black in every image; indexable, and the same every time."""

    name, size = "rectangles", (32, 32)

    def __init__(self, task, split, root):
        self.task, self.split = task, split

    def __len__(self):
        return 64

    def id(self, index):
        return f"rectangles-{self.split}-{index:03d}"

    def __getitem__(self, index):
        level = 40 if index % 2 == 0 else 215
        image = torch.zeros(3, *self.size, dtype=torch.uint8)
        image[:, 4 : 20 + index % 8, 6:26] = level
        return Example(self.id(index), image, int(level > 127))


class Brightness(torch.nn.Module):
    """Images in [-1, 1] to one logit: how bright the middle is."""

    def forward(self, x):
        return 4 * x[:, :, 8:18, 8:24].mean(dim=(1, 2, 3))


def networks(task):
    """What a task is explained, guided and measured with; a prior would be one of them."""
    return Bundle(classifier=BinaryClassifier(Brightness()))


rectangles = DatasetEntry(
    name="rectangles",
    summary="bright and dark rectangles, 32x32",
    reference="an example",
    target=Rectangles,
    tasks=(TASK,),
    default_task="brightness",
    size=(32, 32),
    splits=("test",),
    networks=networks,
)
