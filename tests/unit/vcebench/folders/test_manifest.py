"""What a manifest may not hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vcebench.folders.manifest import parse_manifest

OLD = Path(__file__).parents[3] / "e2e" / "before"


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_words_that_json_lacks_are_refused(word: str) -> None:
    stored = next(OLD.rglob("manifest.json")).read_bytes()
    content = json.dumps({**json.loads(stored), "other": ["here"]}).encode()
    assert parse_manifest(content)["other"] == ["here"]
    with pytest.raises(ValueError, match=f"^{word} is no number of JSON"):
        parse_manifest(content.replace(b'"here"', word.encode()))
