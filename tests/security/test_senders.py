"""S11, S12 and S14: what strangers can make a receiver of webhooks, and a mirror behind it, do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import Counter

import aiohttp

from paragon_async.ingest.hints import Hints
from paragon_async.ingest.values import Feed
from paragon_async.webhooks import Inbox, RecordDeleted, Router, receiver, serving
from paragon_async.webhooks.events import parse_event
from tests.ingest.fakes import contents, ingest, source
from tests.webhooks.sending import OTHER, SECRET


def body(kind, sync, record, user="user-1"):
    told = {"event": kind, "sync": "googledrive", "syncInstanceId": sync, "user": {"id": user}}
    return json.dumps({**told, "data": {"model": "files", "recordId": record}}).encode()


@contextlib.asynccontextmanager
async def listening(tmp_path, working, **options):
    """Follow with a receiver in front; yields its URL, reports as they come, and events once handled."""
    router, reports, handled = Router(), asyncio.Queue(), asyncio.Queue()
    working.hear(router)

    @router.on(RecordDeleted)
    async def note(event):
        handled.put_nowait(event)

    app = receiver(router, inbox=Inbox(tmp_path / "inbox.db"), secrets=[SECRET])
    follow = working.follow(every=3600, pause=0.02, on_report=reports.put_nowait)
    task = asyncio.create_task(follow)
    try:
        await reports.get()
        async with serving(app) as url:
            yield url, reports, handled
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def post(session, url, secret, data):
    async with session.post(f"{url}/webhook/{secret}", data=data) as answer:
        return answer.status


def fetched(emulator):
    """Count how often each record was asked for by itself."""
    paths = [call.path for call in emulator.requests if "/records/" in call.path]
    return Counter(path.rpartition("/")[2] for path in paths if not path.endswith("/content"))


async def test_spoofs(user, sync_id, tmp_path, folder, emulator):
    """S11: with a wrong secret, of another sync or user, replayed, or deleting: the mirror stays whole."""
    mirror = tmp_path / "mirror"
    async with listening(tmp_path, ingest(user, sync_id, mirror)) as (url, reports, handled):
        victim = next(p.parent.name for p in (mirror / "files").glob("*/hello.txt"))
        deleted = body("record_deleted", sync_id, victim)
        async with aiohttp.ClientSession() as session:
            assert await post(session, url, OTHER, deleted) == 401
            assert await post(session, url, "", deleted) in {401, 404}
            for spoof in (
                body("record_deleted", "another-sync", victim),
                body("record_deleted", sync_id, victim, user="user-2"),
                body("record_deleted", sync_id, "../../etc/passwd"),
            ):
                assert await post(session, url, SECRET, spoof) == 200
                await handled.get()
            assert not fetched(emulator)
            for _ in range(3):
                assert await post(session, url, SECRET, deleted) == 200
                await handled.get()
            async with asyncio.timeout(50):
                while not fetched(emulator):  # noqa: ASYNC110  # the emulator tells nobody
                    await asyncio.sleep(0.02)
            assert await post(session, url, SECRET, deleted) == 200
            await handled.get()
            for _ in range(reports.qsize() + 1):
                await reports.get()
    assert contents(mirror) == source(folder)
    assert fetched(emulator) == {victim: 1}


class Claims:
    """The part of a book that keeps claims."""

    def __init__(self, known):
        self.known, self.open = set(known), {}

    async def claim(self, record):
        if record in self.known:
            self.open[record] = 0

    async def claims(self, limit):
        return sorted(self.open)[:limit]


async def test_ten_thousand_spoofs():
    """S12: of 10,000 spoofed deletes in three minutes, a known record is asked for once a minute."""
    known = [f"r{n}" for n in range(20)]
    hints, book = Hints(Feed(project="p", user="user-1", sync="s")), Claims(known)
    hints.begin(book)
    asked = Counter()
    for n in range(10_000):
        now = 180 * n / 10_000
        record = f"r{n % 40}"
        await hints.note(parse_event(body("record_deleted", "s", record)))
        due = await hints.due(book, now, 100)
        hints.asked(due, now)
        for one in due:
            asked[one, int(now // 60)] += 1
            del book.open[one]
    assert {record for record, _ in asked} == set(known)
    assert set(asked.values()) == {1} and len(asked) == 3 * len(known)


async def test_what_waits_starves_nobody():
    """S12: records that may not be asked for yet keep no other claim from its turn."""
    hints, book = (
        Hints(Feed(project="p", user="user-1", sync="s")),
        Claims(f"r{n:03d}" for n in range(300)),
    )
    for record in sorted(book.known):
        await book.claim(record)
    met = set()
    for turn in range(3):
        due = await hints.due(book, float(turn), 100)
        hints.asked(due, float(turn))
        assert len(due) == 100 and met.isdisjoint(due)
        met |= set(due)
    assert await hints.due(book, 3.0, 100) == []
    assert len(await hints.due(book, 61.0, 100)) == 100


async def test_spoofs_over_the_wire(user, sync_id, tmp_path, folder, emulator):
    """S12: however often a delete of a record is forged within a minute, the API is asked once."""
    mirror = tmp_path / "mirror"
    async with listening(tmp_path, ingest(user, sync_id, mirror)) as (url, reports, _):
        victims = [p.name for p in (mirror / "files").iterdir()]
        async with aiohttp.ClientSession() as session:
            for n in range(200):
                spoof = body("record_deleted", sync_id, victims[n % len(victims)])
                status = await post(session, url, SECRET, spoof)
                assert status == 200
                if n % 20 == 19:
                    await reports.get()
    assert set(fetched(emulator)) <= set(victims)
    assert set(fetched(emulator).values()) == {1}
    assert contents(mirror) == source(folder)


async def test_access_log(tmp_path, caplog):
    """S14: at the loudest level the access log has the route, and neither path, secret nor query."""
    router = Router()
    app = receiver(router, inbox=Inbox(tmp_path / "inbox.db"), secrets=[SECRET])
    with caplog.at_level(logging.DEBUG):
        async with serving(app) as url, aiohttp.ClientSession() as session:
            for place in (
                SECRET,
                f"{SECRET}?token={SECRET}",
                f"%63{SECRET[1:]}",
                f"x/{SECRET}",
                OTHER,
            ):
                await post(session, url, place, b"{}")
    lines = [r.getMessage() for r in caplog.records if r.name == "paragon_async.webhooks.access"]
    assert len(lines) == 5 and all("/…" in line for line in lines)
    assert SECRET not in caplog.text and SECRET[1:] not in caplog.text and "?" not in "".join(lines)
