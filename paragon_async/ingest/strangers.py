"""Which records a mirror that began empty has certainly not met yet.

A first pull asks the state for every record, and the state has none of them. The look-up in a tree of
a million ids, in no order, costs more than all else that is done for a record without a content; this
costs a tenth. It is a table of bits, a Bloom filter with one hash: a bit that is not set was never met.
One that is set says nothing, then the state is asked; so the longer a feed, the less it saves, and no
answer is ever different. Its size is fixed.
"""

from __future__ import annotations

from collections.abc import Iterable

_BYTES = 4 << 20
_MASK = _BYTES - 1
_BITS = tuple(1 << n for n in range(8))


class Strangers:
    """Remembers ids in 4 MiB, however many they are."""

    def __init__(self) -> None:
        self._table = bytearray(_BYTES)

    def met(self, ids: Iterable[str]) -> list[str]:
        """Return those of *ids* that may have been met before; from now on all of them have."""
        table, mask, bits = self._table, _MASK, _BITS
        maybe = []
        for id_ in ids:
            number = hash(id_)
            place, bit = number >> 3 & mask, bits[number & 7]
            if table[place] & bit:
                maybe.append(id_)
            table[place] |= bit
        return maybe
