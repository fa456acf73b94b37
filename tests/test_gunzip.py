from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragon_async.errors import CutShortError, MalformedAnswerError
from paragon_async.transport.gunzip import Gunzip
from paragon_async.transport.pace import Pace


def decoded(*pieces):
    gunzip = Gunzip()
    out = b"".join(part for piece in pieces for part in gunzip.feed(piece))
    gunzip.end()
    return out


@given(st.lists(st.binary(), min_size=1, max_size=4), st.integers(1, 50))
def test_any_members_in_any_pieces(bodies, size):
    """Gzip of one or more members is read whole, however it is cut into pieces."""
    data = b"".join(gzip.compress(body) for body in bodies)
    pieces = [data[n : n + size] for n in range(0, len(data), size)]
    assert decoded(*pieces) == b"".join(bodies)


def test_every_cut_is_noticed():
    """However short of its end a gzip body is cut, it is an error."""
    data = gzip.compress(bytes(range(256)) * 4)
    for end in range(len(data)):
        with pytest.raises(CutShortError):
            decoded(data[:end])


def test_bombs_come_in_pieces():
    """A bomb is decoded a bounded piece at a time, and only as far as it is asked for."""
    pieces = Gunzip().feed(gzip.compress(bytes(50_000_000)))
    assert max(len(next(pieces)) for _ in range(10)) <= 1 << 18


@pytest.mark.parametrize(
    "data",
    [b"plain text", gzip.compress(b"abc")[:-8] + b"12345678", gzip.compress(b"a") + b"junk"],
    ids=["plain", "checksum", "junk"],
)
def test_wrong_gzip(data):
    """Plain text, a wrong checksum and trailing junk are not taken for gzip."""
    with pytest.raises(MalformedAnswerError):
        decoded(data)


def test_members_are_counted():
    """A body of very many members is refused."""
    with pytest.raises(MalformedAnswerError, match="members"):
        decoded(gzip.compress(b"") * 1001)
    assert zlib.decompress(gzip.compress(b"x"), 31) == b"x"


def test_pace():
    """A body is too slow when a whole window of waiting brought less than the floor."""
    pace = Pace(floor=100, window=10)
    assert not any(pace.too_slow(1, 1.0) for _ in range(9))
    assert pace.too_slow(1, 1.0)
    assert not pace.too_slow(1, 9.0)
    assert not pace.too_slow(2000, 1.0)
    assert not pace.too_slow(0, 5.0)
