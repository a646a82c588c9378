"""Adversarial training: attacks stay in their ball and hurt; interrupted, it goes on as it was."""

import pytest
import torch
from torch import nn

from vcebench.models.small import build_network
from vcebench.training.loop import LoopSettings, fit
from vcebench.training.robust import (
    Besieged,
    ascend,
    class_losses,
    logit_losses,
    robust_loss,
)


def pictures(count=64):
    """Bright and dark pictures, uint8, and which is which."""
    labels = torch.arange(count) % 2
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(-20, 20, (count, 3, 8, 8), generator=generator)
    return (noise + 100 + 56 * labels[:, None, None, None]).to(torch.uint8), labels


def unchanged(x, generator):
    return x


def hardened(epsilon=0.3, ramp=4):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Besieged(build_network("smooth-classifier", {"outputs": 2}), epsilon, ramp)


def test_the_attack_stays_in_its_ball_and_in_the_range_of_pictures():
    x = 2 * torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1)) - 1
    network = hardened()
    generator = torch.Generator().manual_seed(2)
    moved = ascend(network, x, torch.zeros(5).long(), class_losses, 0.5, generator)
    assert moved.abs().max() <= 1
    lengths = (moved - x).flatten(1).norm(dim=1) / 2
    assert lengths.max() <= 0.5 + 1e-5
    assert lengths.min() > 0.2


def test_the_attack_raises_the_loss():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    x = torch.zeros(4, 3, 2, 2)
    labels = torch.ones(4).long()
    moved = ascend(network, x, labels, class_losses, 0.5, torch.Generator().manual_seed(0))
    before, after = (class_losses(network(at), labels) for at in (x, moved))
    assert (after > before).all()


def test_a_picture_is_attacked_through_one_of_several_logits():
    # Each logit looks at a pixel of its own: only one of the two pixels moves by much.
    def network(x):
        return 5 * x[:, 0, 0, :2]

    labels = torch.ones(64, 2)
    x = torch.zeros(64, 3, 2, 2)
    moved = ascend(network, x, labels, logit_losses, 0.2, torch.Generator().manual_seed(0))
    change = (moved - x)[:, 0, 0, :2].abs()
    assert (change.amax(dim=1) > 2 * change.amin(dim=1)).all()
    assert set(change.argmax(dim=1).tolist()) == {0, 1}


def test_the_radius_grows_to_its_full_length():
    network = hardened(epsilon=2.0, ramp=4)
    assert [network.radius() for _ in range(6)] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]


def test_interrupted_training_reaches_the_same_weights(tmp_path):
    loss = robust_loss(pictures, class_losses, unchanged, batch=8)

    def run(name, stops):
        network = hardened()
        for limit in stops:
            seen = []

            def limited(module, generator, limit=limit, seen=seen):
                if len(seen) == limit:
                    raise KeyboardInterrupt
                seen.append(0)
                return loss()(module, generator)

            settings = LoopSettings(steps=6, seed=3, warmup=1, save_every=1)
            try:
                fit("robust", network, limited, settings, tmp_path / name, progress=False)
            except KeyboardInterrupt:
                network = hardened()
        return network

    whole, resumed = run("whole", [6]), run("resumed", [2, 6])
    assert int(whole.attacks) == int(resumed.attacks) == 6
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_hardened_network_stands_an_attack(tmp_path):
    pytest.importorskip("art")
    from vcebench.training.robustness import robustness

    network = hardened(epsilon=0.5)
    settings = LoopSettings(steps=40, seed=3, learning_rate=3e-3, warmup=1, ema=0.9)
    loss = robust_loss(pictures, class_losses, unchanged, batch=16)()
    fit("robust", network, loss, settings, tmp_path / "state", progress=False)
    with torch.no_grad():
        found = robustness(network, *pictures(16), 0.5, certain=8)
    assert found["clean"] == found["pgd20"] == 1
    assert found["wrong_at_8eps"] > 0.5
