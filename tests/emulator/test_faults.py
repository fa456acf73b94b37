"""Faults on request: which calls they take, what they do to pages, and what goes over the wire."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import time

import aiohttp
import pytest
from aiohttp import web

from paragon_async.emulator.acting import act
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.faults import Fault, Faults
from paragon_async.emulator.mutate import KINDS, changed
from paragon_async.emulator.wreck import pieces_of, send

PATH = "/api/syncs/s1/records"


def test_which_calls_a_rule_takes():
    """Method, path, user and sync have to fit; `*` stands for anything."""
    for rule, fits in (
        ({}, True), ({"method": "G*"}, True), ({"method": "POST"}, False), ({"path": "/api/*/records"}, True),
        ({"path": "/api"}, False), ({"user": "u?"}, True), ({"user": "v*"}, False), ({"sync": "s1"}, True), ({"sync": "s2"}, False),
    ):  # fmt: skip
        assert Fault(**rule).takes("GET", PATH, "u1") is fits, rule
    assert Fault(sync="s1").takes("POST", "/api/permissions/s1/check", "u1")
    assert not Fault(sync="s1").takes("GET", "/api/syncs", "u1")


def test_how_often_a_rule_acts():
    """After `skip` calls, on every n-th, `times` times; with a probability that its seed repeats."""

    def acts(count=12, **rule):
        fault = Fault(**rule)
        return [fault.takes("GET", PATH) for _ in range(count)]

    assert acts(4) == [True, False, False, False]
    assert acts(6, skip=1, every=2, times=2) == [False, False, True, False, True, False]
    assert acts(5, times=None) == [True] * 5
    chance = acts(1000, times=None, probability=0.3, seed=5)
    assert chance == acts(1000, times=None, probability=0.3, seed=5)
    assert chance != acts(1000, times=None, probability=0.3, seed=6)
    assert 250 < sum(chance) < 350
    assert not any(acts(100, times=None, probability=0))


def test_rules_act_in_their_order():
    """The first rule that fits and is not used up acts; one can be taken back."""
    faults = Faults()
    first, second = faults.add(Fault(status=500)), faults.add(Fault(status=501, times=None))
    assert [faults.pick("GET", PATH).id for _ in range(3)] == [first, second, second]
    assert [rule["hits"] for rule in faults.listed()] == [1, 2]
    assert faults.remove(second)
    assert not faults.remove(second)
    assert faults.pick("GET", PATH) is None


@pytest.mark.parametrize(
    "rule",
    [
        {"stats": 1}, {"method": 5}, {"times": -1}, {"times": 1.5}, {"every": 0}, {"probability": 2}, {"status": 99},
        {"headers": {"a": 1}}, {"headers": {"a\n": "b"}}, {"headers": []}, {"body": 5}, {"html": 1}, {"page": "odd"},
        {"delay": -1}, {"retry_after_form": "epoch"}, {"drip_body": -1}, {"cut_after": "x"}, {"seed": 1e400},
        {"headers": {"a": "\x01"}}, {"headers": {"a": "\ud800"}}, {"headers": {"": "b"}}, {"path": None, "user": []},
    ],
)  # fmt: skip
def test_rules_that_are_none(rule):
    """What is no rule is refused with a sentence."""
    with pytest.raises(Refusal) as caught:
        Fault.from_json(rule)
    assert caught.value.status == 400
    assert "array" not in caught.value.message


def test_rules_in_json():
    """A rule is what its JSON said; null leaves a default, except that `times` null is for ever."""
    fault = Fault.from_json({"times": None, "delay": None, "body": "ü", "status": 418})
    assert (fault.times, fault.delay, fault.body) == (None, 0.0, "ü".encode())
    shown = fault.as_json()
    assert json.loads(json.dumps(shown))["body"] == "ü"
    assert Fault.from_json({k: v for k, v in shown.items() if k not in {"id", "hits"}})


def page(records, remaining, cursor):
    return {"data": records, "paging": {"totalRecords": 9, "remainingRecords": remaining, "cursor": cursor}}  # fmt: skip


def test_pages_in_disorder():
    """Each kind spoils a page in its way, and leaves other answers alone."""
    true = page([{"id": "a"}, {"id": "b"}], 3, "c2")
    assert changed(true, "null_cursor", "c1", [])["paging"]["cursor"] is None
    assert changed(true, "repeat_cursor", "c1", [])["paging"]["cursor"] == "c1"
    empty = changed(true, "empty", "c1", [])
    assert (empty["data"], empty["paging"]["remainingRecords"]) == ([], 5)
    assert len(changed(true, "duplicates", "c1", [])["data"]) == 4
    assert changed(true, "no_paging", "c1", []) == {"data": true["data"]}
    assert changed(true, "unknown_fields", None, [])["data"][0] == {"id": "a", "newField": None}
    assert changed({"status": "IDLE"}, "unknown_values", None, []) == {"status": "HIBERNATING"}
    record = {"id": "a", "hash": {"type": "MD5"}, "status": "new"}
    odd = changed(page([record, 5], 0, "c"), "unknown_values", None, [])["data"]
    assert odd == [{"id": "a", "hash": {"type": "XXH9"}, "status": "HIBERNATING"}, 5]
    for kind in ("empty", "duplicates", "null_cursor"):
        assert changed({"status": "IDLE"}, kind, None, []) == {"status": "IDLE"}
    assert changed([1], "empty", None, []) == [1]


def test_cursors_that_run_in_a_circle():
    """Two cursors send back to each other for ever, with records remaining; a new pull starts anew."""
    feed = {None: "c1", "c1": "c2", "c2": "c3", "c5": "c6", "c6": "c7", "c7": "c8"}

    def walk(asked, seen):
        for _ in range(5):
            paging = changed(page([{}], 0, feed[asked]), "cycle_cursor", asked, seen)["paging"]
            assert paging["remainingRecords"] == 1
            asked = paging["cursor"]
            yield asked

    seen = []
    assert list(walk(None, seen)) == list(walk(None, seen)) == ["c1", "c2", "c1", "c2", "c1"]
    assert list(walk("c5", [])) == ["c6", "c7", "c6", "c7", "c6"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "body", [{"paging": {}}, {"paging": {"remainingRecords": 1}}, {"data": 5}, 5]
)
def test_contents_that_look_like_pages(kind, body):
    """JSON that is no page of this service does not make a rule fail."""
    assert changed(body, kind, None, [])


def test_one_record_in_disorder():
    """A single record gets unknown fields and values like those of a page."""
    one = {"data": {"id": "a", "hash": {"type": "MD5"}}}
    assert changed(one, "unknown_values", None, [])["data"]["hash"] == {"type": "XXH9"}
    assert "newField" in changed(one, "unknown_fields", None, [])["data"]


def test_rules_in_code_that_are_none():
    """A rule made in code is held to what would fail in the middle of a call."""
    for rule in ({"every": 0}, {"page": "odd"}):
        with pytest.raises(ValueError, match=next(iter(rule))):
            Fault(**rule)
    assert Fault(method="get").takes("GET", PATH)


@pytest.fixture
async def large(client, folder):
    """A sync, and the address and bytes of a file that is streamed."""
    sync = await client.synced()
    record = next(r for r in (await client.pulled(sync))[0] if r["name"] == "large.bin")
    whole = (folder / "reports" / "2025" / "large.bin").read_bytes()
    return f"{sync}/records/{record['id']}/content", whole


async def raw(emulator, client, path):
    """Ask over a bare socket, and return the head and the body as they came."""
    host, _, port = emulator.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {client.headers['Authorization']}\r\n\r\n"
    writer.write(head.encode())
    got = bytearray()
    try:
        while part := await asyncio.wait_for(reader.read(1 << 20), 10):
            got += part
        ended = "closed"
    except ConnectionResetError:
        ended = "reset"
    writer.close()
    head, _, body = bytes(got).partition(b"\r\n\r\n")
    return head.decode(), body, ended


@pytest.mark.parametrize("small", [True, False])
async def test_broken_bodies(emulator, client, large, small):
    """Cut, lied about, corrupted, dripping and stalled bodies, small and streamed, as they were asked for."""
    path, whole = large
    if small:
        path = path.rpartition("/")[0]
        whole = json.dumps((await client.ask("GET", path))[1], separators=(",", ":")).encode()
    size = len(whole)

    async def broken(**rule):
        emulator.fault(path=path, **rule)
        return await raw(emulator, client, path)

    head, body, ended = await broken(cut_after=100)
    assert (f"Content-Length: {size}" in head, len(body), ended) == (True, 100, "closed")
    assert (await broken(cut_after=100, reset=True))[2] in {"reset", "closed"}
    head, body, _ = await broken(length_off=5)
    assert (f"Content-Length: {size + 5}" in head, len(body)) == (True, size)
    head, body, _ = await broken(length_off=-5)
    assert (f"Content-Length: {size - 5}" in head, len(body)) == (True, size)
    _, body, _ = await broken(corrupt_at=7)
    assert [n for n in range(size) if body[n] != whole[n]] == [7]
    assert (await broken(drip_body=size // 3, drip_every=0.01))[1] == whole
    _, body, _ = await broken(stall_after=50, stall=0.05)
    assert body == whole[:50]


async def test_broken_heads(emulator, client):
    """A head can drip, and can stop half-way."""
    emulator.fault(drip_headers=0.0001, headers={"X-A": "b"})
    head, body, _ = await raw(emulator, client, "/api/syncs")
    assert head.startswith("HTTP/1.1 200 OK")
    assert "X-A: b" in head
    assert json.loads(body) == {"data": []}
    emulator.fault(stall_headers=0.05)
    head, body, ended = await raw(emulator, client, "/api/syncs")
    assert (body, ended, head.startswith("HTTP/1.1")) == (b"", "closed", True)


async def test_a_caller_who_leaves_a_stall(emulator, client, large, caplog):
    """Who hangs up during a stall leaves nothing behind."""
    emulator.fault(path="*/content", stall_after=10, stall=60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.ask("GET", large[0])
    assert (await client.ask("GET", "/api/syncs"))[0] == 200
    assert caplog.records == []


async def test_answers_instead(emulator, client):
    """Refusals come with Retry-After in both forms, HTML with 200, and headers as wished."""
    emulator.fault(retry_after=7)
    status, body, headers = await client.ask("GET", "/api/syncs")
    assert (status, headers["Retry-After"], body["status"]) == (429, "7", 429)
    emulator.fault(status=503, retry_after=3600, retry_after_form="date")
    status, _, headers = await client.ask("GET", "/api/syncs")
    when = email.utils.parsedate_to_datetime(headers["Retry-After"]).timestamp()
    assert (status, abs(when - time.time() - 3600) < 30) == (503, True)
    emulator.fault(html=True)
    status, body, headers = await client.ask("GET", "/api/syncs")
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/html")
    emulator.fault(status=401)
    assert (await client.ask("GET", "/api/syncs"))[0] == 401


async def test_another_origin(emulator, client, large):
    """A redirected content is served elsewhere without a token, refused with one, or without a signature."""
    path, whole = large
    emulator.fault(path="*/content", redirect=True)
    async with client.session.get(
        client.url + path, headers=client.headers, allow_redirects=False
    ) as answer:
        assert answer.status == 307
        place = answer.headers["Location"]
    assert not place.startswith(client.url)
    async with client.session.get(place) as answer:
        assert (answer.status, await answer.read()) == (200, whole)
    async with client.session.get(place, headers=client.headers) as answer:
        assert answer.status == 400
    async with client.session.get(place.replace("signature=", "signature=0")) as answer:
        assert answer.status == 403
    emulator.fault(path="/api/syncs", redirect=True)
    async with (
        aiohttp.ClientSession() as fresh,
        fresh.get(client.url + "/api/syncs", headers=client.headers) as answer,
    ):
        assert answer.status == 404


async def test_faulty_pages_reach_the_caller(emulator, client):
    """A spoiled page is sent as any other, for the sync and the user that were named."""
    sync = await client.synced()
    emulator.fault(page="null_cursor", sync=sync.rpartition("/")[2], user="u1", path="*/records")
    paging = (await client.page(sync))["paging"]
    assert (paging["cursor"], paging["remainingRecords"]) == (None, 1)
    assert (await client.page(sync))["paging"]["remainingRecords"] == 0


@contextlib.asynccontextmanager
async def faulty(fault, body=b"x" * 5000, **answered):
    """Serve *body* with one fault, and give the port and the calls under way."""
    under_way = []

    @web.middleware
    async def middleware(request, handler):
        under_way.append(request)
        try:
            return await act(fault, request, handler, None, "u")
        finally:
            under_way.remove(request)

    async def handler(request):
        if "total" in answered:
            return await send(request, web.StreamResponse(), pieces_of(body), answered["total"])
        return web.Response(body=body)

    app = web.Application(middlewares=[middleware])
    app.router.add_get("/", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1], under_way
    finally:
        await runner.cleanup()


async def asked(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return reader, writer


async def until_empty(under_way):
    async with asyncio.timeout(5):
        while under_way:  # noqa: ASYNC110  # a list tells nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("rule", [{}, {"cut_after": 10}, {"cut_after": 0}])
async def test_resets(rule):
    """A reset arrives as one, behind what was sent before it."""
    async with faulty(Fault(reset=True, **rule)) as (port, _):
        reader, writer = await asked(port)
        body = (await reader.readuntil(b"\r\n\r\n"))[:0]
        with pytest.raises(ConnectionResetError):
            while part := await reader.read(1 << 20):
                body += part
        assert len(body) == rule.get("cut_after", 5000)
        writer.close()


@pytest.mark.parametrize(
    "rule", [{"delay": 60}, {"stall_headers": 60}, {"drip_headers": 60}, {"stall_after": 9}, {"drip_body": 1, "drip_every": 60}, {"reset": True}]
)  # fmt: skip
async def test_waits_end_with_the_caller(rule, caplog):
    """Whatever a fault waits for, it ends when the caller leaves, without a complaint."""
    async with faulty(Fault(**rule)) as (port, under_way):
        _, writer = await asked(port)
        async with asyncio.timeout(5):
            while not under_way:  # noqa: ASYNC110  # a list tells nobody
                await asyncio.sleep(0)
        writer.close()
        await until_empty(under_way)
    assert caplog.records == []


async def test_waits_end_with_the_server(caplog):
    """A stall does not hold up the end of the server."""
    async with asyncio.timeout(10):
        async with faulty(Fault(stall_after=9, stall=600)) as (port, _):
            reader, writer = await asked(port)
            await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert caplog.records == []


@pytest.mark.parametrize("answered", [{}, {"total": 5000}])
async def test_headers_of_a_broken_answer(answered):
    """A header that the rule names in other letters takes the place of the true one."""
    headers = {"content-type": "a/b", "content-length": "3"}
    async with faulty(Fault(corrupt_at=1, headers=headers), **answered) as (port, _):
        reader, writer = await asked(port)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert (head.count(b"content-type: a/b"), head.count(b"content-type")) == (1, 1)
        assert (head.count(b"content-length: 5000"), head.count(b"content-length")) == (1, 1)
        writer.close()


@pytest.mark.parametrize(
    ("rule", "length", "is_whole"),
    [({}, 5000, True), ({"corrupt_at": 3}, 5000, True), ({"drip_body": 999, "drip_every": 0.001}, 5000, True), ({"cut_after": 1500}, 1500, False)],
)  # fmt: skip
async def test_streams_of_no_known_length(rule, length, is_whole):
    """A body of unknown length is sent in chunks, and broken between or inside them."""
    async with faulty(Fault(**rule), total=None) as (port, _):
        got, ended = b"", True
        async with (
            aiohttp.ClientSession() as fresh,
            fresh.get(f"http://127.0.0.1:{port}") as answer,
        ):
            assert answer.content_length is None
            try:
                async for part in answer.content.iter_any():
                    got += part
            except aiohttp.ClientPayloadError:
                ended = False
        assert (len(got), ended) == (length, is_whole)


@pytest.mark.parametrize(("seconds", "said"), [(0, "0"), (0.25, "0.25"), (12345678, "12345678")])
async def test_when_to_come_again(seconds, said):
    """Retry-After is a plain number, never one with an exponent; a date is never too early."""

    async def hint(**rule):
        fault = Fault(retry_after=seconds, **rule)
        async with (
            faulty(fault) as (port, _),
            aiohttp.ClientSession() as fresh,
            fresh.get(f"http://127.0.0.1:{port}") as answer,
        ):
            assert answer.status == 429
            return answer.headers["Retry-After"]

    assert await hint() == said
    before = time.time()
    when = email.utils.parsedate_to_datetime(await hint(retry_after_form="date"))
    assert when.timestamp() >= before + seconds


async def test_a_stream_of_objects_that_is_cut(emulator, client):
    """The stream of objects is broken like any other body."""
    path = (await client.synced()).replace("syncs", "permissions") + "/streamed-list-objects"
    asked = {"objectType": "file", "user": "owner@example.com", "role": "can_read"}
    emulator.fault(path=path, cut_after=10, headers={"X-A": "b"})
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.ask("POST", path, asked)
    assert (await client.ask("POST", path, asked))[1].count(b"\n") == 4
