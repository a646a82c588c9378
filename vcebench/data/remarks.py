"""What was met while images were read, counted for a person: one line a kind, one file named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Habit = Literal["transparent", "deep", "dim", "several"]

_TEXT: dict[Habit, str] = {
    "transparent": "{n} images are transparent in places: composed on {background} "
    "(such as {example})",
    "deep": "{n} images of 16 bits are scaled from the range of their type (such as {example})",
    "dim": "{n} images of 16 bits use less than an eighth of their range and come out nearly black "
    "(such as {example}); rescale them first",
    "several": "{n} files hold several pictures, the first of each is used (such as {example})",
}


@dataclass(frozen=True)
class Remarks:
    """Habits of files, each with the files that have it; reading a file again counts nothing.

    background: how the colour is called that transparent images are composed on.
    """

    background: str = "white"
    met: dict[Habit, dict[str, None]] = field(default_factory=dict)

    def add(self, habit: Habit, file: str) -> None:
        """A file that has a habit."""
        self.met.setdefault(habit, {})[file] = None

    def lines(self) -> list[str]:
        """What a person should know, one line a habit, in a fixed order.

        >>> remarks = Remarks()
        >>> remarks.add("deep", "a.png")
        >>> remarks.lines()
        ['1 images of 16 bits are scaled from the range of their type (such as a.png)']
        """
        return [
            text.format(n=len(files), example=next(iter(files)), background=self.background)
            for habit, text in _TEXT.items()
            if (files := self.met.get(habit))
        ]
