"""Done out of order, committed in order. Pure.

A feed's cursor may be saved only when every page before it is safe. Pages come in order and are done
in any order; `Frontier` says which cursor that leaves.
"""

from __future__ import annotations

from collections import deque

import attrs


@attrs.define(eq=False)
class Ticket:
    """One page on its way: the cursor after it, and whether all of it is safe."""

    cursor: str | None
    is_done: bool = False


@attrs.define
class Frontier:
    """Knows the newest cursor before which everything is done: *cursor*, at first the saved one."""

    cursor: str | None = None
    _open: deque[Ticket] = attrs.field(factory=deque, init=False)

    def begin(self, cursor: str | None) -> Ticket:
        """Take note of a page that ends at *cursor*; pages begin in the feed's order."""
        ticket = Ticket(cursor)
        self._open.append(ticket)
        return ticket

    def after(self, done: list[Ticket]) -> str | None:
        """Return what *cursor* will be once *done* are done, without marking them."""
        finished = set(map(id, done))
        cursor = self.cursor
        for ticket in self._open:
            if not ticket.is_done and id(ticket) not in finished:
                break
            cursor = ticket.cursor or cursor
        return cursor

    def finish(self, done: list[Ticket]) -> None:
        """Mark *done*, all of whose effects are durable, and move the cursor on."""
        for ticket in done:
            ticket.is_done = True
        while self._open and self._open[0].is_done:
            self.cursor = self._open.popleft().cursor or self.cursor

    @property
    def waiting(self) -> int:
        """How many pages are begun and hold the cursor back."""
        return len(self._open)
