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


async def test_an_empty_page_is_asked_for_again_after_longer_waits(caplog):
    """Each wait before an empty page is asked for again is twice the one before it, and all is said once."""
    waits = []

    async def pause(seconds):
        waits.append(seconds)

    pages = follow(lambda _: always(page([], "c", 5)), None, pages_ahead=0, pause=pause)
    with caplog.at_level(logging.WARNING, "paragon_async.paging"):
        assert await ids(pages) == []
    assert waits[:2] == [0.25, 0.5]
    assert [record.getMessage() for record in caplog.records] == [
        "an empty page says that 5 records remain; taken for the end"
    ]


@pytest.mark.parametrize(
    ("cursor", "sentence"),
    [
        (None, "5 records remain, but the page has no cursor"),
        ("b", "the cursor stands still while records remain"),
        ("a", "the cursor comes round again while records remain"),
    ],
)
def test_each_stall_has_its_sentence(cursor, sentence):
    """A stalled cursor is named for what it does, with the last one that was good."""
    guard = Guard("a")
    assert guard.next_cursor(page([1], "b", 5)) == "b"
    with pytest.raises(StalledCursorError) as caught:
        guard.next_cursor(page([1], cursor, 5))
    assert str(caught.value) == sentence and caught.value.cursor == "b"


async def test_a_page_that_is_there_is_given_at_once():
    """Between the answer and the consumer lie a few turns of the loop, and no time."""
    feed = Feed(30)
    async with aclosing(walk(feed.fetch, ahead=1)) as pages:
        first = asyncio.ensure_future(anext(pages))
        for _ in range(20):
            await asyncio.sleep(0)
        assert first.done()


async def test_pages_that_nobody_waits_for_leave_no_complaint():
    """Pages that failed ahead of a consumer who left are heard: the loop has nothing to complain of."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def fetch(cursor):
        if cursor:
            raise ZeroDivisionError
        return page([1], "x", 5)

    async with aclosing(walk(fetch, ahead=3)) as pages:
        await anext(pages)
        for _ in range(20):
            await asyncio.sleep(0)
    gc.collect()
    assert complaints == []


async def test_a_page_that_fails_while_it_is_given_up_leaves_no_complaint():
    """What a page under way raises when its consumer leaves is heard, as it is nobody's any more."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def fetch(cursor):
        if not cursor:
            return page([1], "x", 5)
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    async with aclosing(walk(fetch, ahead=1)) as pages:
        await anext(pages)
        for _ in range(20):
            await asyncio.sleep(0)
    gc.collect()
    assert complaints == []
