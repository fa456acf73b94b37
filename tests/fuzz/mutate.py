"""Inputs without end, made from seeds by a dice of a known number: the same ones every time."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_LONGEST = 8192


def mutations(seeds: Sequence[bytes], words: Sequence[bytes], *, start: int = 0) -> Iterator[bytes]:
    """Yield inputs for ever; the seeds themselves come first."""
    yield from seeds
    number = start
    while True:
        dice = random.Random(number)  # noqa: S311  # it must be the same every time
        data = dice.choice(seeds)
        for _ in range(dice.randint(1, 4)):
            data = _changed(dice, data, seeds, words)
        yield data[:_LONGEST]
        number += 1


def _changed(
    dice: random.Random, data: bytes, seeds: Sequence[bytes], words: Sequence[bytes]
) -> bytes:
    at, to = sorted((dice.randint(0, len(data)), dice.randint(0, len(data))))
    flipped = bytes(byte ^ (1 << dice.randrange(8)) for byte in data[at : at + 1])
    put, rest = dice.choice(
        [
            (dice.randbytes(1), data[at + 1 :]),
            (b"", data[at + dice.randint(1, 4) :]),
            (dice.choice(words), data[at:]),
            (data[at:to] * 2, data[to:]),
            (b"", dice.choice(seeds)[at:]),
            (b"", b""),
            (flipped, data[at + 1 :]),
        ]
    )
    return data[:at] + put + rest
