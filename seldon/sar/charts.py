"""Line and bar charts as SVG text: no library, no script, nothing to fetch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 560, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 56


@dataclass(frozen=True)
class Line:
    """One line: points ``(x, y)``, rising in x; without a name it is not in the legend."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Bar:
    """One bar with its label, an optional interval and a small note under the label.

    `series` is its colour, from 0.
    """

    label: str
    value: float
    interval: tuple[float, float] | None = None
    note: str = ""
    series: int = 0


def line_chart(lines: Sequence[Line], x_label: str, y_label: str, *, log: bool = False) -> str:
    """Lines over common axes.

    Parameters
    ----------
    log : bool
        Both axes logarithmic; points at or below 0 are left out.
    """
    drawn = [Line(line.name, [p for p in line.points if not log or min(p) > 0]) for line in lines]
    points = [point for line in drawn for point in line.points]
    if not points:
        return _svg(_text(WIDTH / 2, HEIGHT / 2, "nothing to show"), x_label, y_label)
    x = _Axis([p[0] for p in points], (LEFT, WIDTH - RIGHT), log)
    y = _Axis([p[1] for p in points] + ([] if log else [0.0]), (HEIGHT - BOTTOM, TOP), log)
    parts = [_grid(x, y)]
    for number, line in enumerate(drawn):
        path = " ".join(f"{x.at(px):.1f},{y.at(py):.1f}" for px, py in line.points)
        parts.append(f'<polyline class="line c{number}" points="{path}"/>')
        if len(line.points) <= 20:
            parts += [
                f'<circle class="c{number}" cx="{x.at(px):.1f}" cy="{y.at(py):.1f}" r="3">'
                f"<title>{escape(f'{line.name or y_label}: {px:g} → {py:.4g}')}</title></circle>"
                for px, py in line.points
            ]
        if not line.name:
            continue
        top = TOP + 14 + 18 * number
        parts.append(
            f'<rect class="c{number}" x="{WIDTH - 190}" y="{top - 9}" width="14" height="4"/>'
        )
        parts.append(_text(WIDTH - 170, top - 3, line.name, "start"))
    return _svg("".join(parts), x_label, y_label)


def bar_chart(bars: Sequence[Bar], x_label: str, y_label: str) -> str:
    """Bars from 0, with whiskers where an interval is given."""
    if not bars:
        return _svg(_text(WIDTH / 2, HEIGHT / 2, "nothing to show"), x_label, y_label)
    heights = [value for bar in bars for value in (bar.value, *(bar.interval or ()))]
    y = _Axis([0.0, *heights], (HEIGHT - BOTTOM, TOP), log=False)
    step = (WIDTH - LEFT - RIGHT) / len(bars)
    parts = [_grid(None, y)]
    for number, bar in enumerate(bars):
        middle = LEFT + step * (number + 0.5)
        top, floor, half = y.at(bar.value), y.at(0), min(step * 0.35, 30)
        title = f"<title>{escape(bar.label)}: {bar.value:.4g}</title>"
        parts.append(
            f'<rect class="c{bar.series}" x="{middle - half:.1f}" y="{top:.1f}" '
            f'width="{2 * half:.1f}" height="{max(floor - top, 0):.1f}">{title}</rect>'
        )
        if bar.interval:
            low, high = (y.at(v) for v in bar.interval)
            parts.append(
                f'<path class="whisker" d="M{middle:.1f} {low:.1f}V{high:.1f}'
                f'M{middle - 5:.1f} {low:.1f}h10M{middle - 5:.1f} {high:.1f}h10"/>'
            )
        parts.append(_text(middle, HEIGHT - BOTTOM + 16, bar.label))
        parts.append(_text(middle, HEIGHT - BOTTOM + 30, bar.note, css="note"))
    return _svg("".join(parts), x_label, y_label)


class _Axis:
    """Values to pixels, and where its ticks stand."""

    def __init__(self, values: Sequence[float], pixels: tuple[float, float], log: bool) -> None:
        low, high = min(values), max(values)
        self.log = log
        if log:
            low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high))
            high = high if high > low else low * 10
            decades = round(math.log10(high / low))
            every = max(1, math.ceil(decades / 6))
            self.ticks = [low * 10.0**n for n in range(0, decades + 1, every)]
        else:
            high = high if high > low else low + 1
            unit = 10 ** math.floor(math.log10((high - low) / 4))
            unit *= next(m for m in (1, 2, 2.5, 5, 10) if (high - low) / (unit * m) <= 6)
            low, high = math.floor(low / unit) * unit, math.ceil(high / unit - 1e-9) * unit
            self.ticks = [low + n * unit for n in range(round((high - low) / unit) + 1)]
        self.ends = (self._scaled(low), self._scaled(high))
        self.pixels = pixels

    def at(self, value: float) -> float:
        low, high = self.ends
        start, end = self.pixels
        return start + (self._scaled(value) - low) / (high - low) * (end - start)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


def _grid(x: _Axis | None, y: _Axis) -> str:
    parts = []
    for tick in y.ticks:
        parts.append(f'<path class="grid" d="M{LEFT} {y.at(tick):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 8, y.at(tick) + 4, f"{tick:g}", "end"))
    if x is None:
        return "".join(parts)
    for tick in x.ticks:
        parts.append(f'<path class="grid" d="M{x.at(tick):.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(_text(x.at(tick), HEIGHT - BOTTOM + 16, f"{tick:g}"))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str = "middle", css: str = "") -> str:
    if not text:
        return ""
    return (
        f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _svg(body: str, x_label: str, y_label: str) -> str:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(y_label)} by {escape(x_label)}">{body}'
        f"{_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_label, css='title')}"
        f'<text class="title" transform="translate(14 {middle:.0f}) rotate(-90)" '
        f'text-anchor="middle">{escape(y_label)}</text></svg>'
    )
