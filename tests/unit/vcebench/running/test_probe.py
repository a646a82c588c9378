"""What a classifier of somebody's own cannot do is said before a run begins."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from vcebench.errors import UserError
from vcebench.folders.images import dequantise
from vcebench.models.classifier import BinaryClassifier
from vcebench.running.probe import probe

IMAGES = list(torch.arange(3 * 3 * 8 * 8, dtype=torch.uint8).view(3, 3, 8, 8))


class Net(nn.Module):
    def __init__(self, read):
        super().__init__()
        self.read = read

    def forward(self, x):
        return self.read(x)


def mean(x):
    return x.mean(dim=(1, 2, 3))


def worker(read):
    classifier = BinaryClassifier(Net(read)).eval()
    return SimpleNamespace(
        classifier=classifier,
        guide=classifier,
        perceptual=None,
        method=SimpleNamespace(needs=frozenset()),
        batch_size=4,
        device=torch.device("cpu"),
        walked=lambda images: dequantise(torch.stack(images)),
    )


def test_a_sound_classifier_passes_even_without_parameters():
    probe(worker(mean), IMAGES)


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda x: mean(x).detach(), "no gradient"),
        (torch.no_grad()(mean), "no gradient"),
        (lambda x: mean(x).squeeze() if len(x) > 1 else mean(x)[0], "must return|squeeze"),
        (lambda x: mean(x.sub_(0.5)), "in place"),
        (lambda x: mean(x) * torch.nan, "NaN or infinity"),
        (lambda x: mean(torch.dropout(x, 0.5, True)), "two answers to the same images"),
        (lambda x: mean(x - x.mean()), "depends on the others in the batch"),
        (lambda x: mean(x @ torch.ones(9, 9)), "fails on images of shape"),
    ],
    ids=["detach", "no_grad", "squeeze", "in place", "NaN", "dropout", "batch", "shape"],
)
def test_what_would_stop_a_run_is_one_sentence(read, words):
    with pytest.raises(UserError, match=words) as error:
        probe(worker(read), IMAGES)
    assert "\n" not in str(error.value)
