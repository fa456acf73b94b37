from __future__ import annotations

import asyncio
import json
import logging
import socket
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web

from paragon_async.errors import ConfigurationError
from paragon_async.webhooks import ParagonSignature, Router
from paragon_async.webhooks.inbox import Counts, Inbox, InboxError
from paragon_async.webhooks.receiver import AccessLogger, receiver, serving
from tests.webhooks.sending import (
    NONSENSE,
    OTHER,
    PROBE,
    SECRET,
    Refusing,
    event,
    heard,
    post,
    request,
    say,
    small_disk,
)

PLACE = f"/webhook/{SECRET}"


async def test_stored_is_answered(receiving, inbox):
    """An event is answered 200 when it is in the inbox, its duplicate and the probe too."""
    async with receiving() as url:
        for body in (event(), event(), PROBE, b"{}"):
            answer = await post(url, PLACE, body)
            assert (answer.status, json.loads(answer.body)) == (200, {"success": True})
            assert answer.headers["content-type"] == "application/json"
    assert await inbox.counts() == Counts(1, 0, 0)


async def test_a_connection_is_kept(receiving, inbox):
    """Accepted events may follow each other on one connection."""
    async with receiving() as url, aiohttp.ClientSession() as session:
        for n in range(5):
            async with session.post(url + PLACE, data=event(f"r{n}")) as answer:
                assert answer.status == 200
        assert len(session.connector._conns) == 1
    assert (await inbox.counts()).waiting == 5


@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense(receiving, inbox, body):
    """A body that is no event is a 400 that says what is wrong, and leaves nothing."""
    async with receiving() as url:
        answer = await post(url, PLACE, body)
        assert answer.status == 400
        told = json.loads(answer.body)
        assert told["success"] is False and told["error"]
    assert await inbox.counts() == Counts(0, 0, 0)


@pytest.mark.parametrize(
    "path", ["/webhook", "/webhook/wrong", f"/webhook/{SECRET}x", "/webhook/%FF"]
)
async def test_wrong_secret(receiving, inbox, path):
    """A wrong or missing secret is a 401 before any of the body has come, also for the probe."""
    async with receiving() as url:
        head = request(path, Content_Length=30_000)
        assert (await say(url, head)).status == 401
        for body in (event(), PROBE, b"nonsense"):
            assert (await post(url, path, body, X_Webhook_Secret=SECRET)).status == 401
    assert await inbox.counts() == Counts(0, 0, 0)


async def test_rotation(receiving):
    """All of several secrets are valid, and only they."""
    async with receiving(secrets=[SECRET, OTHER]) as url:
        for secret, status in ((SECRET, 200), (OTHER, 200), (SECRET[::-1], 401)):
            assert (await post(url, f"/webhook/{secret}", event())).status == status


async def test_header(receiving):
    """With a header the secret counts only there, whatever the header's case."""
    async with receiving(header="X-Hook-Key", path="hooks/in/") as url:
        for headers, status in (
            ({"x_hook_key": SECRET}, 200),
            ({"X_HOOK_KEY": SECRET}, 200),
            ({"X_Hook_Key": OTHER}, 401),
            ({"X_Hook_Key": "\u00ff"}, 401),
            ({}, 401),
        ):
            assert (await post(url, "/hooks/in", event(), **headers)).status == status
        twice = request("/hooks/in", event(), X_Hook_Key=f"{SECRET}\r\nX-Hook-Key: {SECRET}")
        assert (await say(url, twice)).status == 401
        assert (await post(url, f"/hooks/in/{SECRET}", event())).status == 404


