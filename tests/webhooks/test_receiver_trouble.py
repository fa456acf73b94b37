"""A receiver among floods, verifiers that are none, a serving that ended, and logs that quote."""

from __future__ import annotations

import asyncio
import functools
import logging
import resource

import pytest
from aiohttp import web

from paragon_async.errors import ConfigurationError
from paragon_async.webhooks import Router
from paragon_async.webhooks.asgi import asgi_receiver
from paragon_async.webhooks.inbox import Counts, Inbox
from paragon_async.webhooks.receiver import receiver, serving
from tests.fakes import FakeClock
from tests.webhooks.sending import SECRET, event, heard, post, request, say
from tests.webhooks.test_inbox import failing

PLACE = f"/webhook/{SECRET}"


async def test_a_flood_of_connections(receiving, caplog):
    """Of many connections at once as many stay as may, some are told 503, the others just closed."""
    async with receiving({"connections": 3}) as url, asyncio.timeout(20):
        host, port = url.removeprefix("http://").split(":")
        opened = await asyncio.gather(
            *(asyncio.open_connection(host, int(port)) for _ in range(90))
        )
        reads = [asyncio.create_task(_rest(reader)) for reader, _ in opened]
        while sum(read.done() for read in reads) < 87:
            await asyncio.wait(
                [r for r in reads if not r.done()], return_when=asyncio.FIRST_COMPLETED
            )
        told = [read.result() for read in reads if read.done()]
        assert len(told) == 87
        busy = sum(b" 503 " in said for said in told)
        # A slow machine takes so long that a second lot is told.
        assert 16 <= busy < 80
        assert told.count(b"") == 87 - busy
        for _, writer in opened:
            writer.close()
        await asyncio.gather(*reads)
        while (await _asked(url)) != 200:
            pass
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def _rest(reader):
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def _asked(url):
    try:
        return (await post(url, PLACE, event())).status
    except (ConnectionError, asyncio.IncompleteReadError):
        return None


async def test_connections_leave_files_to_open(receiving):
    """By default a quarter of the files that may be open are connections, and 256 at most."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, before[1]))
    try:
        async with receiving() as url:
            host, port = url.removeprefix("http://").split(":")
            idle = [await asyncio.open_connection(host, int(port)) for _ in range(100)]
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request(PLACE, event()))
            assert (await heard(reader)).status == 503
            for _, one in (*idle, (reader, writer)):
                one.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def waiting(headers, body):
    return False


class Waits:
    async def __call__(self, headers, body):
        return False


@pytest.mark.parametrize(
    "verifier", [waiting, Waits(), functools.partial(waiting), functools.partial(Waits())]
)
@pytest.mark.parametrize("build", [receiver, asgi_receiver])
def test_async_verifiers(tmp_path, router, build, verifier):
    """A verifier that has to be awaited is refused when the receiver is made."""
    with pytest.raises(ConfigurationError, match="a verifier is a plain function"):
        build(router, inbox=Inbox(tmp_path / "i"), verifiers=[verifier])


@pytest.mark.parametrize(
    "answer", [lambda: waiting({}, b""), lambda: 1, lambda: "yes", lambda: None]
)
async def test_only_true_is_believed(receiving, inbox, answer):
    """Whatever a verifier answers but True, a coroutine too, is a 401."""
    async with receiving(verifiers=[lambda *_: answer()]) as url:
        assert (await post(url, PLACE, event())).status == 401
    assert await inbox.counts() == Counts(0, 0, 0)


class Broken(FakeClock):
    """A clock that cannot wait, which ends the serving of an inbox that has to."""

    async def sleep(self, seconds):
        raise RuntimeError("no clock")


async def test_serving_ended(tmp_path, caplog):
    """When the inbox is served no longer, an event is a 503 and not kept for nobody."""
    bad, _ = failing({"r1": 9})
    inbox = Inbox(tmp_path / "i", clock=Broken())
    async with serving(receiver(bad, inbox=inbox, secrets=[SECRET])) as url:
        assert (await post(url, PLACE, event())).status == 200
        async with asyncio.timeout(10):
            n = 0
            while (answer := await post(url, PLACE, event(f"other{n}"))).status == 200:
                n += 1
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
        before = await inbox.counts()
        assert (await post(url, "/webhook/wrong", event())).status == 401
        assert (await post(url, PLACE, event("late"))).status == 503
        assert await inbox.counts() == before
    assert "served no longer" in caplog.text


def test_another_loop(tmp_path, router, seen):
    """The same receiver starts, stops and starts again in other loops, as test clients do."""
    inbox = Inbox(tmp_path / "i")
    hooks = asgi_receiver(router, inbox=inbox, secrets=[SECRET])

    async def once(name):
        found = len(seen)
        async with hooks.lifespan():
            body = {"type": "http.request", "body": event(name)}

            async def receive():
                return body

            answers = []

            async def send(message):
                answers.append(message.get("status"))

            scope = {"type": "http", "method": "POST", "path": PLACE, "headers": []}
            await hooks(scope, receive, send)
            assert answers[0] == 200
            async with asyncio.timeout(10):
                while len(seen) == found:
                    await inbox.counts()

    for name in ("a", "b", "c"):
        asyncio.run(once(name))
    assert [e.record_id for e in seen] == ["a", "b", "c"]


@pytest.mark.parametrize("secret", [SECRET, "canary-\xe9\u20ac-0123456789"])
async def test_logs_that_quote(inbox, caplog, secret):
    """However a secret is written in a request, broken or not, no log of aiohttp shows it."""
    app = receiver(Router(), inbox=inbox, secrets=[secret], serve=False)
    runner = web.AppRunner(app)
    raw = secret.encode()
    forms = [
        "".join(f"%{b:02X}" for b in raw),
        "".join(f"%{b:02x}" for b in raw),
        "%63" + "".join(chr(b) if b < 128 else f"%{b:02X}" for b in raw[1:]),
    ]
    with caplog.at_level(logging.DEBUG):
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        for form in forms:
            assert (await post(url, f"/webhook/{form}", event())).status == 200
            for line in (f"POST /webhook/{form} HTTP/9", f"POST /webhook/{form}\x01 HTTP/1.1"):
                assert (await say(url, f"{line}\r\nHost: h\r\n\r\n".encode())).status == 400
        broken = b"POST /webhook/%s HTTP/9.9 x\r\nHost: x\r\n\r\n" % raw
        assert (await say(url, broken)).status == 400
        await runner.cleanup()
    assert "Error handling request" in caplog.text
    assert "…" in caplog.text
    for form in (*forms, secret, secret[1:], "0123456789", "%30%31"):
        assert form not in caplog.text
    assert not logging.getLogger("aiohttp.server").filters
