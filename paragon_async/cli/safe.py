"""What comes from outside, made safe for a terminal. The one place where it is decided."""

from __future__ import annotations

import os
from typing import TextIO


def plain(text: str) -> str:
    r"""Return *text* as one line in which nothing is obeyed: ESC is shown as `\x1b`.

    Control characters of both sets, line breaks, marks that turn the direction of writing, characters
    without a width and halves of surrogates become escapes; letters of all scripts stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def paint(text: str, colour: str, stream: TextIO) -> str:
    """Return *text* in a colour where *stream* is a terminal that wants one. Never paint the unsafe."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if has_colour(stream) else text


def has_colour(stream: TextIO) -> bool:
    """Tell whether a person sees colours there: a terminal, no `NO_COLOR`, not a dumb one."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and stream.isatty()


_CODES = {"red": "31", "green": "32", "yellow": "33", "cyan": "36", "dim": "2"}


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