async def test_verifiers(receiving, inbox):
    """All verifiers have to agree; one that fails refuses, and is no 500."""

    def broken(headers, body):
        raise ZeroDivisionError

    import hmac

    body = event()
    signed = {"x_paragon_signature": f"v1={hmac.digest(OTHER.encode(), body, 'sha256').hex()}"}
    async with receiving(secrets=(), verifiers=[ParagonSignature(OTHER)]) as url:
        assert (await post(url, "/webhook", body, **signed)).status == 200
        assert (await post(url, "/webhook", event("other"), **signed)).status == 401
        assert (await post(url, "/webhook", body)).status == 401
    async with receiving(verifiers=[ParagonSignature(OTHER), broken]) as url:
        assert (await post(url, PLACE, event("other"), **signed)).status == 401
        assert (await post(url, PLACE, body, **signed)).status == 401
    assert await inbox.counts() == Counts(1, 0, 0)


async def test_elsewhere(receiving):
    """Other paths are 404 and other methods 405."""
    async with receiving() as url:
        for path in ("/", "/webhoo", PLACE + "/", PLACE + "/x", "/webhook//x"):
            assert (await post(url, path, event())).status == 404
        for method in ("GET", "PUT", "DELETE"):
            answer = await say(url, request(PLACE, method=method))
            assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_too_large(receiving, inbox):
    """A body over the limit is a 413: by its announced length unread, and while it comes in pieces."""
    async with receiving(limit=1000) as url:
        head = request(PLACE, Content_Length=10_000_000)
        assert (await say(url, head)).status == 413
        assert (await say(url, request(PLACE, Content_Length="9" * 18))).status == 413
        chunk = b"190\r\n" + b"x" * 400 + b"\r\n"
        chunked = request(PLACE, Content_Length=None, Transfer_Encoding="chunked")
        answer = await say(url, chunked, chunk * 3)
        assert (answer.status, answer.is_closed) == (413, True)
        full = event(padding="x" * (1000 - len(event(padding=""))))
        assert len(full) == 1000
        assert (await post(url, PLACE, full)).status == 200
        assert (await post(url, PLACE, full + b" ")).status == 413
    assert (await inbox.counts()).waiting == 1


async def test_chunked(receiving, inbox):
    """A body without a length, in pieces of any size, is as good as another."""
    async with receiving() as url:
        head = request(PLACE, Content_Length=None, Transfer_Encoding="chunked")
        pieces = [b"%x\r\n%c\r\n" % (1, byte) for byte in event()]
        assert (await say(url, head, *pieces, b"0\r\n\r\n")).status == 200
    assert (await inbox.counts()).waiting == 1


async def test_compressed(receiving):
    """A compressed body is refused unread: it may be a bomb."""
    async with receiving() as url:
        assert (await post(url, PLACE, event(), Content_Encoding="gzip")).status == 415
        assert (await post(url, PLACE, event(), Content_Encoding="identity")).status == 200


async def test_slow_body(receiving, inbox):
    """A body that does not come in time is a 408, however it drips, and the connection is closed."""
    async with receiving(timeout=0.2) as url:
        answer = await say(url, request(PLACE, event())[:-1])
        assert (answer.status, answer.is_closed) == (408, True)
        head = request(PLACE, Content_Length=60_000)
        dripping = await say(url, head, *[b"{"] * 30, then=lambda: asyncio.sleep(0.01))
        assert dripping.status == 408
    assert await inbox.counts() == Counts(0, 0, 0)


async def test_half_a_body(receiving, inbox, caplog):
    """A sender that goes in the middle leaves no event, no error, and a receiver that goes on."""
    async with receiving() as url:
        host, port = url.removeprefix("http://").split(":")
        for _ in range(3):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(request(PLACE, event())[:-10])
            await writer.drain()
            writer.transport.abort()
        assert (await post(url, PLACE, event("whole"))).status == 200
    assert await inbox.counts() == Counts(1, 0, 0)
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_no_http(receiving, caplog):
    """What is no HTTP is a 400, and no secret in it reaches the log."""
    long = f"POST {PLACE}?{'x' * 9000} HTTP/1.1\r\n\r\n".encode()
    with caplog.at_level(logging.DEBUG):
        async with receiving() as url:
            for data in (
                f"POST {PLACE} HTTP/9\r\n\r\n".encode(),
                b"\x16\x03\x01\x02\r\n\r\n",
                long,
            ):
                assert (await say(url, data)).status == 400
            for length in ("-1", "x", "1_0", "\u0661"):
                assert (await post(url, PLACE, event(), Content_Length=length)).status == 400
    assert "Error handling request" in caplog.text
    assert SECRET not in caplog.text


