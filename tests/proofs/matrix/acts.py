"""What goes wrong on the wire: scripts for a `Peer`, each a few lines that can be read as a protocol.

A script that returns true leaves the connection as it is; else it is closed, with FIN unless reset.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib

_SLOW = 0.05
FOREIGN = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nforeign"


async def closes(peer):
    """Says nothing, and closes."""


async def resets(peer):
    await peer.reset()


def says(data):
    """Send *data* instead of an answer, and close."""

    async def script(peer):
        await peer.send(data)
        await peer.read()

    return script


async def half_a_head(peer):
    head = peer.head(len(peer.answer.body))
    await peer.send(head[: len(head) // 2])


def cut(framing, how="FIN", at=0.5):
    """Send a body up to a part of it: framed by `length`, `chunks`, `whole chunks`, or not at all."""

    async def script(peer):
        body = peer.answer.body
        part = body[: int(len(body) * at)]
        await peer.send(peer.head(len(body), chunked="chunks" in framing, bare=framing == "bare"))
        if framing == "chunks":
            part = b"%x\r\n%b" % (len(body), part)
        if framing == "whole chunks":
            part = b"%x\r\n%b\r\n" % (len(part), part)
        await peer.send(part)
        await (peer.reset() if how == "RST" else peer.read())

    return script


def chunked(spoil):
    """Send a chunked answer whose framing *spoil* makes of a body."""

    async def script(peer):
        await peer.send(peer.head(0, chunked=True) + spoil(peer.answer.body))
        await peer.read()

    return script


def headed(*lines, bare=True):
    """Send the true body under a head with *lines* in place of its framing."""

    async def script(peer):
        length = len(peer.answer.body)
        kept = [line.format(length=length, more=length + 9) for line in lines]
        await peer.send(peer.head(length, *kept, bare=bare) + peer.answer.body)
        await peer.read()

    return script


def replies(body=None, *lines, status=None, framing="chunked", bare=False):
    """Reply properly, with *body* or what it makes of the true one."""

    async def script(peer):
        made = body(peer.answer.body) if callable(body) else body
        return await peer.reply(made, *lines, status=status, chunked=framing == "chunks", bare=bare)

    return script


async def understates(peer):
    body = peer.answer.body
    await peer.send(peer.head(len(body) // 2) + body)
    await peer.read()


def stalls(at):
    """Send a part of the answer, then nothing."""

    async def script(peer):
        whole = peer.head(len(peer.answer.body)) + peer.answer.body
        head = len(whole) - len(peer.answer.body)
        await peer.send(whole[: {"nothing": 0, "body": head + (len(whole) - head) // 2}[at]])
        await peer.gone()

    return script


async def drips_a_head(peer):
    await peer.drip(peer.head(len(peer.answer.body)), _SLOW)


async def drips_a_body(peer):
    await peer.send(peer.head(len(peer.answer.body)))
    await peer.drip(peer.answer.body, _SLOW)


async def hints_for_ever(peer):
    while True:
        await peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await asyncio.sleep(0.01)


async def a_thousand_hints(peer):
    await peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000)
    return await peer.reply()


async def in_line_feeds(peer):
    head = peer.head(len(peer.answer.body)).replace(b"\r\n", b"\n")
    await peer.send(head + peer.answer.body)
    return True


def then(extra, *, idle=False, reset=False):
    """Reply, then send *extra* unasked, *idle* when the answer was read; without any hang up.

    None stands for the same answer once more.
    """

    async def script(peer):
        whole = peer.head(len(peer.answer.body)) + peer.answer.body
        more = whole if extra is None else extra
        if idle:
            await peer.send(whole)
            await peer.read()
            whole = b""
        await peer.send(whole + more)
        if idle:
            await peer.read()
            peer.wire.strays += 1
        if reset:
            await peer.reset()
        return extra != b""

    return script


def slowly(size):
    """Send the true answer, through a buffer of the system that is small."""

    async def script(peer):
        await peer.send(peer.head(len(peer.answer.body)))
        for start in range(0, len(peer.answer.body), size):
            await peer.send(peer.answer.body[start : start + size])
        return True

    return script


def redirects(location, status="302 Found"):
    """Send the caller elsewhere; *location* knows {elsewhere}, {here} and {target}."""

    async def script(peer):
        where = location.format(
            elsewhere=peer.wire.elsewhere, here=peer.wire.url, target=peer.target
        )
        lines = [] if location == "none" else [f"Location: {where}"]
        head = "\r\n".join([f"HTTP/1.1 {status}", "Content-Length: 0", *lines, "", ""])
        await peer.send(head.encode())
        return True

    return script


def zipped(spoil=lambda body: body, encoding="gzip"):
    """Reply with a body that is said to be compressed, and is what *spoil* makes of its gzip."""

    async def script(peer):
        body = spoil(gzip.compress(peer.answer.body))
        return await peer.reply(body, f"Content-Encoding: {encoding}")

    return script


def bomb(size):
    """Return gzip that is *size* bytes of blanks, and made of little."""
    packer = zlib.compressobj(1, wbits=31)
    block = b" " * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


def page(change):
    """Reply with the page that *change* makes of the true one, as bytes or as JSON."""

    async def script(peer):
        made = change(json.loads(peer.answer.body))
        body = made if isinstance(made, bytes) else json.dumps(made).encode()
        return await peer.reply(body)

    return script


async def ignores_the_range(peer):
    """Send all of the file to whom asks for the rest of it."""
    assert "Range" in peer.headers
    first = await peer.wire.ask(
        peer.target, {k: v for k, v in peer.headers.items() if "ange" not in k}
    )
    return await peer.reply(first.body, status="200 OK")


async def another_range(peer):
    """Send the right rest, and call it another one."""
    total = int(peer.answer.headers["Content-Range"].rpartition("/")[2])
    peer.answer.headers["Content-Range"] = f"bytes 1-{total - 1}/{total}"
    return await peer.reply()


async def no_such_range(peer):
    return await peer.reply(b"", status="416 Range Not Satisfiable")
