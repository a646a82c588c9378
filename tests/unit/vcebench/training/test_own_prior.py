"""What a prior of somebody's own images says of itself."""

import pytest

from vcebench.training import own_prior


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"images": 64}, "of 64 images that it learned from"),
        ({"images": 64, "kept_of": 256, "unseen": True}, "of 256 images that it has not seen"),
    ],
)
def test_cards_of_earlier_builds_are_read_too(monkeypatch, more, said):
    monkeypatch.setattr(own_prior, "shipped_errors", lambda size: ("digits", {"10": 0.1}))
    card = {"noise_mse": {"10": 0.2}, "kept": 0.75, "tau": 60, **more}
    errors, kept, advice = own_prior.lines_on(card, (32, 32))
    assert "10: 0.200 (0.100)" in errors
    assert kept.startswith("75.0% (")
    assert said in kept
    assert "less than 95%" in advice
