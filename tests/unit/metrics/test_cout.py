import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vcebench.metrics.cout import area, block_size, change_map, cout


def brightness(images):
    """A classifier for uint8 images: p(1) is the mean brightness."""
    bright = images.double().mean(dim=(1, 2, 3)) / 255
    return torch.stack([1 - bright, bright], dim=1)


def random_images(seed, n=3, size=10):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=generator)


def one_by_one(x, x_cf, source, target, probabilities):
    """COUT of one image as a plain loop over blocks."""
    _, height, width = x.shape
    step = max(1, height * width // 50)
    change = (x.long() - x_cf.long()).abs().sum(0).flatten().numpy()
    order = np.argsort(-change, kind="stable")
    current, curve = x.clone(), [probabilities(x[None])[0, [source, target]].tolist()]
    for start in range(0, height * width, step):
        for pixel in order[start : start + step]:
            current[:, pixel // width, pixel % width] = x_cf[:, pixel // width, pixel % width]
        curve.append(probabilities(current[None])[0, [source, target]].tolist())
    points = np.array(curve)
    weights = np.full(len(points), step / (height * width))
    weights[[0, -1]] /= 2
    return points, weights @ (points[:, 1] - points[:, 0])


def classes(n, source=0, target=1):
    return torch.full((n,), source), torch.full((n,), target)


@pytest.mark.parametrize(("side", "expected"), [(32, 20), (128, 327), (5, 1)])
def test_block_size(side, expected):
    assert block_size(side * side) == expected


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_cout_equals_a_plain_loop(batch_size):
    x, x_cf = random_images(0, size=13), random_images(1, size=13)
    x_cf[1, :, 4:] = x[1, :, 4:]  # a local edit, whose later points are not evaluated anew
    result = cout(x, x_cf, *classes(3), brightness, batch_size=batch_size)
    for i in range(3):
        points, score = one_by_one(x[i], x_cf[i], 0, 1, brightness)
        np.testing.assert_allclose(result.source[i], points[:, 0], atol=1e-12)
        np.testing.assert_allclose(result.target[i], points[:, 1], atol=1e-12)
        assert result.scores[i] == pytest.approx(score, abs=1e-12)


def test_source_and_target_may_differ_between_images():
    x, x_cf = random_images(0), random_images(1)
    source, target = torch.tensor([0, 1, 0]), torch.tensor([1, 0, 1])
    result = cout(x, x_cf, source, target, brightness)
    opposite = cout(x, x_cf, target, source, brightness)
    np.testing.assert_allclose(result.scores, -opposite.scores, atol=1e-12)


@given(st.integers(0, 1000))
def test_an_unchanged_image_has_flat_curves(seed):
    x = random_images(seed, n=1)
    result = cout(x, x, *classes(1), brightness)
    assert np.ptp(result.source) == np.ptp(result.target) == 0
    p = brightness(x)[0]
    assert result.scores[0] == pytest.approx(float(p[1] - p[0]), abs=1e-9)


def test_an_unchanged_image_that_the_classifier_is_sure_of_scores_minus_one():
    black = torch.zeros(1, 3, 10, 10, dtype=torch.uint8)
    assert cout(black, black, *classes(1), brightness).scores[0] == pytest.approx(-1)


def test_an_immediate_flip_scores_almost_one():
    x = torch.zeros(1, 3, 10, 10, dtype=torch.uint8)
    x_cf = x.clone()
    x_cf[0, :, 0, 0] = 255

    def any_white(images):
        flipped = (images == 255).flatten(1).any(1).double()
        return torch.stack([1 - flipped, flipped], dim=1)

    # 50 steps of 1/50; only the first half step is lost on either curve.
    assert cout(x, x_cf, *classes(1), any_white).scores[0] == pytest.approx(0.98)


def test_the_most_changed_pixels_come_first():
    x = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    x_cf = torch.tensor([[[[1, 4], [2, 3]]]], dtype=torch.uint8)
    seen = []

    def spy(images):
        seen.extend(images[:, 0].flatten(1).tolist())
        return torch.zeros(len(images), 2)

    cout(x, x_cf, *classes(1), spy)
    assert seen == [[0, 0, 0, 0], [0, 4, 0, 0], [0, 4, 0, 3], [0, 4, 2, 3], [1, 4, 2, 3]]


def test_ties_are_inserted_in_row_major_order():
    x = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    seen = []

    def spy(images):
        seen.extend(images[:, 0].flatten(1).tolist())
        return torch.zeros(len(images), 2)

    cout(x, x + 9, *classes(1), spy)
    assert seen == [[0, 0, 0, 0], [9, 0, 0, 0], [9, 9, 0, 0], [9, 9, 9, 0], [9, 9, 9, 9]]


def test_points_without_a_change_are_not_evaluated_again():
    x = random_images(0, n=2)
    x_cf = x.clone()
    x_cf[0, 0, 0, :3] ^= 128  # 3 changed pixels = 2 blocks of 2
    counted = []

    def count(images):
        counted.append(len(images))
        return brightness(images)

    cout(x, x_cf, *classes(2), count)
    assert sum(counted) == (1 + 2) + 1


@given(st.permutations(range(4)))
def test_cout_does_not_depend_on_the_order_of_the_images(order):
    x, x_cf = random_images(0, n=4), random_images(1, n=4)
    scores = cout(x, x_cf, *classes(4), brightness).scores
    shuffled = cout(x[order], x_cf[order], *classes(4), brightness).scores
    np.testing.assert_allclose(shuffled, scores[order], atol=1e-12)


def test_the_change_of_8_bit_images_is_exact():
    x, x_cf = torch.tensor([0, 255, 7]), torch.tensor([255, 0, 7])
    change = change_map(x.view(1, 3, 1, 1).byte(), x_cf.view(1, 3, 1, 1).byte())
    assert change.tolist() == [[[510]]]


def test_area_counts_the_ends_half():
    assert area(np.array([[1.0, 2.0, 4.0]]), 0.5) == pytest.approx((0.5 + 2 + 2) * 0.5)


@pytest.mark.parametrize(
    ("x_cf", "count", "message"),
    [
        (random_images(1, size=9), 3, "share a shape"),
        (random_images(1).float(), 3, "same type"),
        (random_images(1), 2, "one class per image"),
    ],
)
def test_inputs_must_agree(x_cf, count, message):
    with pytest.raises(ValueError, match=message):
        cout(random_images(0), x_cf, *classes(count), brightness)
