"""Captions of synthetic faces from their known causes, and a tokenizer whose words they use."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vcebench.data.synthfaces.scm import HAIR_COLOURS, INDEX

LENGTH = 24
"""Tokens of a prompt, with both ends."""
PHRASES = 12
"""Tokens that the causes after "with" may take: with the longest beginning they fill a prompt."""

KINDS = ("photo", "portrait", "picture", "image", "photograph", "snapshot")
_PHOTO = 0.8
_NAMED = {"Smiling": 0.85, "Young": 0.5, "Male": 0.5, "hair": 0.5, "other": 0.6}
_HAIR = dict(
    zip(HAIR_COLOURS, ("black hair", "brown hair", "blond hair", "gray hair"), strict=True)
)
_SHOWN = {
    "Eyeglasses": "eyeglasses",
    "Wearing_Hat": "a hat",
    "Mouth_Slightly_Open": "an open mouth",
    "Bangs": "bangs",
    "Rosy_Cheeks": "rosy cheeks",
    "Wearing_Lipstick": "lipstick",
    "Bushy_Eyebrows": "bushy eyebrows",
    "Narrow_Eyes": "narrow eyes",
}
WORDS = (
    *KINDS,
    *("a", "an", "of", "with", "and", "the", "in"),
    *("smiling", "non", "serious", "smile", "young", "old"),
    *("person", "face", "man", "woman"),
    *("black", "brown", "blond", "gray", "red", "hair", "eyeglasses", "hat", "open", "mouth"),
    *("bangs", "rosy", "cheeks", "lipstick", "bushy", "eyebrows", "narrow", "eyes", "beard"),
    *("driving", "scene", "street", "road", "light", "green", "pedestrian", "car", "lane"),
    *("digit", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *(
        "handwritten",
        "number",
        "forward",
        "stop",
        "slow",
        "traffic",
        "truck",
        "sky",
        "night",
        "way",
        "bicycle",
        "day",
    ),
)
"""One token each; the last lines are spare ones, for roads and digits, which no face teaches."""
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-,.'"
START, END = "<|startoftext|>", "<|endoftext|>"


def captions(
    attributes: NDArray[Any], count: int, generator: np.random.Generator
) -> list[list[str]]:
    """Captions of faces, each naming some of the causes, in any order.

    Args:
        attributes: 0 or 1 with shape (N, 17), columns as `scm.NAMES`.
        count: captions of each face.
        generator: draws which causes are named.
    """
    return [[_caption(row, generator) for _ in range(count)] for row in attributes.astype(bool)]


def _caption(row: NDArray[np.bool_], generator: np.random.Generator) -> str:
    def named(cause: str) -> bool:
        return bool(generator.random() < _NAMED[cause])

    kind = KINDS[0] if generator.random() < _PHOTO else str(generator.choice(KINDS[1:]))
    words = [f"a {kind} of"]
    said = []
    if named("Smiling"):
        unsmiling = str(generator.choice(("non-smiling", "non-smiling", "serious")))
        said.append("smiling" if row[INDEX["Smiling"]] else unsmiling)
    if named("Young"):
        said.append("young" if row[INDEX["Young"]] else "old")
    if named("Male"):
        said.append("man" if row[INDEX["Male"]] else "woman")
    else:
        said.append(str(generator.choice(("person", "face"))))
    words += ["an" if said[0] == "old" else "a", *said]
    phrases = [text for name, text in _HAIR.items() if row[INDEX[name]] and named("hair")]
    phrases += [text for name, text in _SHOWN.items() if row[INDEX[name]] and named("other")]
    if not row[INDEX["No_Beard"]] and named("other"):
        phrases.append("a beard")
    told = _fitting([phrases[k] for k in generator.permutation(len(phrases))])
    return " ".join([*words, "with", " and ".join(told)] if told else words)


def _fitting(phrases: list[str]) -> list[str]:
    """The first phrases whose words, with "and" between them, are no more than `PHRASES`."""
    told: list[str] = []
    length = 0
    for phrase in phrases:
        length += len(phrase.split()) + bool(told)
        if length > PHRASES:
            break
        told.append(phrase)
    return told


def write_tokenizer(folder: Path, words: tuple[str, ...] = WORDS) -> None:
    """Write `vocab.json`, `merges.txt` and the configuration of a CLIPTokenizer into a folder.

    Byte pairs are merged in these words until each is one token (Sennrich et al., 2016, Algorithm
    1), so that a word is cut as it was learnt; other words fall into pieces.
    """
    spelled = {word: [*word[:-1], f"{word[-1]}</w>"] for word in words}
    merges: list[tuple[str, str]] = []
    while any(len(pieces) > 1 for pieces in spelled.values()):
        found: dict[tuple[str, str], int] = {}
        for pieces in spelled.values():
            for pair in itertools.pairwise(pieces):
                found[pair] = found.get(pair, 0) + 1
        best = min(found, key=lambda pair: (-found[pair], pair))
        merges.append(best)
        spelled = {word: _merged(pieces, best) for word, pieces in spelled.items()}
    tokens = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS)]
    tokens += [a + b for a, b in merges]
    tokens += [START, END]
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, indent=0), encoding="utf-8")
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": LENGTH,
        **{"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")


def _merged(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    for piece in pieces:
        if out and (out[-1], piece) == pair:
            out[-1] += piece
        else:
            out.append(piece)
    return out
