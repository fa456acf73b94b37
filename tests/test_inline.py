from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from paragon_async import File
from paragon_async.disk import SystemDisk
from paragon_async.threads import Inline, in_thread
from tests.fakes import FakeResponse, records

S = "sync-1"


class Ticks:
    """A clock that only moves when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def here():
    return threading.current_thread() is threading.main_thread()


async def test_small_work_is_done_in_the_loop():
    """What comes while the loop is busy is done in one go, in its order, and in the loop's own thread."""
    inline, order = Inline(), []

    def work(n):
        order.append((n, here()))
        return n

    assert await asyncio.gather(*(inline.run(lambda n=n: work(n)) for n in range(50))) == [
        *range(50)
    ]
    assert order == [(n, True) for n in range(50)]


async def test_a_failure_is_its_own():
    """Work that fails raises where it was asked for; what waits with it is done."""
    inline = Inline()
    outcomes = await asyncio.gather(
        inline.run(lambda: 1 // 0), inline.run(lambda: "done"), return_exceptions=True
    )
    assert isinstance(outcomes[0], ZeroDivisionError) and outcomes[1] == "done"


async def test_what_no_future_takes():
    """Work that raises StopIteration fails as a RuntimeError, and the work after it is done."""
    inline = Inline()

    def stops():
        raise StopIteration

    outcomes = await asyncio.gather(
        inline.run(stops), inline.run(lambda: "done"), return_exceptions=True
    )
    assert isinstance(outcomes[0], RuntimeError) and outcomes[1] == "done"
    assert await inline.run(lambda: "later") == "later"


async def test_a_slow_disk_is_met_in_threads():
    """One slow answer sends what waits, and a spell of what follows, through threads; then it is tried again."""
    clock, places = Ticks(), []
    inline = Inline(longest=1.0, spell=3, clock=clock)

    def work(seconds=0.0):
        places.append(here())
        clock.now += seconds

    await asyncio.gather(inline.run(lambda: work(2.0)), inline.run(work))
    for _ in range(4):
        await inline.run(work)
    # The second of the first two was waiting already; three more, and the loop has its turn again.
    assert places == [True, False, False, False, False, True]


async def test_the_loop_has_its_turn():
    """Work that takes longer than a slice lets others run before it goes on."""
    clock, order = Ticks(), []
    inline = Inline(slice=0.01, longest=1.0, clock=clock)

    def work():
        order.append("file")
        clock.now += 0.006

    async def other():
        for _ in range(3):
            await asyncio.sleep(0)
            order.append("other")

    await asyncio.gather(*(inline.run(work) for _ in range(6)), other())
    assert "".join(word[0] for word in order) == "ffo" * 3


async def test_cancelled_work_is_not_begun():
    """Who is cancelled while waiting has had nothing done."""
    inline, done = Inline(), []
    task = asyncio.ensure_future(inline.run(lambda: done.append("mine")))
    other = asyncio.ensure_future(inline.run(lambda: done.append("other")))
    await asyncio.sleep(0)
    task.cancel()
    await other
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["other"]


class Watching(SystemDisk):
    """Notes in which thread files are written."""

    def __init__(self):
        self.in_the_loop = []

    def write(self, file, data):
        self.in_the_loop.append(here())
        super().write(file, data)


@pytest.mark.parametrize(
    ("size", "durability", "in_the_loop"),
    [
        (16_384, "none", True),
        (262_144, "none", True),
        (262_145, "none", False),
        (16_384, "file", False),
    ],
)
async def test_only_small_files_that_need_not_last(tmp_path, size, durability, in_the_loop):
    """Files up to 256 KiB without a flush are written in the loop; all others never are."""
    body = b"x" * size
    made, _ = records(FakeResponse(200, chunks=[body], length=size))
    disk = Watching()
    saved = await made.download(S, "r1", tmp_path / "f", durability=durability, disk=disk)
    assert saved.path.read_bytes() == body and saved.record_id == "r1"
    assert disk.in_the_loop == [in_the_loop]


@pytest.mark.parametrize("promised", ["sha1", None])
async def test_without_sha256(tmp_path, promised):
    """Without *sha256* only the hash that the record names is computed, and it still counts."""
    import hashlib

    digest = hashlib.sha1(b"abc").hexdigest()
    from paragon_async import FileHash

    hash_ = FileHash(type="sha1", value=digest) if promised else None
    record = File(id="r1", name="a", mime_type="x/y", size=3, hash=hash_)
    made, _ = records(FakeResponse(200, chunks=[b"abc"], length=3))
    saved = await made.download(S, record, tmp_path / "f", sha256=False)
    assert saved.sha256 is None
    assert saved.verified_by == ("length", "size", *([promised] if promised else []))


async def test_who_cancels_all_tasks_ends_no_thread(tmp_path):
    """Whoever cancels all tasks waits for the threads that write: no descriptor is closed under one."""
    held, let_go, closed = threading.Event(), threading.Event(), []

    class Held(SystemDisk):
        def write(self, file, data):
            held.set()
            let_go.wait(10)
            closed.append(("write", bool(self.gone)))
            super().write(file, data)

        gone = False

        def close(self, file):
            self.gone = True
            super().close(file)

    body = b"x" * (1 << 20)
    response = FakeResponse(200, chunks=[body, body], length=2 << 20)
    made, _ = records(response)
    task = asyncio.create_task(made.download(S, "r1", tmp_path / "f", disk=Held()))
    await asyncio.to_thread(held.wait, 10)
    for each in asyncio.all_tasks() - {asyncio.current_task()}:
        each.cancel()
    await asyncio.sleep(0.02)
    assert not task.done()
    let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed and not any(was_closed for _, was_closed in closed)
    assert list(tmp_path.iterdir()) == []


async def test_what_failed_in_a_thread_is_seen_however_often_its_caller_is_cancelled():
    """Cancelled again while the thread works, its error is nobody's any more: no log speaks of it."""
    loop, complaints, go = asyncio.get_running_loop(), [], threading.Event()
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))

    def work():
        go.wait(60)
        raise OSError("the disk is gone")

    task = asyncio.ensure_future(in_thread(work))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    go.set()
    await asyncio.wait([task])
    assert task.cancelled()
    del task
    gc.collect()
    assert not complaints
