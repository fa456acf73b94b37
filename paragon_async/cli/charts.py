"""Plots as SVG, written by hand: they stand inside a page, need no script, and follow its colours.

    bars(rows)        horizontal bars, one for each name
    columns(points)   columns along an axis: time, sizes, runs

Each mark carries its figures as a title, which a browser shows where the pointer rests. Colours are
classes, which the page's style decides for light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import attrs

WIDTH = 720
_LINE, _LEFT, _RIGHT = 24, 150, 130
_HEIGHT, _BASE, _TOP = 180, 150, 24
_NICE = (1, 2, 2.5, 5, 10)
_LONGEST_NAME = 22
_MOST_LABELS = 8


@attrs.frozen
class Mark:
    """One bar or column: its name, value, what its title says, and the class of its colour."""

    name: str
    value: float
    title: str
    colour: str = "one"


def bars(rows: Sequence[Mark], label: str) -> str:
    """Draw *rows* as bars from the left, with the figure of each behind it."""
    most = max((row.value for row in rows), default=0) or 1
    parts = []
    for number, row in enumerate(rows):
        top, width = number * _LINE, (WIDTH - _LEFT - _RIGHT) * row.value / most
        name = row.name if len(row.name) <= _LONGEST_NAME else row.name[: _LONGEST_NAME - 1] + "…"
        width, end = max(width, 1), f"{_LEFT + max(width, 1) + 6:.1f}"
        parts.append(
            f'<text x="{_LEFT - 8}" y="{top + 16}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LEFT}" y="{top + 3}" width="{width:.1f}" height="17" rx="2" '
            f'class="{row.colour}"><title>{escape(row.name)}: {escape(row.title)}</title></rect>'
            f'<text x="{end}" y="{top + 16}" class="figure">{escape(row.title)}</text>'
        )
    return _svg(label, _LINE * len(rows), parts)


def columns(points: Sequence[Mark], label: str, unit: str) -> str:
    """Draw *points* as columns side by side, over an axis with some of their names."""
    top_value = ceiling(max((point.value for point in points), default=0))
    left, room = 70, WIDTH - 80
    step = room / max(len(points), 1)
    parts = []
    for share in (0, 0.5, 1):
        y = _BASE - share * (_BASE - _TOP)
        parts += [
            f'<line x1="{left}" y1="{y:.1f}" x2="{left + room}" y2="{y:.1f}" class="grid"/>',
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{short(top_value * share)}</text>',
        ]
    every = -(-len(points) // _MOST_LABELS)
    for number, point in enumerate(points):
        height = (_BASE - _TOP) * point.value / top_value
        x, width = left + number * step, max(step - 1, 0.6) if len(points) > 1 else min(step, 60)
        if point.value:
            parts.append(
                f'<rect x="{x:.1f}" y="{_BASE - max(height, 1):.1f}" width="{width:.1f}" '
                f'height="{max(height, 1):.1f}" class="{point.colour}">'
                f"<title>{escape(point.name)}: {escape(point.title)}</title></rect>"
            )
        if number % every == 0:
            middle = x + width / 2
            parts.append(
                f'<text x="{middle:.1f}" y="{_BASE + 18}" text-anchor="middle">'
                f"{escape(point.name)}</text>"
            )
    parts.append(f'<text x="{left}" y="12" class="figure">{escape(unit)}</text>')
    return _svg(label, _HEIGHT, parts)


def ceiling(value: float) -> float:
    """Return the next round figure at or above *value*; 1 for nothing. Pure."""
    if value <= 0:
        return 1
    power = 10.0 ** (len(str(int(value))) - 1) if value >= 1 else 0.1
    while power > value:
        power /= 10
    return next(power * nice for nice in _NICE if power * nice >= value)


def short(value: float) -> str:
    """Return a figure in few characters: 1,500 as `1.5k`. Pure."""
    for factor, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g}{sign}"
    return f"{value:.3g}"


def _svg(label: str, height: float, parts: Sequence[str]) -> str:
    inside = "\n".join(parts)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">\n'
        f"{inside}\n</svg>"
    )
