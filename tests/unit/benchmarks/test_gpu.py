"""The figures of a GPU can be made; here, of a CPU and of tiny amounts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmarks import gpu

TINY = replace(gpu.SMALL, tiers=("exact",), tau=1)


def test_every_part_has_its_lines():
    rate = gpu.rates(TINY)
    lines = [*gpu.forwards(TINY, rate), *gpu.tries(TINY)]
    what = [line.what for line in lines]
    assert sum(one.startswith("U-Net forward, exact") for one in what) == len(gpu.LAYOUTS)
    assert "one try, maskdime, exact, batch 2" in what
    for part in ("posterior", "class gradient", "perceptual gradient", "masks", "noise, drawn"):
        assert any(one.startswith(part) for one in what)
    # A floor is one, and so are times.
    assert all(float(line.value.split()[0]) > 0 for line in lines)
    assert all(line.met is None for line in lines)


def test_a_goal_is_judged(monkeypatch):
    monkeypatch.setattr(gpu, "seconds", lambda run, amount: 1.39)
    monkeypatch.setattr(gpu, "parts", lambda *given: [])
    monkeypatch.setitem(gpu.GOALS, ("exact", 2), 1.4)
    (line,) = gpu.tries(TINY)
    assert (line.target, line.met) == ("≤ 1.4 s", True)


def test_peak_memory_is_a_figure():
    assert gpu.peak(TINY, "exact", 2) > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_card_it_says_so(capsys):
    with pytest.raises(SystemExit):
        gpu.main([])
    assert "finds no CUDA device" in capsys.readouterr().err
