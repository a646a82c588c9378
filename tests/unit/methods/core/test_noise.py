"""Noise depends on its key alone."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from vcebench.methods.core.noise import KeyedNoise

SHAPE = (3, 4, 5)
ids = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6, unique=True)


@given(image_ids=ids, data=st.data())
def test_noise_is_independent_of_batch_and_order(image_ids, data):
    subset = data.draw(st.permutations(image_ids))[: len(image_ids) // 2 + 1]
    whole = KeyedNoise(7, "set", image_ids, SHAPE).draw("posterior", 3)
    part = KeyedNoise(7, "set", subset, SHAPE).draw("posterior", 3)
    for row, image_id in zip(part, subset, strict=True):
        assert torch.equal(row, whole[image_ids.index(image_id)])


def test_every_part_of_the_key_matters():
    def draw(seed=0, dataset="d", image="a", purpose="p", step=0, inner=0, pass_index=0):
        return KeyedNoise(seed, dataset, [image], SHAPE).draw(purpose, step, inner, pass_index)

    base = draw()
    others = [
        draw(seed=1),
        draw(dataset="e"),
        draw(image="b"),
        draw(purpose="q"),
        draw(step=1),
        draw(inner=1),
        draw(pass_index=1),
    ]
    assert all(not torch.equal(base, other) for other in others)
    assert torch.equal(base, draw())


def test_noise_is_standard_normal_float32():
    noise = KeyedNoise(0, "d", ["a"], (3, 128, 128)).draw("start", 0)
    assert noise.dtype == torch.float32
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02


def test_noise_of_a_key_never_changes():
    first = KeyedNoise(0, "digits", ["digits-00001"], (1, 1, 3)).draw("start", 0).flatten()
    expected = torch.tensor([-0.565743, -0.904454, 1.080323])
    torch.testing.assert_close(first, expected, atol=1e-6, rtol=0)
