"""Cursors: signed, so that nobody builds on what is inside. Source: api.md 3.4.

A cursor names a place in one generation of one sync's feed. After the sync was deleted and made
again, or with another sync, it is refused with 400: our choice, the service documents nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct

from paragon_async.emulator.errors import Refusal

_PLACE = struct.Struct(">IQ")
_SIGNED = 12


class Cursors:
    """Makes and reads the cursors of one emulator."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, sync: str, generation: int, sequence: int) -> str:
        """Return the cursor for the place after *sequence*."""
        place = _PLACE.pack(generation, sequence)
        return base64.b64encode(place + self._sign(sync, place)).decode()

    def read(self, sync: str, generation: int, cursor: str) -> int:
        """Return the sequence that a cursor stands for, or refuse it."""
        try:
            raw = base64.b64decode(cursor, validate=True)
        except (binascii.Error, ValueError):
            raise Refusal(400, "Invalid cursor") from None
        place, signature = raw[: _PLACE.size], raw[_PLACE.size :]
        if not hmac.compare_digest(signature, self._sign(sync, place)):
            raise Refusal(400, "Invalid cursor")
        made_in, sequence = _PLACE.unpack(place)
        if made_in != generation:
            raise Refusal(400, "Invalid cursor: it belongs to a deleted sync")
        return int(sequence)

    def _sign(self, sync: str, place: bytes) -> bytes:
        return hmac.digest(self._secret, sync.encode() + place, hashlib.sha256)[:_SIGNED]
