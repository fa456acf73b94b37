"""The sender against real receivers on loopback; the admin call and the command against a real server."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from click.testing import CliRunner

from paragon_async.cli.webhooks import webhooks
from paragon_async.emulator import events, hooks, remote
from paragon_async.emulator.clock import Clock
from paragon_async.emulator.deliver import AT_ONCE, Deliverer
from paragon_async.emulator.errors import EmulatorError
from paragon_async.emulator.hooks import Hooks
from paragon_async.emulator.store import Store

SYNC = {
    "id": "s1",
    "user": "u1",
    "integration": "googledrive",
    "pipeline": "files",
    "credential": None,
}


def some(count):
    return [events.record_updated(SYNC, f"r{n}") for n in range(count)]


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0)


class Receiver:
    """A web server that keeps what it was told and answers as it is set to."""

    def __init__(self):
        self.told = []
        self.headers = []
        self.status = 200
        self.body = b"{}"
        self.gate = None
        self.open = 0
        self.most = 0

    async def handle(self, request):
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            body = await request.json()
            if self.gate is not None:
                await self.gate.wait()
        finally:
            self.open -= 1
        self.told.append(body)
        self.headers.append(dict(request.headers))
        return web.Response(status=self.status, body=self.body, headers={"Location": "/elsewhere"})

    async def start(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.base = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        self.url = f"{self.base}/hook"


@pytest.fixture
async def receiver():
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.runner.cleanup()


class Sender:
    """A store, a queue and a sender over one state, as one emulator has them."""

    def __init__(self, path=None, at=1_700_000_000.0, timeout=5.0):
        self.clock = Clock()
        self.clock.freeze(at)
        self.store = Store(path, [hooks.SCHEMA])
        self.hooks = Hooks(self.store, self.clock)
        self.deliverer = Deliverer(self.hooks, self.clock, timeout=timeout)

    async def settle(self):
        await self.deliverer.settle()

    async def __aenter__(self):
        self.deliverer.start()
        return self

    async def __aexit__(self, *_):
        await self.deliverer.aclose()
        self.store.close()


@pytest.fixture
async def sender():
    async with Sender() as sender:
        yield sender


def states(sender):
    return [row["state"] for row in sender.hooks.log()]


async def test_the_probe_comes_first(sender, receiver):
    """The probe is sent and answered before any event; each is one JSON request with our headers."""
    sender.hooks.configure(receiver.url, headers={"X-Secret": "s"})
    sender.hooks.enqueue(some(3))
    await sender.settle()
    assert receiver.told[0] == events.verification()
    assert sorted(e["data"]["recordId"] for e in receiver.told[1:]) == ["r0", "r1", "r2"]
    assert receiver.headers[1]["Content-Type"] == "application/json"
    assert receiver.headers[1]["User-Agent"] == "paragon-async-emulator/1"
    assert receiver.headers[1]["X-Secret"] == "s"
    assert states(sender) == ["delivered"] * 4


async def test_a_frozen_clock_holds_the_backoff(sender, receiver):
    """A failed probe is repeated only when the emulator's clock was advanced."""
    receiver.status = 500
    sender.hooks.configure(receiver.url)
    sender.hooks.enqueue(some(1))
    await sender.settle()
    await sender.settle()
    assert len(receiver.told) == 1
    receiver.status = 204
    sender.clock.advance(0.5)
    await sender.settle()
    assert len(receiver.told) == 1
    sender.clock.advance(0.5)
    await sender.settle()
    assert receiver.told == [events.verification(), events.verification(), *some(1)]


async def test_an_advanced_clock_wakes_the_sender_by_itself(sender, receiver):
    """Moving the clock is enough: nobody has to poke."""
    receiver.status = 500
    sender.hooks.configure(receiver.url)
    await sender.settle()
    receiver.status = 200
    sender.clock.advance(1)
    await until(lambda: sender.hooks.settings()["verified"])
    assert receiver.told == [events.verification()] * 2


