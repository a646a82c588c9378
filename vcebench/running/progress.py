"""Progress of a run, on stderr."""

from __future__ import annotations

import html
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from vcebench.folders.rows import Row
from vcebench.settings.config import RunConfig
from vcebench.settings.request import method_of


class Progress:
    """A bar with images done and flips so far; moves with every step of the reverse loop.

    Args:
        config: the run it is about.
        console: where it is drawn (default: stderr).
    """

    def __init__(self, config: RunConfig, console: Console | None = None) -> None:
        self._steps = max(1, method_of(config).steps)
        self._name = f"{config.method} · {config.dataset} {config.task}"
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console or Console(stderr=True),
        )
        self._cell = _Cell() if console is None and _in_notebook() else None
        self._lock = threading.Lock()
        self._done = self._flipped = 0
        self._under_way = 0.0

    def __enter__(self) -> Progress:
        if self._cell is None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
        if self._cell is not None:
            self._cell.show(self._text(), self._completed(), self._total, last=True)

    def start(self, finished: Iterable[Row], total: int) -> None:
        """Begin, with the rows that are there already."""
        self._task = self._bar.add_task(self._name, total=total, state="")
        self._total = total
        self._add(list(finished))
        self._draw()

    def step(self, images: int) -> None:
        """A step of the loop is done for that many images; called from any thread."""
        with self._lock:
            self._under_way += images / self._steps
        self._draw()

    def finished(self, tries: int, rows: Sequence[Row]) -> None:
        """A batch of that many tries has ended and these images are final."""
        with self._lock:
            self._under_way = max(0.0, self._under_way - tries)
        self._add(rows)
        self._draw()

    def _add(self, rows: Sequence[Row]) -> None:
        self._done += len(rows)
        self._flipped += sum(bool(row.flipped) for row in rows)

    def _draw(self) -> None:
        state = self._text()
        self._bar.update(self._task, completed=self._completed(), state=state)
        if self._cell is not None:
            self._cell.show(state, self._completed(), self._total)

    def _text(self) -> str:
        return f"{self._done} of {self._total} images, {self._flipped} flipped"

    def _completed(self) -> float:
        # A batch may have to be tried again: only the last image completes the bar.
        estimate = self._done + self._under_way
        return self._done if self._done >= self._total else min(estimate, self._total - 0.01)


class _Cell:
    """The same bar below the cell of a notebook, which knows no terminal; needs no widgets."""

    def __init__(self) -> None:
        from IPython.display import display

        self._handle = display(self._html("", 0.0, 1), display_id=True)  # type: ignore[no-untyped-call]
        self._shown = 0.0

    def show(self, state: str, completed: float, total: int, last: bool = False) -> None:
        """Draw it anew, at most twice a second."""
        now = time.monotonic()
        if last or now - self._shown > 0.5:
            self._shown = now
            self._handle.update(self._html(state, completed, total))

    def _html(self, state: str, completed: float, total: int) -> Any:
        from IPython.display import HTML

        bar = f'<progress value="{completed:.2f}" max="{total}"></progress>'
        return HTML(f"{bar} {html.escape(state)}")  # type: ignore[no-untyped-call]


def _in_notebook() -> bool:
    """Whether the process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"
