from __future__ import annotations

import asyncio
import functools
import gc

import pytest

from paragon_async import (
    BadRequestError,
    ConfigurationError,
    DecodeError,
    File,
    NotFoundError,
    NotJsonError,
    Page,
    Record,
    StalledCursorError,
)
from paragon_async.convert import dump
from tests.fakes import FakeResponse, answer, records

S = "sync-1"


def feed(total=25):
    def page(request):
        start = int(request.query.get("cursor", 0))
        end = min(total, start + int(request.query["pageSize"]))
        paging = {"cursor": str(end), "remainingRecords": total - end, "totalRecords": total}
        return answer({"data": [{"id": str(n)} for n in range(start, end)], "paging": paging})

    return page


async def test_pull_follows_the_cursor():
    """All records come in order, with one call a page."""
    made, session = records(feed())
    assert [r.id async for r in made.pull(S, page_size=10)] == [str(n) for n in range(25)]
    assert [r.query.get("cursor") for r in session.requests] == [None, "10", "20"]


async def test_pages_carry_the_cursor():
    """A page has its records, the place after them, and what is left; a pull goes on from there."""
    made, _ = records(feed())
    pages = [page async for page in made.pages(S, page_size=10)]
    assert [(p.cursor, p.remaining, p.total) for p in pages] == [
        ("10", 15, 25),
        ("20", 5, 25),
        ("25", 0, 25),
    ]
    assert isinstance(pages[0], Page)
    assert [r.id async for r in made.pull(S, after=pages[1].cursor)] == [
        "20",
        "21",
        "22",
        "23",
        "24",
    ]


async def test_the_default_record_is_thin():
    """The default record is the JSON as it came, uncopied, with common fields at hand."""
    made, _ = records(
        answer({"data": [{"id": "1", "new": [1], "createdAt": "2025-01-01"}], "paging": {}})
    )
    (record,) = [r async for r in made.pull(S)]
    assert type(record) is Record
    assert record.data == {"id": "1", "new": [1], "createdAt": "2025-01-01"}
    assert record.created_at.year == 2025
    with pytest.raises(Exception, match="attribute|frozen"):
        record.data = {}


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ({}, r"\$\.data\[1\]\.id"),
        ({"id": 5}, r"\$\.data\[1\]\.id"),
        ("x", r"\$\.data\[1\]: an object"),
    ],
)
async def test_a_record_without_an_id(item, place):
    """A record that cannot be named is an error with its place, for the thin kind as for typed ones."""
    for model in (Record, File):
        made, _ = records(answer({"data": [{"id": "1"}, item], "paging": {}}))
        with pytest.raises(DecodeError, match=place):
            _ = [r async for r in made.pull(S, model)]


@pytest.mark.parametrize("model", [Record, File])
@pytest.mark.parametrize("bad", [{"id": None}, {"id": "3", "createdAt": 1e300}])
async def test_a_page_is_good_or_bad_as_a_whole(model, bad):
    """Of a page with a bad record nothing is given; what came before it is."""
    first = answer({"data": [{"id": "1"}], "paging": {"cursor": "c", "remainingRecords": 2}})
    made, _ = records(
        first, answer({"data": [{"id": "2"}, bad], "paging": {"remainingRecords": 0}})
    )
    got = []
    if model is Record and bad["id"]:
        # A thin record's date is read when it is asked for.
        assert [r.id async for r in made.pull(S, model)] == ["1", "2", "3"]
        return
    with pytest.raises(DecodeError, match=r"\$\.data\[1\]\.(id|createdAt)"):
        async for record in made.pull(S, model):
            got.append(record.id)
    assert got == ["1"]


async def test_typed_pages():
    """A typed record keeps what the model does not know, on every page of a feed that has it."""
    rows = [{"id": str(n), "size": n, "added": {"n": n}} for n in range(3)]
    paging = {"cursor": "a", "remainingRecords": 3}
    made, _ = records(
        answer({"data": rows, "paging": paging}), answer({"data": rows, "paging": {}, "meta": 1})
    )
    got = [r async for r in made.pull(S, File)]
    assert got == [File(id=str(n), size=n, extra={"added": {"n": n}}) for n in (0, 1, 2) * 2]


