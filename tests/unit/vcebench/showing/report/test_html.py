"""Escaping, and colours that can be read."""

import json
import re
from importlib import resources

import pytest

from vcebench.showing.report.html import embedded_json, environment, probability

STATIC = resources.files("vcebench.showing.report") / "static"
SURFACES = ("paper", "surface", "sunken", "best")
TEXTS = ("ink", "muted", "accent", "good", "bad")


@pytest.mark.parametrize("text", ["</script>", "<!--", "a & b", "\u2028", "'\"", "ℓ1 → λ"])
def test_embedded_json_reads_back_and_ends_no_element(text):
    written = str(embedded_json({"id": text}))
    assert not re.search("[<>&\u2028]", written)
    assert json.loads(written) == {"id": text}


def test_templates_escape_what_they_print():
    page = environment().from_string('<p title="{{ x }}">{{ x }}</p>').render(x="<b>\"'&")
    assert "<b>" not in page
    assert page.count("&lt;b&gt;&#34;&#39;&amp;") == 2


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.000"), (3e-5, "< 0.001"), (0.25, "0.250"), (0.9999, "> 0.999")]
)
def test_probabilities_never_look_certain_when_they_are_not(value, text):
    assert probability(value) == text


def test_no_asset_reaches_for_the_network():
    for asset in STATIC.iterdir():
        text = asset.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//\w+\.|@import|fetch\(|XMLHttp", text), asset.name


def test_scripts_set_no_markup():
    for asset in STATIC.iterdir():
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", asset.read_text()
        ), asset.name


def palettes():
    css = (STATIC / "report.css").read_text()
    blocks = re.findall(r"\{[^{}]*--paper:[^{}]*\}", css)
    return [dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block)) for block in blocks]


def luminance(colour):
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_has_enough_contrast_on_every_surface():
    found = palettes()
    assert len(found) == 3
    for palette in found:
        for text in TEXTS:
            for surface in SURFACES:
                light, dark = sorted(
                    (luminance(palette[text]), luminance(palette[surface])), reverse=True
                )
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, surface)


def test_dark_by_choice_is_dark_by_system():
    _, by_system, by_choice = palettes()
    assert by_system == by_choice
