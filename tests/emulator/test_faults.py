"""Faults on request: which calls they take, what they do to pages, and what goes over the wire."""

from __future__ import annotations

import asyncio
import email.utils
import json
import time

import aiohttp
import pytest

from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.faults import Fault, Faults
from paragon_async.emulator.mutate import changed

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
    ],
)  # fmt: skip
def test_rules_that_are_none(rule):
    """What is no rule is refused with a sentence."""
    with pytest.raises(Refusal) as caught:
        Fault.from_json(rule)
    assert caught.value.status == 400


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
    """The second page sends back to the first, for ever, with records remaining."""
    seen = []
    first = changed(page([{}], 2, "c1"), "cycle_cursor", None, seen)["paging"]
    second = changed(page([{}], 1, "c2"), "cycle_cursor", "c1", seen)["paging"]
    third = changed(page([{}], 0, "c3"), "cycle_cursor", "c1", seen)["paging"]
    assert [first["cursor"], second["cursor"], third["cursor"]] == ["c1", "c1", "c1"]
    assert third["remainingRecords"] == 1


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
