"""A table as horizontal bars, in SVG written by hand: small, and readable on light and dark pages.

No background is drawn, and the grey of the words stands out from black as from white.
"""

from __future__ import annotations

import re
from html import escape

from benchmarks.results import rate
from benchmarks.running import Row, Table

_WORDS = "#76808a"
_OTHERS = "#98a3ad"
_OURS = "#e8590c"
_WIDTH, _LINE, _LEFT, _RIGHT, _TOP = 860, 26, 330, 150, 52
_LONGEST_NAME = 48
_STYLE = f'font-family="system-ui, sans-serif" font-size="13" fill="{_WORDS}" role="img"'


def file_name(suite: str, table: Table) -> str:
    """Return the name of a table's plot, such as `pull-records-pages-of-1000.svg`."""
    words = re.sub(
        r"[^a-z0-9]+", "-", table.title.lower().replace(",", "").replace("µ", "u")
    ).strip("-")
    return f"{suite}-{words}.svg"


def bars(table: Table) -> str | None:
    """Draw a table's rates, or its times where those are what counts; None without any figures."""
    rows = [row for row in table.rows if row.figures]
    if not rows:
        return None
    rows.sort(key=lambda row: row.median())
    unit = rate(table, rows[0])[1]
    is_time = unit == "ms"
    better = "shorter" if is_time else "longer"
    longest = rows[-1 if is_time else 0].median()
    height = _TOP + _LINE * len(rows) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_STYLE}>',
        f"<title>{escape(table.title)}</title>",
        f'<text x="10" y="20" font-size="15" font-weight="bold">{escape(table.title)}</text>',
        f'<text x="10" y="38">{escape(unit)}, {better} is better</text>',
    ]
    for number, row in enumerate(rows):
        share = row.median() / longest
        parts += _bar(table, row, _TOP + number * _LINE, share if is_time else 1 / share)
    return "\n".join([*parts, "</svg>\n"])


def _bar(table: Table, row: Row, top: int, share: float) -> list[str]:
    colour, weight = (_OURS, "bold") if row.is_ours else (_OTHERS, "normal")
    width = max(2.0, share * (_WIDTH - _LEFT - _RIGHT))
    name = row.name if len(row.name) <= _LONGEST_NAME else row.name[: _LONGEST_NAME - 1] + "…"
    middle, end = top + 14, f'text-anchor="end" font-weight="{weight}"'
    return [
        f'<text x="{_LEFT - 8}" y="{middle}" {end}>{escape(name)}</text>',
        f'<rect x="{_LEFT}" y="{top}" width="{width:.1f}" height="18" rx="2" fill="{colour}"/>',
        f'<text x="{_LEFT + width + 6:.1f}" y="{middle}">{escape(rate(table, row)[0])}</text>',
    ]
