"""Tables as text."""

from __future__ import annotations

import csv
import io
import json

import pytest

from vcebench.errors import UserError
from vcebench.formats import Table, check_format, dump, number

TABLE = Table([{"name": "a|b", "ℓ1": 0.123456, "n": 3}, {"name": "c", "ℓ1": None, "n": 12345678}])


def test_json_keeps_numbers_in_full() -> None:
    assert json.loads(TABLE.render("json"))[0] == {"name": "a|b", "ℓ1": 0.123456, "n": 3}


def test_csv_can_be_read_back() -> None:
    rows = list(csv.DictReader(io.StringIO(TABLE.render("csv"))))
    assert rows[0] == {"name": "a|b", "ℓ1": "0.123456", "n": "3"}
    assert rows[1]["ℓ1"] == ""


def test_github_shows_four_digits_and_a_dash_for_nothing() -> None:
    lines = TABLE.render("github").splitlines()
    assert "0.1235" in lines[2]
    assert "–" in lines[3]


def test_latex_has_booktabs_and_only_letters_its_fonts_know() -> None:
    text = TABLE.render("latex")
    assert r"\toprule" in text
    assert r"$\ell$" in text
    assert text.isascii()


def test_an_empty_table_is_no_error() -> None:
    assert Table([], columns=("a",)).render("csv") == "a"
    assert json.loads(Table([]).render("json")) == []


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (96.875, "96.88"), (1234.5, "1234"), (2e-6, "2e-06")]
)
def test_numbers_have_four_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_nan_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        dump({"value": float("nan")})


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(UserError, match="use github, csv, json, latex"):
        check_format("html")
