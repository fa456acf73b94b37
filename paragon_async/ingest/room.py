"""Room for contents on their way: bounded in number and in bytes, fair between those who ask."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager

import attrs


@attrs.frozen(eq=False)
class _Wish:
    size: int
    granted: asyncio.Future[None]


class Room:
    """Holds at most *number* contents of at most *size* bytes together.

    One that is larger than the whole room gets it for itself alone. Who waits is served in order;
    between keys, whoever holds least comes first, so a user with a million files does not keep one
    with ten waiting. Nobody is overtaken for being large.
    """

    def __init__(self, number: int, size: int) -> None:
        self._number = number
        self._size = size
        self._free_number = number
        self._free_size = size
        self._held: Counter[Hashable] = Counter()
        self._waiting: dict[Hashable, deque[_Wish]] = {}

    @asynccontextmanager
    async def hold(self, key: Hashable, size: int) -> AsyncGenerator[None, None]:
        """Hold room for one content of *size* bytes, 0 for unknown. Cancelling gives it back."""
        wish = _Wish(min(size, self._size), asyncio.get_running_loop().create_future())
        self._waiting.setdefault(key, deque()).append(wish)
        self._serve()
        try:
            await wish.granted
        except asyncio.CancelledError:
            self._withdraw(key, wish)
            raise
        try:
            yield
        finally:
            self._give_back(key, wish)

    def _withdraw(self, key: Hashable, wish: _Wish) -> None:
        if wish.granted.done() and not wish.granted.cancelled():
            self._give_back(key, wish)
            return
        waiting = self._waiting.get(key)
        if waiting and wish in waiting:
            waiting.remove(wish)
            if not waiting:
                del self._waiting[key]
        self._serve()

    def _give_back(self, key: Hashable, wish: _Wish) -> None:
        self._free_number += 1
        self._free_size += wish.size
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]
        self._serve()

    def _serve(self) -> None:
        """Grant the wishes that can be, the least served first."""
        while self._waiting and self._free_number:
            key = min(self._waiting, key=lambda k: self._held[k])
            wish = self._waiting[key][0]
            # Whoever was cancelled a moment ago has not yet come to withdraw.
            is_void = wish.granted.done()
            if not is_void and wish.size > self._free_size:
                return
            waiting = self._waiting.pop(key)
            waiting.popleft()
            if waiting:
                # To the end of the line: among equals, turns are taken.
                self._waiting[key] = waiting
            if is_void:
                continue
            self._free_number -= 1
            self._free_size -= wish.size
            self._held[key] += 1
            wish.granted.set_result(None)
