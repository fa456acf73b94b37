"""A small body in every framing that HTTP has, cut at every place, and what came of all the cuts."""

from __future__ import annotations

import asyncio
import gzip
import random

import pytest

from paragon_async import ParagonError

BODY = random.Random(7).randbytes(4096)  # noqa: S311  # a body that gzip cannot make shorter
SIZE = len(BODY)
AT_ONCE = 32


def answer(*lines):
    return "\r\n".join(("HTTP/1.1 200 OK", *lines, "", "")).encode()


def with_length(body, *lines):
    return answer(*lines, f"Content-Length: {len(body)}") + body


def chunked(body, *lines):
    dice = random.Random(len(body))  # noqa: S311  # the same chunks every time
    wire = answer(*lines, "Transfer-Encoding: chunked")
    while body:
        size = dice.randint(1, 700)
        wire += b"%x\r\n" % len(body[:size]) + body[:size] + b"\r\n"
        body = body[size:]
    return wire + b"0\r\n\r\n"


def to_the_end(body, *lines):
    return answer(*lines) + body


def zipped(framing):
    return lambda body: framing(gzip.compress(body, mtime=0), "Content-Encoding: gzip")


FRAMINGS = {
    "length": with_length,
    "chunked": chunked,
    "close": to_the_end,
    "gzip+length": zipped(with_length),
    "gzip+chunked": zipped(chunked),
    "gzip+close": zipped(to_the_end),
}
# Somebody on the way kept less than came, and framed that anew: only gzip, or the record, can tell.
REFRAMED = {"gzip+length of the cut": with_length, "gzip+last chunk after the cut": chunked}
every_framing = pytest.mark.parametrize("framing", FRAMINGS)
every_reframing = pytest.mark.parametrize("framing", REFRAMED)


def reframed(framing, body):
    """Return all answers whose gzip was cut before it was framed, and the whole one."""
    packed = gzip.compress(body, mtime=0)
    wrap = REFRAMED[framing]
    return [wrap(packed[:k], "Content-Encoding: gzip") for k in range(len(packed) + 1)]


def cuts(whole):
    return [whole[:k] for k in range(len(whole) + 1)]


async def all_of(one, numbers):
    """Run *one* for every number, some at a time; return what came of each: an error or a value."""
    found = {}
    numbers = list(numbers)
    for start in range(0, len(numbers), AT_ONCE):
        some = numbers[start : start + AT_ONCE]
        results = await asyncio.gather(*map(one, some), return_exceptions=True)
        found.update(zip(some, results, strict=True))
    wrong = [e for e in found.values() if isinstance(e, BaseException) and not isinstance(e, ParagonError)]  # fmt: skip
    assert wrong == []
    return found


def unnoticed(found):
    return [k for k, outcome in found.items() if not isinstance(outcome, ParagonError)]
