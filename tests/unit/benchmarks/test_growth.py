"""How commands grow: the fit, the table, and the steps themselves on a few images."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.growth import Step, a_million, exponent, measured, steps, table


def test_exponents_and_what_a_million_would_cost() -> None:
    counts = [250, 1000, 4000]
    assert exponent(counts, [2.0 * n for n in counts]) == pytest.approx(1)
    assert exponent(counts, [3e-6 * n**2 for n in counts]) == pytest.approx(2)
    assert exponent(counts, [5.0] * 3) == pytest.approx(0)
    assert a_million(counts, [10 + 0.5 * n for n in counts]) == pytest.approx(500_010)


def test_the_table_has_a_row_a_step() -> None:
    found = [Step("run", n, n / 100, 500 + n, 3 * n, n << 20) for n in (250, 1000)]
    (row,) = table(found).rows
    assert row["s at 250"] == 2.5
    assert row["exponent"] == 1
    assert (row["peak MiB"], row["files"], row["MiB on disk"]) == (1500, 3000, 1000)
    assert row["h at a million"] == pytest.approx(10_000 / 3600, abs=0.01)


@pytest.mark.slow
def test_every_step_can_be_carried_out(tmp_path: Path) -> None:
    names = [name for name, _, _ in steps(4, tmp_path)]
    found = measured(4, tmp_path)
    assert [step.name for step in found] == names
    assert all(step.seconds > 0 and step.memory > 0 and step.files > 0 for step in found)
