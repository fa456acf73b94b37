"""What a command answers: tables for a person, JSON lines with stable keys for a program.

The answer goes to standard output and nothing else does; what is said about it, to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from paragon_async.cli.safe import has_colour, paint, plain
from paragon_async.cli.settings import now

Row = Mapping[str, Any]
# What a word means, wherever it stands; the colour only repeats it.
COLOURS = {
    "IDLE": "green", "ACTIVE": "cyan", "INITIALIZING": "cyan", "RATE_LIMITED": "yellow",
    "DISABLED": "dim", "ERRORED": "red", "yes": "green", "no": "red",
    "good": "green", "odd": "yellow", "bad": "red", "passed over": "dim",
}  # fmt: skip

_WIDEST = 10_000
# Of a column that is cut, so much stays; and between two there is so much room.
_LEAST, _GAP = 8, 2


class Column(NamedTuple):
    """One column: its *key*, its *title* where that is another, and how a value is shown.

    On a narrow terminal what is *spare* is left out, and what is not *whole* is cut.
    """

    key: str
    title: str | None = None
    show: Callable[[Any], str] | None = None
    whole: bool = False
    spare: bool = False

    def text(self, row: Row) -> str:
        """Return a value as a person reads it; nothing is shown as a dash."""
        value = row.get(self.key)
        return "-" if value is None else plain((self.show or shown)(value))


def rows(found: Iterable[Row], columns: Sequence[Column], *, nothing: str) -> None:
    """Answer with many things; where a person sees none, *nothing* is said."""
    if now().for_program:
        for row in found:
            line(row)
        return
    listed = list(found)
    if not listed:
        note(nothing)
        return
    screen = console()
    fitting = _fitting(listed, columns, screen.width)
    if fitting:
        screen.print(_table(listed, fitting))
        return
    for number, row in enumerate(listed):
        if number:
            print()
        one(row, columns)


def _fitting(listed: Sequence[Row], columns: Sequence[Column], width: int) -> dict[Column, int]:
    """Return the columns that a table of *width* has room for, each with its own; or none at all."""
    from rich.cells import cell_len

    longest, least = {}, {}
    for column in columns:
        texts = (column.title or column.key, *(column.text(row) for row in listed))
        longest[column] = max(map(cell_len, texts))
        least[column] = longest[column] if column.whole else min(longest[column], _LEAST)

    def left() -> int:
        return width - sum(least.values()) - _GAP * (len(least) - 1)

    for column in [column for column in columns if column.spare]:
        if left() < 0:
            del least[column]
    if left() < 0:
        return {}
    # What room there is goes to those that are cut, in turn.
    while growing := [column for column in least if least[column] < longest[column]]:
        for column in growing[: left()]:
            least[column] += 1
        if left() <= 0:
            break
    return least


def _table(listed: Sequence[Row], columns: Mapping[Column, int]) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    for column, width in columns.items():
        table.add_column(column.title or column.key, no_wrap=True, width=width)
    for row in listed:
        table.add_row(*(_cell(column.text(row)) for column in columns))
    return table


def one(row: Row, columns: Sequence[Column] | None = None) -> None:
    """Answer with one thing: a line of JSON, or its names and values one below the other."""
    if now().for_program:
        line(row)
        return
    wanted = columns or [Column(key) for key in row]
    names = [plain(column.title or column.key).replace("_", " ") for column in wanted]
    # Nothing is cut here and nothing folded: what is long runs over, and can be copied.
    for name, column in zip(names, wanted, strict=True):
        text = column.text(row)
        told = paint(text, COLOURS[text], sys.stdout) if text in COLOURS else text
        print(f"{name:{max(map(len, names))}}  {told}")


def line(row: Row) -> None:
    """Print one line of JSON: ASCII, so that it is safe on a terminal and in every encoding."""
    print(json.dumps(row, default=_simple))


def console(*, stderr: bool = False) -> Any:
    """Return rich's console for a stream: colours only where a person sees them."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr,
        highlight=False,
        soft_wrap=True,
        no_color=not has_colour(stream),
        force_terminal=stream.isatty(),
        # In a pipe no line is too long.
        width=None if stream.isatty() else _WIDEST,
    )


def is_terminal() -> bool:
    """Tell whether a person sees standard output, whatever form they asked for."""
    return sys.stdout.isatty()


def note(sentence: str) -> None:
    """Say something that helps a person; not with -q."""
    if not now().quiet:
        _say("info", sentence)


def detail(sentence: str) -> None:
    """Say something that only -v asks for."""
    if now().verbose:
        _say("info", sentence)


def warn(sentence: str, hint: str | None = None) -> None:
    """Say what is not as it should be."""
    _say("warning", sentence, hint)


def fields(value: Any) -> dict[str, Any]:
    """Return the fields of one of the API's values by their names, always the same ones."""
    import attrs

    return {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}


def shown(value: Any) -> str:
    """Return a value as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    return (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_simple)
    )


def _cell(text: str) -> Any:
    from rich.text import Text

    return Text(text, style=COLOURS.get(text, ""))


def _say(level: str, sentence: str, hint: str | None = None) -> None:
    if now().log_json:
        from paragon_async.cli.narrate import spoken

        print(
            spoken(level, sentence, {"hint": hint} if hint else None), file=sys.stderr, flush=True
        )
        return
    print(plain(sentence), file=sys.stderr, flush=True)
    if hint:
        print(f"{paint('hint:', 'cyan', sys.stderr)} {plain(hint)}", file=sys.stderr, flush=True)


def _simple(value: Any) -> Any:
    """Make JSON of what JSON has no form for."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
