"""What the commands show: a progress bar while they work, a table or JSON at the end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TextIO

import numpy as np

BAR = 28


class ProgressBar:
    """One line on standard error that is rewritten; silent when nobody watches a terminal.

    Parameters
    ----------
    label : str
    total : float
        What `advance` adds up to; 0 when unknown.
    shown : bool, optional
        Default: whether `stream` is a terminal.
    """

    def __init__(
        self,
        label: str,
        total: float = 0,
        *,
        stream: TextIO | None = None,
        shown: bool | None = None,
    ) -> None:
        self.label = label
        self.total = total
        self.done = 0.0
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty() if shown is None else shown
        self._started = time.monotonic()
        self._drawn = 0.0

    def advance(self, amount: float) -> None:
        self.done += amount
        now = time.monotonic()
        if self._shown and now - self._drawn >= 0.1:
            self._drawn = now
            self._draw()

    def reach(self, share: float) -> None:
        """Stand at this share of the whole, 0 to 1; for work that tells its place."""
        self.total = self.total or 1.0
        self.advance(share * self.total - self.done)

    def __enter__(self) -> Self:
        if self._shown:
            self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._shown:
            return
        if kind is None:
            self.done = self.total or self.done
            self._draw()
        self._stream.write("\n")
        self._stream.flush()

    def _draw(self) -> None:
        share = min(self.done / self.total, 1.0) if self.total else 0.0
        filled = "#" * round(share * BAR)
        seconds = time.monotonic() - self._started
        self._stream.write(f"\r{self.label:<20} [{filled:<{BAR}}] {share:4.0%} {seconds:6.1f} s ")
        self._stream.flush()


@contextmanager
def stage_bars(*, shown: bool | None = None) -> Iterator[Callable[[str, float], None]]:
    """A bar for each stage a long job names; yields the callback to tell name and share."""
    bars: list[ProgressBar] = []

    def told(stage: str, share: float) -> None:
        if not bars or bars[-1].label != stage:
            for bar in bars[-1:]:
                bar.__exit__(None, None, None)
            bars.append(ProgressBar(stage, 1, shown=shown).__enter__())
        bars[-1].reach(share)

    try:
        yield told
    finally:
        for bar in bars[-1:]:
            bar.__exit__(*sys.exc_info())


def table(rows: Mapping[str, object] | Sequence[Sequence[object]], head: Sequence[str] = ()) -> str:
    """Aligned columns; numbers to the right."""
    listed = list(rows.items()) if isinstance(rows, Mapping) else [tuple(row) for row in rows]
    lines = [[_text(cell) for cell in row] for row in listed]
    if head:
        lines.insert(0, list(head))
    widths = [max((len(line[n]) for line in lines), default=0) for n in range(len(lines[0]))]
    right = [
        bool(listed) and all(isinstance(row[n], (int, float)) for row in listed)
        for n in range(len(widths))
    ]
    drawn = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    ]
    if head:
        drawn.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(drawn)


def print_json(document: Any, stream: TextIO | None = None) -> None:
    """One JSON document on standard output; numbers that are not finite become null."""
    print(json.dumps(_plain(document), ensure_ascii=False), file=stream or sys.stdout)


def note(text: str) -> None:
    """Something the reader should know; on standard error, so that output stays clean."""
    print(f"note: {text}", file=sys.stderr)


def _text(cell: object) -> str:
    if isinstance(cell, bool) or cell is None:
        return {True: "yes", False: "no", None: "–"}[cell]
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1e6 else f"{cell:.6g}"
    return str(cell)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