@pytest.mark.parametrize("model", [Record, File])
async def test_a_large_page_that_is_no_json(model):
    """A large page spoilt in its middle is fetched again, with the retries and words of any other."""
    rows = [{"id": str(n), "name": "x" * 70_000} for n in range(2)]

    def page(request, *, spoilt=False):
        done = int(request.query.get("cursor", 0))
        left = 2 - done
        body = dump(
            {
                "data": rows[done : done + 1],
                "paging": {"cursor": str(done + 1), "remainingRecords": left - 1},
            }
        )
        body = body.replace(b'"name"', b"name") if spoilt else body
        return FakeResponse(200, body, {"Content-Type": "text/odd"})

    spoilt = functools.partial(page, spoilt=True)
    # The second page is asked for before the first is found out; after that, twice more for the first.
    for script, asked in (
        ([spoilt, page, spoilt, page], [None, "1", None, None, "1"]),
        ([page, spoilt, page], [None, "1", "1"]),
    ):
        made, session = records(*script)
        assert [r.id async for r in made.pull(S, model)] == ["0", "1"]
        assert [r.query.get("cursor") for r in session.requests] == asked
    made, session = records(spoilt)
    with pytest.raises(NotJsonError, match="not JSON .*; the answer came as text/odd"):
        _ = [p async for p in made.pages(S, model)]
    assert len(session.requests) > 3


async def test_bad_arguments():
    """Sizes that make no sense are refused before any call."""
    made, session = records(feed())
    for bad in ({"page_size": 0}, {"pages_ahead": -1}):
        with pytest.raises(ConfigurationError):
            _ = [r async for r in made.pull(S, **bad)]
    assert session.requests == []


async def test_a_refused_cursor_is_not_taken_for_a_size():
    """When a smaller page is refused as well, the refusal is raised; later pages are not shrunk."""
    made, session = records(answer({"message": "Invalid cursor"}, 400))
    with pytest.raises(BadRequestError, match="Invalid cursor"):
        _ = [r async for r in made.pull(S, after="x")]
    assert len(session.requests) == 2
    pages = feed(3000)
    made, session = records(pages, answer(status=400))
    with pytest.raises(BadRequestError):
        _ = [r async for r in made.pull(S)]
    assert len(session.requests) == 2


async def test_leaving_a_pull(nothing_left):
    """Leaving a pull by break leaves no call and no task, though two generators are inside."""
    made, session = records(feed(10_000))
    async for _ in made.pull(S, page_size=10, pages_ahead=3):
        break
    gc.collect()
    await asyncio.sleep(0.05)
    assert session.open_now == 0


async def test_emulator_feed(user, emulator, sync_id, folder):
    """From a saved cursor only changes come: new, updated and deleted, each once, at the end."""
    pages = [page async for page in user.records.pages(sync_id, File, page_size=3)]
    assert [len(p.records) for p in pages] == [3, 3, 1]
    assert (pages[-1].total, pages[-1].remaining) == (7, 0)
    (folder / "hello.txt").write_text("hello again")
    (folder / "new.txt").write_text("new")
    (folder / "zero.bin").unlink()
    await emulator.refresh()
    changes = [r async for r in user.records.pull(sync_id, after=pages[-1].cursor)]
    assert [(r.deleted, r.data.get("name")) for r in changes] == [
        (False, "hello.txt"), (False, "new.txt"), (True, None),
    ]  # fmt: skip
    with pytest.raises(NotFoundError):
        await user.records.get(sync_id, changes[-1].id)
    assert (await user.records.get(sync_id, changes[0].id, File)).size == 11
    everything = [r async for r in user.records.pull(sync_id, page_size=2)]
    assert len({r.id for r in everything}) == len(everything) == 8


async def test_other_users_see_nothing(paragon, sync_id):
    """Another user's sync does not exist."""
    other = paragon.user("user-2")
    assert await other.syncs.list() == []
    with pytest.raises(NotFoundError, match="Sync not found"):
        _ = [r async for r in other.records.pull(sync_id)]


async def test_faults_on_the_way(user, emulator, sync_id):
    """Through errors, rate limits and cut answers every record still comes exactly once."""
    path = "/api/syncs/*/records"
    emulator.fault(path=path, status=503)
    emulator.fault(path=path, status=429, headers={"Retry-After": "0"})
    emulator.fault(path=path, status=200, body=b"<html>", headers={"Content-Type": "text/html"})
    emulator.fault(path=path, cut_after=20)
    ids = [r.id async for r in user.records.pull(sync_id, page_size=2)]
    assert len(ids) == len(set(ids)) == 7
    statuses = [call.status for call in emulator.requests if call.path.endswith("/records")]
    assert statuses[:4] == [503, 429, 200, 200]


async def test_stalled_feed(user, emulator, sync_id):
    """A service that repeats its cursor is found out, with the records before it delivered."""

    def stuck(page):
        page["paging"] |= {"cursor": "same", "remainingRecords": 5}
        return page

    emulator.fault(path="/api/syncs/*/records", times=1, edit=stuck)
    emulator.fault(path="/api/syncs/*/records", times=None, status=200,
                   body=b'{"data":[{"id":"1"}],"paging":{"cursor":"same","remainingRecords":5}}')  # fmt: skip
    got = []
    with pytest.raises(StalledCursorError):
        async for record in user.records.pull(sync_id):
            got.append(record)
    assert len(got) == 8
