from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragon_async import StalledCursorError
from paragon_async.api.paging import Guard, follow
from paragon_async.api.shapes import Envelope


def page(items, cursor="c", remaining=1):
    return Envelope([{"id": str(i)} for i in items], cursor, remaining, None)


class Feed:
    """A feed of *total* records, which remembers the cursors it was asked with."""

    def __init__(self, total=10, size=3, delay=0.0):
        self.total, self.size, self.delay = total, size, delay
        self.asked = []
        self.under_way = 0

    async def fetch(self, cursor):
        self.asked.append(cursor)
        self.under_way += 1
        try:
            await asyncio.sleep(self.delay)
        finally:
            self.under_way -= 1
        start = int(cursor or 0)
        end = min(self.total, start + self.size)
        return page(range(start, end), str(end) if end > start else cursor, self.total - end)


async def no_pause(_):
    await asyncio.sleep(0)


def walk(fetch, after=None, ahead=1):
    return follow(fetch, after, pages_ahead=ahead, pause=no_pause)


async def ids(feed):
    return [item["id"] async for found in feed for item in found.items]


@pytest.mark.parametrize("ahead", [0, 1, 2, 5])
@pytest.mark.parametrize(("total", "pages"), [(0, 1), (1, 1), (3, 1), (4, 2), (10, 4)])
async def test_every_record_once_in_order(total, pages, ahead, nothing_left):
    """All records come, in order, with as few calls as there are pages."""
    feed = Feed(total)
    assert await ids(walk(feed.fetch, ahead=ahead)) == [str(n) for n in range(total)]
    assert len(feed.asked) == pages


async def test_resumes():
    """A saved cursor leads to what comes after it; at the end there is nothing."""
    assert await ids(walk(Feed().fetch, after="7")) == ["7", "8", "9"]
    assert await ids(walk(Feed().fetch, after="10")) == []


async def test_fetches_ahead_and_no_further():
    """While the consumer works on a page, just the promised number of pages is fetched."""
    feed = Feed(30)
    pages = walk(feed.fetch, ahead=2)
    async with aclosing(pages):
        await anext(pages)
        await asyncio.sleep(0.01)
        assert len(feed.asked) == 3
    feed = Feed(30)
    pages = walk(feed.fetch, ahead=0)
    async with aclosing(pages):
        await anext(pages)
        await asyncio.sleep(0.01)
        assert len(feed.asked) == 1


async def test_the_next_request_leaves_before_the_page_is_given():
    """A consumer that never waits for anything still has its next page fetched meanwhile."""
    feed = Feed(30)
    async with aclosing(walk(feed.fetch, ahead=1)) as pages:
        await anext(pages)
        assert len(feed.asked) == 2
    assert feed.under_way == 0


async def always(found):
    return found


@pytest.mark.parametrize(
    ("end", "count"),
    [
        (page([], "c", 5), 0),
        (page([1], "c", 0), 1),
        (page([1], None, 0), 1),
        (page([1], None, None), 1),
        (page([], None, None), 0),
        (page([], None, 0), 0),
    ],
)
async def test_documented_ends(end, count):
    """No records, none remaining, or an old service without paging: each is the end."""
    assert len(await ids(walk(lambda _: always(end)))) == count


async def test_missing_cursor():
    """A page that has more behind it and no cursor is an error, after its records were given."""
    got = []
    with pytest.raises(StalledCursorError, match="no cursor") as caught:
        async for found in walk(lambda _: always(page([1], None, 5)), after="start"):
            got.append(found)
    assert len(got) == 1
    assert caught.value.cursor == "start"


async def test_standing_cursor():
    """A cursor that stays where it was while records remain is an error, not a loop."""
    with pytest.raises(StalledCursorError, match="stands still"):
        await ids(walk(lambda _: always(page([1], "same", 5))))
    with pytest.raises(StalledCursorError, match="stands still"):
        await ids(walk(lambda _: always(page([1], "a", None)), after="a"))


async def test_circling_cursor():
    """A cursor that comes round after any number of pages is an error that holds the last good one."""
    turn = {None: "a", "a": "b", "b": "c", "c": "a"}
    with pytest.raises(StalledCursorError, match="round again") as caught:
        await ids(walk(lambda cursor: always(page([1], turn[cursor], 5))))
    assert caught.value.cursor == "c"


async def test_same_cursor_at_the_end_is_no_stall():
    """A caught-up page may repeat the cursor that it was asked with."""
    assert await ids(walk(lambda _: always(page([1], "x", 0)), after="x")) == ["1"]


async def test_empty_page_with_records_remaining(caplog):
    """An empty page that claims more is asked for again; if it stays so, it is the end, with a word."""
    answers = [page([], "c", 5), page([1], "d", 0)]
    assert await ids(walk(lambda _: always(answers.pop(0)))) == ["1"]
    calls = []

    async def fetch(_):
        calls.append(1)
        return page([], "c", 5)

    with caplog.at_level(logging.WARNING):
        assert await ids(walk(fetch)) == []
    assert len(calls) == 3
    assert "5 records remain" in caplog.text


async def test_an_error_comes_after_the_pages_before_it():
    """What was fetched before a failure is given out before the failure is raised."""

    async def fetch(cursor):
        if cursor:
            raise ZeroDivisionError
        return page([1], "x", 5)

    got = []
    with pytest.raises(ZeroDivisionError):
        async for found in walk(fetch, ahead=3):
            got.append(found)
    assert len(got) == 1


async def leave_by_break(feed):
    async for _ in feed:
        break


async def leave_by_error(feed):
    with pytest.raises(ZeroDivisionError):
        async for _ in feed:
            raise ZeroDivisionError


async def leave_by_close(feed):
    await anext(feed)
    await feed.aclose()


async def leave_by_cancel(feed):
    async def consume():
        async for _ in feed:
            await asyncio.sleep(60)

    task = asyncio.create_task(consume())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def leave_by_cancel_in_fetch(feed):
    task = asyncio.create_task(ids(feed))
    await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def leave_by_timeout(feed):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            async for _ in feed:
                await asyncio.sleep(60)


async def leave_by_forgetting(feed):
    await anext(feed)


async def leave_unstarted(feed):
    del feed


WAYS = [leave_by_break, leave_by_error, leave_by_close, leave_by_cancel, leave_by_cancel_in_fetch,
        leave_by_timeout, leave_by_forgetting, leave_unstarted]  # fmt: skip


@pytest.mark.parametrize("delay", [0.0, 0.02])
@pytest.mark.parametrize("leave", WAYS, ids=lambda f: f.__name__)
async def test_ways_out(leave, delay, nothing_left):
    """However the loop is left, no task, no fetch and no warning stays, and nobody else is cancelled."""
    feed = Feed(100, delay=delay if leave is not leave_by_cancel_in_fetch else 0.02)
    await leave(walk(feed.fetch, ahead=2))
    gc.collect()
    await asyncio.sleep(0.01)
    gc.collect()
    await asyncio.sleep(0.05)
    assert feed.under_way == 0
    assert len(feed.asked) <= 4


@given(st.lists(st.sampled_from("abcdef"), max_size=30))
def test_guard_never_lets_a_cursor_pass_twice(cursors):
    """Whatever cursors come, the guard gives each one once, or raises."""
    guard, passed = Guard(None), []
    try:
        passed.extend(guard.next_cursor(page([1], cursor)) for cursor in cursors)
    except StalledCursorError as error:
        assert error.cursor == (passed[-1] if passed else None)
    assert len(set(passed)) == len(passed)