async def test_retries_go_on_over_a_restart(tmp_path, receiver):
    """A new emulator over the same state file asks the probe again and sends what waited."""
    path = tmp_path / "state.db"
    receiver.status = 503
    async with Sender(path) as first:
        first.hooks.configure(receiver.url, headers={"X-Secret": "s"}, seed=3)
        first.hooks.enqueue(some(2))
        await first.settle()
        settings = first.hooks.settings()
    receiver.status = 200
    async with Sender(path, at=1_700_000_001.0) as second:
        assert second.hooks.settings() == settings
        await second.settle()
        assert states(second) == ["delivered"] * 3
        assert second.hooks.log()[0]["attempts"] == 2
    assert receiver.told[:2] == [events.verification()] * 2
    assert len(receiver.told) == 4
    assert receiver.headers[-1]["X-Secret"] == "s"


async def test_closing_loses_nothing(tmp_path, receiver):
    """What was on its way when the emulator stopped is sent again by the next one."""
    path = tmp_path / "state.db"
    async with Sender(path) as first:
        first.hooks.configure(receiver.url)
        await first.settle()
        receiver.gate = asyncio.Event()
        first.hooks.enqueue(some(20))
        first.deliverer.poke()
        await until(lambda: receiver.open == AT_ONCE)
    receiver.gate.set()
    await until(lambda: not receiver.open)
    async with Sender(path) as second:
        assert second.hooks.settings()["pending"] == 20
        await second.settle()
        assert second.hooks.settings()["pending"] == 0
    assert {e["data"]["recordId"] for e in receiver.told[1:]} == {f"r{n}" for n in range(20)}


async def test_few_are_on_their_way_at_once(sender, receiver):
    """No more than eight requests are open at a time."""
    sender.hooks.configure(receiver.url)
    await sender.settle()
    receiver.gate = asyncio.Event()
    sender.hooks.enqueue(some(60))
    sender.deliverer.poke()
    await until(lambda: receiver.open == AT_ONCE)
    receiver.gate.set()
    await sender.settle()
    assert len(receiver.told) == 61
    assert receiver.most == AT_ONCE


async def test_a_redirect_is_a_failure(sender, receiver):
    """A 3xx is not followed, and counts as a failed attempt."""
    receiver.status = 307
    sender.hooks.configure(receiver.url)
    await sender.settle()
    assert len(receiver.told) == 1
    (row,) = sender.hooks.log()
    assert (row["state"], row["status"], row["error"]) == ("pending", 307, "it answered 307")


async def test_a_large_answer_is_thrown_away(sender, receiver):
    """Only the status counts; the sender does not read a long body."""
    receiver.body = b"x" * 5_000_000
    sender.hooks.configure(receiver.url)
    sender.hooks.enqueue(some(2))
    await sender.settle()
    assert states(sender) == ["delivered"] * 3


async def test_an_unreachable_receiver(sender, receiver):
    """A refused connection becomes a short reason without the URL, and the row's end disables."""
    await receiver.runner.cleanup()
    sender.hooks.configure(receiver.url + "?token=CANARY", disable_after=2)
    await sender.settle()
    assert sender.hooks.log()[0]["error"] == "connection refused"
    sender.clock.advance(1)
    await sender.settle()
    assert "2 times in a row, last: connection refused" in sender.hooks.settings()["disabled"]
    sender.clock.advance(1000)
    await sender.settle()
    assert sender.hooks.log()[0]["attempts"] == 2
    assert "CANARY" not in json.dumps([sender.hooks.log(), sender.hooks.settings()])


async def test_a_silent_receiver(receiver):
    """A receiver that does not answer in time has failed."""
    receiver.gate = asyncio.Event()
    async with Sender(timeout=0.05) as sender:
        sender.hooks.configure(receiver.url)
        await sender.settle()
        assert sender.hooks.log()[0]["error"] == "no answer within 0.05 s"
    receiver.gate.set()


