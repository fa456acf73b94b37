"""Ways out of an async generator: however a loop is left, nothing stays and nobody else is cancelled.

Every iterator that the API gives is left in every way while something is under way behind it: a page,
a content, a stream that stalls. The client has one connection, so that one that is kept would be missed.
Source: failures.md findings 4 and 12, F122, R8.
"""

from __future__ import annotations

import asyncio
import gc
import math
import sys
import warnings
from contextlib import AsyncExitStack, aclosing, suppress

import aiohttp
import anyio
import attrs
import pytest

from paragon_async import File, Limits, Paragon
from paragon_async.ingest import FolderSink, Ingest, State
from tests.conftest import PROJECT
from tests.proofs.reach import iterators
from tests.proofs.served import Served

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]
PATIENCE = 60
LARGE = 6 << 20


class Odd(Exception):  # noqa: N818  # what a body raises need not be an error of ours
    """Raised by a loop's body."""


@attrs.define(eq=False)
class Scene:
    """A user whose client has one connection, and what must be true once a loop was left."""

    served: Served
    session: aiohttp.ClientSession
    user: object
    sync_id: str
    files: list
    room: object
    stack: AsyncExitStack
    complaints: list = attrs.field(factory=list)
    kept: object = None

    def listen(self):
        """Hear what else would go to a log: what no task took, and what no frame could raise."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.complaints.append(context))

    async def nothing_left(self, before, patience):
        """Assert it as soon as it is true; only what never becomes true fails."""
        host = asyncio.current_task()
        async with asyncio.timeout(patience):
            turns = 0
            while not self._is_quiet(before):
                if not turns % 40:
                    gc.collect()
                turns += 1
                await asyncio.sleep(0.005)
        assert host.cancelling() == 0, "the task that left was cancelled"
        assert not self.complaints, self.complaints

    def _is_quiet(self, before):
        return asyncio.all_tasks() == before and not self.session.connector._acquired

    async def next_goes_through(self, patience):
        """Assert that a call and a content get the only connection."""
        self.served.mend()
        async with asyncio.timeout(patience):
            await self.user.syncs.status(self.sync_id)
            async with self.user.records.content(self.sync_id, self.files[0].id) as content:
                assert await content.read()


# What is left: each gives a generator, behind which something is under way after its first item.


async def pull(scene):
    scene.served.fault(path="*/records", skip=1, stall_headers=60.0)
    return scene.user.records.pull(scene.sync_id, page_size=2)


async def pages(scene):
    scene.served.fault(path="*/records", skip=1, stall_headers=60.0)
    return scene.user.records.pages(scene.sync_id, File, page_size=2, pages_ahead=3)


async def download_all(scene):
    scene.served.fault(path="*/content", skip=1, stall_after=1000)
    folder = scene.room / "downloads"
    folder.mkdir()
    source = scene.user.records.pull(scene.sync_id, File)
    return scene.user.records.download_all(scene.sync_id, source, folder, concurrency=3)


async def chunks(scene):
    """The stream of a content, and the block that holds it: both are left."""

    async def streamed():
        large = next(file for file in scene.files if file.size == LARGE)
        async with (
            scene.user.records.content(scene.sync_id, large.id) as content,
            aclosing(content.chunks()) as found,
        ):
            async for chunk in found:
                yield chunk

    scene.served.fault(path="*/content", stall_after=LARGE // 2)
    return streamed()


async def stream_objects(scene):
    scene.served.fault(path="*/streamed-list-objects", stall_after=150)
    return scene.user.permissions.stream_objects(scene.sync_id, user="reader@example.com")


async def receipts(scene):
    mirror = scene.room / "mirror"
    ingest = Ingest(scene.user, scene.sync_id, FolderSink(mirror), mirror)
    await ingest.run()
    state = await scene.stack.enter_async_context(State(mirror))
    book = await state.book(ingest.feed, FolderSink(mirror).identity)
    return book.receipts()


TABLE = {
    "Records.pull": pull,
    "Records.pages": pages,
    "Records.download_all": download_all,
    "Content.chunks": chunks,
    "Permissions.stream_objects": stream_objects,
    "Book.receipts": receipts,
}


# How it is left. The first six are those of R8; the others are ways that a cancellation comes.


async def by_break(found):
    async for _ in found:
        break


async def by_exception(found):
    with suppress(Odd):
        async for _ in found:
            raise Odd


async def by_return(found):
    async def first():
        async for item in found:
            return item
        return None

    assert await first() is not None


async def by_dropping(found):
    assert await anext(found) is not None


async def by_another_task(found):
    assert await anext(found) is not None
    await asyncio.create_task(found.aclose())
    with pytest.raises(StopAsyncIteration):
        await anext(found)


async def by_cancel(found):
    """Cancelled while the body works."""
    begun = asyncio.Event()

    async def consume():
        async for _ in found:
            begun.set()
            await asyncio.sleep(math.inf)

    task = asyncio.create_task(consume())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def by_cancel_while_waiting(found):
    """Cancelled while the next item is waited for."""

    async def consume():
        return [item async for item in found]

    task = asyncio.create_task(consume())
    while not task.done() and task.cancelling() == 0:
        await asyncio.sleep(0.02)
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() or task.result()


async def by_timeout(found):
    with suppress(TimeoutError):
        async with asyncio.timeout(0.02):
            async for _ in found:
                await asyncio.sleep(math.inf)


async def by_scope(found):
    with anyio.move_on_after(0.02):
        async for _ in found:
            await asyncio.sleep(math.inf)


async def unbegun(found):
    del found


WAYS = [by_break, by_exception, by_return, by_dropping, by_another_task, by_cancel,
        by_cancel_while_waiting, by_timeout, by_scope, unbegun]  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory, signing_key):
    source = tmp_path_factory.mktemp("drive")
    for number in range(8):
        (source / f"file {number}").write_bytes(b"x" * (number + 1))
    (source / "large").write_bytes(bytes(LARGE))
    made = Served(source, signing_key)
    made.emulator.grant("reader@example.com", "can_read")
    yield made
    made.close()


@pytest.fixture
async def scene(served, signing_key, tmp_path):
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))
    client = Paragon(
        project_id=PROJECT,
        signing_key=signing_key,
        base_url=served.emulator.url,
        limits=Limits(calls=1, downloads=1),
        session=session,
    )
    user = client.user("user-1")
    sync = await user.syncs.enable("googledrive", "files")
    await user.syncs.wait_until_idle(sync.id, timeout=PATIENCE)
    files = [file async for file in user.records.pull(sync.id, File) if not file.is_folder]
    async with AsyncExitStack() as stack:
        yield Scene(served, session, user, sync.id, files, tmp_path, stack)
    served.mend()
    await session.close()


async def left(scene, found, way, patience=PATIENCE):
    """Leave *found* in a *way*, and assert that nothing is."""
    unraisable = []
    hook, sys.unraisablehook = sys.unraisablehook, unraisable.append
    scene.listen()
    before = asyncio.all_tasks()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            # The way holds the only reference: what it forgets is forgotten.
            await way(found.pop())
            await scene.nothing_left(before, patience)
            await scene.next_goes_through(patience)
            gc.collect()
    finally:
        sys.unraisablehook = hook
    assert not unraisable, [one.exc_value for one in unraisable]
    assert not [str(one.message) for one in warned]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("name", TABLE)
async def test_however_a_loop_is_left_nothing_stays(scene, name, way):
    """No task, connection or warning stays, the caller is not cancelled, and its next call gets through."""
    await left(scene, [await TABLE[name](scene)], way)


# The judge itself is judged: each of these makes one of the mistakes that it is there for.


async def holds_a_scope(scene):
    """Finding 4: a task group around a `yield`."""
    async with anyio.create_task_group() as group:
        group.start_soon(asyncio.sleep, 60)
        for number in range(9):
            yield number


async def keeps_a_connection(scene):
    held = scene.user.records.content(scene.sync_id, scene.files[0].id)
    scene.stack.push_async_exit(held)
    await held.__aenter__()
    yield 1


async def forgets_a_task(scene):
    scene.kept = asyncio.create_task(asyncio.sleep(60))
    yield 1


async def dies_unheard(scene):
    async def fail():
        raise Odd

    task = asyncio.create_task(fail())
    yield 1
    del task


MISTAKES = [holds_a_scope, keeps_a_connection, forgets_a_task, dies_unheard]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
async def test_the_judge_sees_a_mistake(scene, mistake):
    """A generator that keeps a scope, a connection, a task or an error is found out."""
    task = asyncio.create_task(left(scene, [mistake(scene)], by_dropping, patience=0.5))
    await asyncio.wait([task])
    assert task.cancelled() or task.exception()
    if scene.kept:
        scene.kept.cancel()


def test_the_table_has_them_all():
    """Whatever async iterator can be reached from a public name is in the table."""
    assert iterators() == TABLE.keys()
