"""The reference loop computes what the package computes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks import against
from benchmarks.reference import Reference, plain
from benchmarks.setting import QUICK, Scale, setting

SMALL = replace(QUICK, batch_size=2, tau=3)


def test_images_equal_ours_before_quantisation():
    mine, theirs = against.floats(setting(SMALL, 2))
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)
    assert float((mine - theirs).abs().max()) > 0  # two programs, not one


def test_another_noise_makes_other_images():
    given = setting(SMALL, 2)
    other = replace(given, config=given.config.model_copy(update={"seed": 1}))
    assert against.check_equal(given) < against.TOLERANCE
    loop = Reference(other)
    found = loop.explain(given.stacked(), [one.item.id for one in given.tries()])
    assert not torch.equal(found.images, against.ours(given, 1).images)


def test_a_difference_beyond_the_tolerance_is_an_error(monkeypatch):
    monkeypatch.setattr(against, "TOLERANCE", 0.0)
    with pytest.raises(RuntimeError, match="makes other images"):
        against.check_equal(setting(SMALL, 2))


def test_retries_decide_as_the_ladder_does_in_shrinking_batches(monkeypatch):
    # A strong classifier term makes some images flip at once and others later or never.
    given = setting(replace(SMALL, batch_size=4, tau=8), 6)
    strong = replace(given.bundle, class_unit=30 * given.bundle.class_unit)
    given = setting(replace(SMALL, batch_size=4, tau=8), 6, bundle=strong)
    sizes = []
    loop = Reference._loop

    def counted(self, x, *rest):
        sizes.append(len(x))
        return loop(self, x, *rest)

    monkeypatch.setattr(Reference, "_loop", counted)
    ids = [one.item.id for one in given.tries(6)]
    theirs, mine = Reference(given).explain(given.stacked(6), ids), against.ours(given, 2)
    assert torch.equal(theirs.flipped, mine.flipped)
    assert torch.equal(theirs.lambda_class, mine.lambda_class)
    assert 0 < int(mine.flipped.sum()) < 6
    assert min(sizes) < 4


def test_all_steps_are_kept():
    given = setting(SMALL, 2)
    found = Reference(given).explain(given.stacked(), [one.item.id for one in given.tries()])
    assert [part.shape for part in found.history] == [
        *[torch.Size([2, 3, 3, 32, 32])] * 2,
        *[torch.Size([2, 3, 1, 32, 32])] * 2,
    ]


def test_the_plain_network_is_another_way_to_the_same_output():
    given = setting(Scale(), 1)
    network = given.bundle.prior.network
    z, t = torch.randn(2, 3, 64, 64), torch.tensor([3, 120])
    with torch.no_grad():
        torch.testing.assert_close(plain(network)(z, t), network(z, t), rtol=1e-4, atol=1e-4)
    assert type(network).__name__ == "UNet"