async def test_flood(receiving, inbox):
    """Of more requests at once than may be in hand each too many is a 503 to come again, none a 500."""
    async with receiving(connections=4, timeout=10) as url:
        host, port = url.removeprefix("http://").split(":")
        slow = []
        body = event()
        for n in range(12):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request(PLACE, event(f"r{n:02}"))[:-1])
            slow.append((reader, writer))
        async with asyncio.timeout(10):
            # Those that are refused are answered though their bodies never end.
            waits = [asyncio.create_task(heard(reader)) for reader, _ in slow]
            refused = set()
            while len(refused) < 8:
                done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                refused |= done
                waits = [task for task in waits if task not in done]
            assert {(t.result().status, t.result().headers["retry-after"]) for t in refused} == {
                (503, "30")
            }
            assert (await post(url, PLACE, body)).status == 503
            assert (await post(url, "/webhook/wrong", body)).status == 401
            for _, writer in slow:
                writer.write(b"}")
            assert {(await wait).status for wait in waits} == {200}
            assert (await post(url, PLACE, body)).status == 200
        for _, writer in slow:
            writer.close()
    assert (await inbox.counts()).waiting == 5


async def test_too_many_connections(receiving):
    """A connection too many is told 503 at once; when others have gone, one is taken again."""
    async with receiving({"connections": 3}) as url:
        host, port = url.removeprefix("http://").split(":")
        idle = [await asyncio.open_connection(host, int(port)) for _ in range(3)]
        answer = await post(url, PLACE, event())
        assert (answer.status, answer.is_closed) == (503, True)
        assert answer.headers["retry-after"] == "30"
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(5):
            while (await post(url, PLACE, event())).status != 200:
                pass


@pytest.mark.parametrize("sent", [b"", b"POST /webh", b"POST /webhook HTTP/1.1\r\nHost: h\r\n"])
async def test_half_a_header(receiving, sent):
    """A connection that sends no whole header for the idle time is closed."""
    async with receiving({"idle": 0.2}) as url, asyncio.timeout(5):
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()


async def test_full_inbox(tmp_path, router, receiving):
    """A full inbox is a 503 to come again; what it had is answered 200 still."""
    async with Inbox(tmp_path / "small", capacity=1) as inbox, receiving(inbox=inbox) as url:
        assert (await post(url, PLACE, event("a"))).status == 200
        answer = await post(url, PLACE, event("b"))
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
        assert (await post(url, PLACE, event("a"))).status == 200
        assert (await post(url, PLACE, b"nonsense")).status == 400
        await inbox.drain(router)
        assert (await post(url, PLACE, event("b"))).status == 200


async def test_a_disk_that_refuses(tmp_path, receiving, caplog):
    """A disk that fails or is full is a 503, logged once each; when it works again, a 200."""
    disk = Refusing()
    async with Inbox(tmp_path / "i", connect=disk) as inbox, receiving(inbox=inbox) as url:
        disk.is_on = True
        assert (await post(url, PLACE, event())).status == 503
        disk.is_on = False
        assert (await post(url, PLACE, event())).status == 200
    assert "disk I/O error" in caplog.text
    async with Inbox(tmp_path / "j", connect=small_disk) as inbox, receiving(inbox=inbox) as url:
        bodies = [event(f"r{n}", padding="x" * 5000) for n in range(20)]
        statuses = [(await post(url, PLACE, body)).status for body in bodies]
        assert set(statuses) == {200, 503}
        assert (await inbox.counts()).waiting == statuses.count(200)
    assert "the disk is full" in caplog.text


async def test_a_closed_inbox(tmp_path, receiving):
    """Without anybody who opens the inbox an event is a 503."""
    async with receiving(inbox=Inbox(tmp_path / "closed")) as url:
        assert (await post(url, PLACE, event())).status == 503


