"""What outputs of somebody's own network mean."""

import pytest
import torch
from torch import nn

from vcebench.errors import UserError
from vcebench.models.interpret import interpret

X = torch.linspace(-1, 1, 4 * 3 * 8 * 8).view(4, 3, 8, 8)
TASK = torch.tensor([-2.0, 1.0, 0.5])


class Net(nn.Module):
    def __init__(self, read):
        super().__init__()
        self.read = read

    def forward(self, x):
        return self.read(4 * x.mean(dim=(1, 2, 3))[:, None] * TASK.to(x))


def columns(count, end=lambda out: out):
    return Net(lambda out: end(out[:, :count]))


def softmax(out):
    return out.softmax(dim=1)


@pytest.mark.parametrize("shape", [(), (1,), (2,), (3,)], ids=str)
def test_logits_are_read_as_they_are(shape):
    net = Net(lambda out: out[:, 0] if not shape else out[:, : shape[0]])
    found = interpret(net, X)
    assert found.notes == ()
    assert found.classifier.probabilities(X).shape == (4, max(2, *shape, 2))


@pytest.mark.parametrize("count", [2, 3])
def test_a_softmax_is_undone_and_said(count):
    found = interpret(columns(count, softmax), X)
    plain = interpret(columns(count), X).classifier
    torch.testing.assert_close(found.classifier.probabilities(X), plain.probabilities(X))
    assert "without its softmax" in found.notes[0]


@pytest.mark.parametrize(("count", "index"), [(1, None), (2, None), (3, 1)])
def test_a_sigmoid_is_refused_until_somebody_says_what_it_is(count, index):
    net = columns(count, torch.sigmoid)
    with pytest.raises(UserError, match=r'is there a sigmoid.*outputs = "probabilities"'):
        interpret(net, X, index)
    assert interpret(net, X, index, "logits").notes == ()


@pytest.mark.parametrize(("count", "index"), [(1, None), (3, 1)])
def test_said_probabilities_give_the_logits_they_come_from(count, index):
    found = interpret(columns(count, torch.sigmoid), X, index, "probabilities").classifier
    plain = interpret(columns(count), X, index).classifier
    torch.testing.assert_close(found.logits(X), plain.logits(X), atol=1e-4, rtol=1e-4)


def test_logits_that_are_said_to_be_probabilities_are_refused():
    with pytest.raises(UserError, match=r"leave \[0, 1\]"):
        interpret(columns(2), X, meaning="probabilities")


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda out: out[:, :1].squeeze(), "take the squeeze out"),
        (lambda out: out.argmax(dim=1), "returns torch.int64"),
        (lambda out: (out,), "returns tuple"),
        (lambda out: out[:, :, None], "must return logits with shape"),
        (lambda out: out.nothing, "fails on images of shape"),
    ],
    ids=["squeeze", "classes", "tuple", "map", "error"],
)
def test_what_is_no_classifier_is_refused(read, words):
    with pytest.raises(UserError, match=words):
        interpret(Net(read), X)
