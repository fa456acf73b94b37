"""The words of the catalogue's cells, and what they mean.

    ok              complete, and the server saw the request once
    again           complete at the second try; `again 3` at the third
    short           complete as far as it goes: the service said that this is the end
    twice           complete, and what the service sent twice is given out twice
    unverified      complete as far as anybody can tell, and not called verified
    cancelled       the caller is cancelled, and nothing is left of it
    letter KIND     the ingest is complete but for a dead letter of that kind
    NAME            an error of exactly that class

`A / B` is A where the fault passes, and B where it stays. An error or a letter comes at the first try,
behind a `/` after all three; a number at the end says otherwise, `~` that no number can be said.
"""

from __future__ import annotations

import re

import attrs

ATTEMPTS = 3
_COMPLETE = {"ok": 1, "again": 2, "short": 1, "twice": 1, "unverified": 1, "cancelled": 1}
_FORM = re.compile(r"(?P<word>letter [\w-]+|\w+)(?: (?P<count>\d+)|(?P<open>~))?")


@attrs.frozen
class Outcome:
    """*word* as above, a *kind* for letters, and how often the server saw the request, if that is exact."""

    word: str
    kind: str | None
    attempts: int | None


@attrs.frozen
class Case:
    """One way in which a fault comes: for good, or once; and what is declared of it."""

    lasting: bool
    outcome: Outcome


def cases(text):
    """Read a cell."""
    passing, slash, staying = text.partition(" / ")
    if not slash:
        return [Case(True, _read(text, 1))]
    return [Case(False, _read(passing, 1)), Case(True, _read(staying, ATTEMPTS))]


def _read(text, tried):
    found = _FORM.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no outcome")
    word, _, kind = found["word"].partition(" ")
    attempts = int(found["count"] or _COMPLETE.get(word, tried))
    return Outcome(word, kind or None, None if found["open"] else attempts)