async def test_it_serves(tmp_path, nothing_left):
    """A receiver that serves opens its inbox, handles what comes, and what an earlier one left."""
    path, router, calls = tmp_path / "i", Router(), asyncio.Queue()

    from paragon_async.webhooks import RecordUpdated

    @router.on(RecordUpdated)
    async def handle(found):
        await calls.put(found.record_id)

    async with Inbox(path) as inbox:
        await inbox.put(event("before"))
    app = receiver(router, inbox=Inbox(path), secrets=[SECRET])
    async with serving(app) as url:
        assert await calls.get() == "before"
        assert (await post(url, PLACE, event("during"))).status == 200
        assert await calls.get() == "during"
    async with Inbox(path) as inbox:
        assert (await inbox.counts()).waiting <= 1


async def test_restarts_lose_nothing(tmp_path):
    """What a receiver accepted is handled by a later one, when its handler never got to the end."""
    path, stuck, working, calls = tmp_path / "i", Router(), Router(), asyncio.Queue()

    from paragon_async.webhooks import RecordUpdated

    @stuck.on(RecordUpdated)
    async def wait(found):
        await asyncio.sleep(60)

    @working.on(RecordUpdated)
    async def handle(found):
        await calls.put(found.record_id)

    for start in range(3):
        async with serving(receiver(stuck, inbox=Inbox(path), secrets=[SECRET])) as url:
            for n in range(5):
                assert (await post(url, PLACE, event(f"{start}.{n}"))).status == 200
    async with serving(receiver(working, inbox=Inbox(path), secrets=[SECRET])):
        got = {await calls.get() for _ in range(15)}
    assert got == {f"{start}.{n}" for start in range(3) for n in range(5)}


async def test_sub_application(tmp_path, router, caplog):
    """Below another application it answers under its prefix, and starts and stops with it."""
    inbox = Inbox(tmp_path / "i")
    app = web.Application()
    app.add_subapp("/hooks", receiver(router, inbox=inbox, secrets=[SECRET], path="/"))

    async def hello(request):
        return web.Response(text="hello")

    app.router.add_get("/hello/{name}", hello)
    with caplog.at_level(logging.INFO):
        async with serving(app) as url:
            assert (await post(url, f"/hooks/{SECRET}", event())).status == 200
            assert (await post(url, "/hooks/wrong", event())).status == 401
            assert (await post(url, "/hooks", event())).status in {401, 404}
            assert (await say(url, request("/hello/me", method="GET"))).status == 200
    assert "POST /hooks/… 200" in caplog.text
    assert "GET /hello/… 200" in caplog.text
    with pytest.raises(InboxError, match="not open"):
        await inbox.counts()


async def test_access_log(receiving, caplog):
    """The log tells method, route, status and time of each request, and never a secret."""
    with caplog.at_level(logging.DEBUG):
        async with receiving() as url:
            for path in (
                PLACE,
                f"{PLACE}?key={SECRET}",
                PLACE + "/",
                f"/webhok/{SECRET}",
                "/webhook",
            ):
                await post(url, path, event())
            await say(url, request(PLACE, method="GET"))
    lines = [r.getMessage() for r in caplog.records if r.name == "paragon_async.webhooks.access"]
    assert [line.rsplit(" ", 2)[0] for line in lines] == [
        "POST /webhook/… 200", "POST /webhook/… 200", "POST /… 404", "POST /… 404", "POST /webhook 401",
        "GET /… 405",
    ]  # fmt: skip
    assert all(line.endswith(" ms") for line in lines)
    assert SECRET not in caplog.text


