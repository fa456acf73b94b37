"""Files of any size without a disk: their bytes are computed. Entirely ours.

Each piece of 1 MiB begins with the file's number and its own, 8 bytes each, least first, and goes on
with random bytes that all files of a seed share. So a wrong, shifted or missing piece is noticed. The
hash of a file over 1 MiB is not computed: its record has a hash type without a value.
"""

from __future__ import annotations

import hashlib
import random
import re
import struct
from functools import lru_cache

import attrs

from paragon_async.emulator.errors import EmulatorError

PIECE = 1 << 20
_HEAD = struct.Struct("<QQ")
_HASHED = 1 << 20
_LARGEST = 1 << 53
_UNITS: dict[str, int] = {"": 1, "b": 1} | {
    f"{letter}{end}": int(base ** (power + 1))
    for power, letter in enumerate("kmgt")
    for end, base in (("b", 1000), ("ib", 1024))
}


def parse_size(text: str) -> int:
    """Read a size like `32MiB`, `1GB`, `512B` or `1024`; large and small letters are the same."""
    found = re.fullmatch(r"([0-9]{1,16})([a-z]*)", text.strip().lower())
    unit = _UNITS.get(found[2]) if found else None
    if found is None or unit is None:
        raise EmulatorError(f"{text!r:.80} is no size: write it like 500, 64KiB, 32MiB or 2GB")
    size = int(found[1]) * unit
    if size > _LARGEST:
        raise EmulatorError(f"{text} is too large: a file has at most 8192TiB")
    return size


@attrs.frozen
class VirtualFile:
    """The file number *index* of a seed."""

    seed: int
    index: int
    size: int

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes of a range, as far as the file goes."""
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        first, last = start // PIECE, (stop - 1) // PIECE
        if first == last:
            return self._part(first, start - first * PIECE, stop - first * PIECE)
        parts = [self._part(first, start - first * PIECE, PIECE)]
        parts += [self._part(number, 0, PIECE) for number in range(first + 1, last)]
        parts.append(self._part(last, 0, stop - last * PIECE))
        return b"".join(parts)

    def sha256(self) -> str | None:
        """Return the hash of the whole, None for a file that is too large to be hashed at once."""
        if self.size > _HASHED:
            return None
        return hashlib.sha256(self.read(0, self.size)).hexdigest()

    def _part(self, number: int, start: int, stop: int) -> bytes:
        block = _block(self.seed)
        if start >= _HEAD.size:
            return block[start - _HEAD.size : stop - _HEAD.size]
        head = _HEAD.pack(self.index, number)[start:stop]
        end = max(0, stop - _HEAD.size)
        return head + (block if end == len(block) else block[:end])


@lru_cache(maxsize=16)
def _block(seed: int) -> bytes:
    """Return what the pieces of all files of a seed have in common."""
    return random.Random(seed).randbytes(PIECE - _HEAD.size)  # noqa: S311  # it must repeat