async def test_garbage_is_a_failure(sender):
    """What is no HTTP is a failed attempt, not the end of the sender."""

    async def babble(reader, writer):
        await reader.read(100)
        writer.write(b"\x00\xff nonsense\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender.hooks.configure(f"http://127.0.0.1:{port}/")
    await sender.settle()
    assert states(sender) == ["pending"]
    assert sender.hooks.log()[0]["error"]
    server.close()
    await server.wait_closed()


async def test_disorder_loss_and_duplicates_arrive(sender, receiver):
    """On request some events arrive twice, late or never: those that the seed says."""
    sender.hooks.configure(receiver.url, duplicate=0.3, reorder=0.4, drop=0.2, seed=5)
    assert sender.hooks.enqueue(some(40)) == sender.hooks.settings()["pending"] - 1
    await sender.settle()
    early = len(receiver.told)
    sender.clock.advance(2)
    await sender.settle()
    arrived = [e["data"]["recordId"] for e in receiver.told[1:]]
    assert early < len(receiver.told)
    assert 0 < len(set(arrived)) < 40
    assert len(arrived) > len(set(arrived))
    assert states(sender).count("dropped") == 40 - len(set(arrived))


async def test_redelivery_arrives(sender, receiver):
    """A delivery that is asked for again is sent again."""
    sender.hooks.configure(receiver.url)
    sender.hooks.enqueue(some(1))
    await sender.settle()
    sender.hooks.redeliver(2)
    await sender.settle()
    assert receiver.told[1:] == some(1) * 2


async def test_an_idle_sender_can_be_settled_and_closed():
    """Settling and closing need neither a start nor a webhook."""
    sender = Sender()
    await sender.settle()
    await sender.deliverer.aclose()
    sender.deliverer.start()
    await sender.settle()
    await sender.deliverer.aclose()
    assert sender.hooks.settings() == {"url": None}
    sender.store.close()


async def test_a_store_that_cannot_be_used_for_a_while(receiver, caplog):
    """The sender says so in the log, and sends when the store can be used again."""
    sender = Sender()
    sender.hooks.configure(receiver.url)
    sender.store.db.execute("ALTER TABLE deliveries RENAME TO away")
    sender.deliverer.start()
    await asyncio.sleep(0.05)
    assert "the state cannot be used" in caplog.text
    sender.store.db.execute("ALTER TABLE away RENAME TO deliveries")
    await sender.settle()
    assert [event["event"] for event in receiver.told] == ["webhook_verification"]
    await sender.deliverer.aclose()
    sender.store.close()


async def test_an_admin_call(receiver, monkeypatch):
    """A call reaches the emulator that the variable names, under any path of it, and returns its JSON."""
    receiver.body = b'{"queued": 1}'
    monkeypatch.setenv("PARAGON_BASE_URL", receiver.base + "/api")
    assert await remote.call(None, "POST", "/_emulator/events", {"event": "x"}) == {"queued": 1}
    assert receiver.told == [{"event": "x"}]


async def test_a_refused_admin_call(receiver):
    """The emulator's own sentence is what the caller is told; without one, the status is."""
    for status, body, said in [
        (409, b'{"message": "set a URL first"}', "set a URL first"),
        (404, b"<html>", "answered 404"),
        (302, b"{}", "answered 302"),
        (200, b"<html>", "without JSON"),
    ]:
        receiver.status, receiver.body = status, body
        with pytest.raises(EmulatorError, match=said):
            await remote.call(receiver.base, "POST", "/_emulator/events", {})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com", "on loopback"), ("https://127.0.0.1", "over http"), ("nonsense", "must look like"),
        ("http://127.0.0.1.evil.test", "on loopback"), ("http://127.0.0.1:1", "no emulator answers"),
        ("http://u:CANARY@example.com", "^http://example.com is no"),
    ],
)  # fmt: skip
async def test_only_an_emulator_here_is_called(url, said):
    """Other hosts are refused before anything is sent, and an absent emulator is named."""
    with pytest.raises(EmulatorError, match=said):
        await remote.call(url, "GET", "/_emulator/webhook")


async def test_the_command_triggers_an_event(receiver):
    """`webhooks trigger` sends what was named, prints one line and ends with 0."""
    receiver.body = json.dumps({"queued": 1, "event": {"event": "record_updated"}}).encode()
    asked = ["trigger", "record_updated", "--record", "r1", "--url", receiver.base]
    done = await asyncio.to_thread(CliRunner().invoke, webhooks, asked)
    assert done.exit_code == 0
    assert json.loads(done.output) == {"queued": 1, "event": {"event": "record_updated"}}
    assert receiver.told == [{"event": "record_updated", "record": "r1"}]


async def test_the_command_says_what_is_missing(receiver):
    """Without a webhook the server's sentence is told and the status is not 0."""
    receiver.status, receiver.body = 409, b'{"message": "no webhook is configured"}'
    asked = ["trigger", "sync_complete", "--url", receiver.base]
    done = await asyncio.to_thread(CliRunner().invoke, webhooks, asked)
    assert (done.exit_code, done.stderr) == (2, "paragon-async: no webhook is configured\n")
    assert CliRunner().invoke(webhooks, ["trigger", "unknown"]).exit_code == 2