async def test_another_access_log(inbox, router, caplog):
    """Where another server logs whole paths, the secret is hidden in them while the receiver runs."""
    secret = "canary with %20 and spaces"
    app = receiver(router, inbox=inbox, secrets=[secret, SECRET], serve=False)
    runner = web.AppRunner(app)
    with caplog.at_level(logging.INFO):
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        odd = "/webhook/canary%20with%20%2520%20and%20spaces"
        assert (await post(url, odd, event())).status == 200
        assert (await post(url, PLACE, event(), User_Agent=SECRET)).status == 200
        await runner.cleanup()
    logged = [r for r in caplog.records if r.name == "aiohttp.access"]
    assert len(logged) == 2
    assert "POST /webhook/… HTTP/1.1" in caplog.text
    assert not any("canary" in str(vars(record)) for record in logged)
    assert not logging.getLogger("aiohttp.access").filters


async def test_a_quiet_log(receiving, caplog):
    """Where nobody reads the access log nothing is written for it."""
    with caplog.at_level(logging.WARNING, "paragon_async.webhooks.access"):
        async with receiving() as url:
            await post(url, PLACE, event())
        assert not AccessLogger(logging.getLogger("paragon_async.webhooks.access"), "").enabled
    assert caplog.records == []


def test_somebody_must_be_kept_out(tmp_path, router):
    """Without secrets and verifiers there is no receiver, unless that is said to be meant."""
    inbox = Inbox(tmp_path / "i")
    with pytest.raises(ConfigurationError, match="insecure=True"):
        receiver(router, inbox=inbox)
    assert receiver(router, inbox=inbox, insecure=True)


async def test_insecure(receiving):
    """An open receiver takes events at its path."""
    async with receiving(secrets=(), insecure=True) as url:
        assert (await post(url, "/webhook", event())).status == 200
        assert (await post(url, "/webhook/x", event())).status == 404


OPTIONS = {
    "a word for secrets": ({"secrets": SECRET}, "one string"),
    "a short secret": ({"secrets": ["short"]}, "shorter"),
    "a slash": ({"secrets": [f"{SECRET}/{OTHER}"]}, "slash"),
    "braces in a secret": ({"secrets": [f"{SECRET}{{x}}"]}, "braces"),
    "no header": ({"secrets": [SECRET], "header": " "}, "header"),
    "braces": ({"secrets": [SECRET], "path": "/{x}"}, "braces"),
    "limit": ({"secrets": [SECRET], "limit": 0}, "limit"),
    "timeout": ({"secrets": [SECRET], "timeout": -1}, "timeout"),
    "connections": ({"secrets": [SECRET], "connections": 0}, "connections"),
}


@pytest.mark.parametrize(("options", "words"), OPTIONS.values(), ids=OPTIONS)
def test_options(tmp_path, router, options, words):
    """An option that cannot be is a ConfigurationError without any secret in it."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        receiver(router, inbox=Inbox(tmp_path / "i"), **options)
    assert SECRET not in str(caught.value)


async def test_a_port_that_is_taken(tmp_path, router, nothing_left):
    """A port that cannot be listened on is a ConfigurationError, and the inbox is closed again."""
    inbox = Inbox(tmp_path / "i")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for port in (taken.getsockname()[1], 70_000):
            with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1 port {port}"):
                async with serving(receiver(router, inbox=inbox, secrets=[SECRET]), port=port):
                    pass
    async with inbox:
        pass


async def test_an_inbox_that_is_held(tmp_path, router, nothing_left):
    """Starting over an inbox that another holds raises what the inbox raises."""
    async with Inbox(tmp_path / "i"):
        with pytest.raises(InboxError, match="in use"):
            async with serving(receiver(router, inbox=Inbox(tmp_path / "i"), secrets=[SECRET])):
                pass


async def test_loopback_only(receiving):
    """Unless it is told otherwise, the server listens on loopback."""
    async with receiving() as url:
        assert url.startswith("http://127.0.0.1:")
    async with AsyncExitStack() as stack:
        if socket.has_ipv6:
            try:
                url = await stack.enter_async_context(receiving({"host": "::1"}))
            except ConfigurationError:
                pytest.skip("this machine has no IPv6")
            assert url.startswith("http://[::1]:")
            assert (await post(url, PLACE, event())).status == 200
