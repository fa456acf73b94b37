"""Which records a mirror that began empty has certainly not met yet.

A first pull asks the state for every record, and the state has none of them. The look-up in a tree of
a million ids, in no order, costs more than all else that is done for a record without a content, and
waits for a thread; this costs a quarter. It is a Bloom filter: where one of three bits is not set, the
id was never met. Where all are set the state is asked, of a million ids for some dozens. The longer a
feed, the less it saves, and no answer is ever different. Its size is fixed.
"""

from __future__ import annotations

from collections.abc import Iterable

_BYTES = 8 << 20
_BITS = tuple(1 << n for n in range(8))


class Strangers:
    """Remembers ids in 8 MiB, however many they are."""

    def __init__(self) -> None:
        self._table = bytearray(_BYTES)

    def met(self, ids: Iterable[str]) -> list[str]:
        """Return those of *ids* that may have been met before; from now on all of them have."""
        table, mask, bits = self._table, _BYTES - 1, _BITS
        maybe = []
        for id_ in ids:
            number = hash(id_)
            one, two, three = number >> 3 & mask, number >> 20 & mask, number >> 38 & mask
            bit, other, last = bits[number & 7], bits[number >> 43 & 7], bits[number >> 61 & 7]
            if table[one] & bit and table[two] & other and table[three] & last:
                maybe.append(id_)
                continue
            table[one] |= bit
            table[two] |= other
            table[three] |= last
        return maybe
