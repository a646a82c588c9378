"""How classifiers are asked: margins, decisions, probabilities."""

import pytest
import torch
from torch import nn

from vcebench.models.classifier import (
    BinaryClassifier,
    MulticlassClassifier,
    NoneOfClassifier,
    PairClassifier,
    over,
    remembered,
)


class Fixed(nn.Module):
    """Returns the given logits, whatever the images."""

    def __init__(self, *rows):
        super().__init__()
        self.rows = torch.tensor(rows)

    def forward(self, x):
        return self.rows


X = torch.zeros(2, 3, 4, 4)
# Image 0 is class 2 above all, of the pair (0, 1) rather 0; image 1 is class 1.
LOGITS = ([2.0, 1.0, 5.0], [0.0, 4.0, 1.0])


def test_binary_margin_is_signed_by_the_target():
    classifier = BinaryClassifier(Fixed(-1.5, 2.0))
    margin = classifier.margin(X, torch.tensor([1, 0]), torch.tensor([0, 1]))
    assert margin.tolist() == [-1.5, -2.0]


def test_binary_decision_leads_away_from_the_prediction():
    decision = BinaryClassifier(Fixed([-1.5], [2.0])).decide(X)
    assert decision.prediction.tolist() == decision.source.tolist() == [0, 1]
    assert decision.target.tolist() == [1, 0]


def test_binary_probabilities_are_of_both_classes():
    p = BinaryClassifier(Fixed(0.0, 2.0)).probabilities(X)
    torch.testing.assert_close(p[:, 1], torch.sigmoid(torch.tensor([0.0, 2.0])))
    torch.testing.assert_close(p.sum(1), torch.ones(2))


def test_binary_reads_one_column_of_an_oracle():
    classifier = BinaryClassifier(Fixed(*LOGITS), index=2)
    assert classifier.logits(X).tolist() == [5.0, 1.0]


def test_binary_refuses_several_logits_without_a_column():
    with pytest.raises(ValueError, match="which column"):
        BinaryClassifier(Fixed(*LOGITS)).predict(X)


def test_unit_does_not_touch_the_logits():
    assert BinaryClassifier(Fixed(1.0, 2.0), unit=7.0).logits(X).tolist() == [1.0, 2.0]


def test_pair_source_is_the_larger_logit_of_the_pair():
    decision = PairClassifier(Fixed(*LOGITS), (0, 1)).decide(X)
    assert decision.source.tolist() == [0, 1]
    assert decision.target.tolist() == [1, 0]


def test_pair_prediction_is_over_all_classes():
    assert PairClassifier(Fixed(*LOGITS), (0, 1)).predict(X).tolist() == [2, 1]


@pytest.mark.parametrize("source", [torch.tensor([0, 1]), None])
def test_pair_margin_is_target_minus_source(source):
    margin = PairClassifier(Fixed(*LOGITS), (0, 1)).margin(X, torch.tensor([1, 0]), source)
    assert margin.tolist() == [-1.0, -4.0]


def test_multiclass_target_is_the_runner_up():
    decision = MulticlassClassifier(Fixed(*LOGITS)).decide(X)
    assert decision.source.tolist() == [2, 1]
    assert decision.target.tolist() == [0, 2]


def test_multiclass_margin_without_source_is_positive_iff_predicted():
    margin = MulticlassClassifier(Fixed(*LOGITS)).margin(X, torch.tensor([2, 0]))
    assert margin.tolist() == [3.0, -4.0]


def test_margin_is_differentiable():
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    PairClassifier(network, (0, 1)).margin(x, torch.tensor([1, 1])).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_none_of_is_class_1_where_no_listed_cause_is_seen():
    # Of the causes, columns 0 and 2 count: the first image shows one of them, the second none.
    classifier = NoneOfClassifier(Fixed([-3.0, 9.0, 2.0], [-1.0, 9.0, -4.0]), [0, 2])
    assert classifier.logits(X).tolist() == [-2.0, 1.0]
    assert classifier.predict(X).tolist() == [0, 1]
    assert classifier.margin(X, torch.tensor([1, 0])).tolist() == [-2.0, -1.0]


def test_a_remembered_classifier_asks_its_network_once_about_an_image():
    asked = []

    class Counted(Fixed):
        def forward(self, x):
            asked.append(x)
            return self.rows * x.mean()

    plain = PairClassifier(Counted(*LOGITS), (0, 1))
    twin, x, other = remembered(plain), X + 1, X + 2
    target = torch.tensor([0, 0])
    for images in (x, other, x):
        assert torch.equal(twin.margin(images, target), plain.margin(images, target))
        assert torch.equal(twin.probabilities(images), plain.probabilities(images))
    assert len(asked) == 2 + 6
    remembered(plain).predict(x)
    assert len(asked) == 9


def test_another_network_leaves_the_given_classifier_as_it_is():
    plain = PairClassifier(Fixed(*LOGITS), (0, 1))
    twin = over(plain, Fixed([0.0, 9.0, 1.0], [0.0, 9.0, 1.0]))
    assert plain.predict(X).tolist() == [2, 1]
    assert twin.predict(X).tolist() == [1, 1]
    assert (type(twin), twin.pair) == (PairClassifier, (0, 1))


def test_the_logit_of_one_output_is_signed_by_the_class():
    classifier = BinaryClassifier(Fixed(-1.5, 2.0))
    assert classifier.logit(X, torch.tensor([0, 0])).tolist() == [1.5, -2.0]
    log_prob = classifier.log_prob(X, torch.tensor([1, 1]))
    torch.testing.assert_close(log_prob.exp(), torch.sigmoid(torch.tensor([-1.5, 2.0])))


@pytest.mark.parametrize(
    "classifier", [MulticlassClassifier(Fixed(*LOGITS)), PairClassifier(Fixed(*LOGITS), (0, 1))]
)
def test_a_class_among_k_is_one_of_all_also_in_a_pair(classifier):
    classes = torch.tensor([1, 0])
    assert classifier.logit(X, classes).tolist() == [1.0, 0.0]
    expected = torch.tensor(LOGITS).softmax(dim=1)[[0, 1], classes]
    torch.testing.assert_close(classifier.log_prob(X, classes).exp(), expected)
