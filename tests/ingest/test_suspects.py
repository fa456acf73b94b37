"""What a run that was cut off worked on is suspect, until a later one has looked at it."""

from __future__ import annotations

import asyncio

import pytest

from paragon_async import (
    ConfigurationError,
    IngestError,
    ParagonError,
    SinkError,
    TooManyDeletesError,
)
from paragon_async.ingest import FolderSink, Ingest, IngestMany, State
from tests.ingest.fakes import (
    StoppingSink,
    ask,
    contents,
    ingest,
    letters,
    quick_user,
    rows,
    source,
)


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


@pytest.fixture(params=["file", "batch"])
def durability(request):
    return request.param


async def cut_behind_put(user, sync_id, mirror, name, durability, method="run"):
    """Stop a run right behind the put of a content, as a kill would."""
    sink = StoppingSink(mirror, {name}, durability=durability)
    with pytest.raises(SinkError, match="stopped behind a put"):
        await getattr(Ingest(user, sync_id, sink, mirror), method)()


async def changed(folder, emulator, text):
    (folder / "hello.txt").write_text(text)
    await emulator.refresh()


@pytest.mark.parametrize("between", [None, False])
async def test_the_old_version_comes_back(
    user, sync_id, mirror, folder, emulator, durability, between
):
    """A put without its receipt, then the old version again: the content is the old one, too."""
    await ingest(user, sync_id, mirror).run()
    await changed(folder, emulator, "HELLO")
    await cut_behind_put(user, sync_id, mirror, "hello.txt", durability)
    await changed(folder, emulator, "hello")
    if between is not None:
        await ingest(user, sync_id, mirror, contents=between).run()
    await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder)
    assert (await ingest(user, sync_id, mirror).verify(fetch=False)).is_good


async def test_a_retry_that_was_cut_is_looked_at(
    user, sync_id, mirror, folder, emulator, durability
):
    """What a retry put without a receipt is held against its receipt by the next run."""
    await ingest(user, sync_id, mirror).run()
    await changed(folder, emulator, "HELLO")
    emulator.fault(path="*/content", status=403, times=1)
    assert (await ingest(user, sync_id, mirror).run()).dead_letters == 1
    await cut_behind_put(user, sync_id, mirror, "hello.txt", durability, "retry")
    await changed(folder, emulator, "hello")
    await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder) and letters(mirror) == []


async def test_a_failed_fetch_after_a_cut_names_no_wrong_content(
    emulator, user, sync_id, mirror, folder, durability
):
    """When what lies there is not the receipt's, and cannot be fetched, no row names it."""
    await ingest(user, sync_id, mirror).run()
    await changed(folder, emulator, "HELLO")
    await cut_behind_put(user, sync_id, mirror, "hello.txt", durability)
    await changed(folder, emulator, "third")
    emulator.fault(path="*/content", status=403, times=None)
    assert (await ingest(user, sync_id, mirror).run()).dead_letters == 1
    assert "_file" not in rows(mirror)["hello.txt"] and "hello.txt" not in contents(mirror)
    emulator.faults.clear()
    await ingest(user, sync_id, mirror).retry()
    assert contents(mirror) == source(folder)


async def test_nothing_lies_beside_after_a_cut_and_a_rename(
    user, sync_id, mirror, folder, emulator, durability
):
    """A put without its receipt, then a new name: one content is left."""
    await cut_behind_put(user, sync_id, mirror, "hello.txt", durability)
    (folder / "hello.txt").rename(folder / "other.txt")
    await emulator.refresh()
    await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder)
    assert ask(mirror, "SELECT * FROM intents") == []


async def test_a_cut_reconcile_leaves_nothing_beside(user, sync_id, mirror, folder, emulator):
    """What a reconcile with a wider filter put is met by the run after it."""
    await ingest(user, sync_id, mirror, contents=lambda r: r.data["name"] != "hello.txt").run()
    await cut_behind_put(user, sync_id, mirror, "hello.txt", "file", "reconcile")
    await ingest(user, sync_id, mirror).run()
    (folder / "hello.txt").rename(folder / "other.txt")
    await emulator.refresh()
    await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder)


async def test_a_letter_of_a_record_that_has_no_row_is_healed(
    user, sync_id, mirror, folder, emulator
):
    """A content whose page never came, damaged and then deleted at its source, leaves no letter."""
    await cut_behind_put(user, sync_id, mirror, "large.bin", "file")
    for path in (mirror / "files").glob("*/*"):
        path.unlink()
    (folder / "hello.txt").unlink()
    await emulator.refresh()
    await ingest(user, sync_id, mirror, fuse=None).verify()
    await ingest(user, sync_id, mirror, fuse=None).run()
    assert letters(mirror) == [] and contents(mirror) == source(folder)
    assert (await ingest(user, sync_id, mirror).verify()).is_good


@pytest.mark.parametrize("kind", ["verify", "retry"])
async def test_mending_goes_by_what_the_mirror_was_made_with(user, sync_id, mirror, kind):
    """Verify and retry are refused in another mode than the mirror's: they would lose what is owed."""
    await ingest(user, sync_id, mirror).run()
    with pytest.raises(ConfigurationError, match="contents=True"):
        await getattr(ingest(user, sync_id, mirror, contents=False), kind)()


async def test_a_failed_fetch_of_a_suspect_leaves_nothing_beside(
    user, sync_id, mirror, folder, emulator, durability
):
    """A put without its receipt under another name, then no content: only the old one is left."""
    await ingest(user, sync_id, mirror).run()
    await changed(folder, emulator, "v2")
    (folder / "hello.txt").rename(folder / "b.txt")
    await emulator.refresh()
    await cut_behind_put(user, sync_id, mirror, "b.txt", durability)
    (folder / "b.txt").write_text("v3")
    await emulator.refresh()
    emulator.fault(path="*/content", status=403, times=1)
    await ingest(user, sync_id, mirror).run()
    (folder / "b.txt").write_text("hello")
    await emulator.refresh()
    (folder / "b.txt").rename(folder / "hello.txt")
    await emulator.refresh()
    await ingest(user, sync_id, mirror).run()
    await ingest(user, sync_id, mirror).retry()
    assert contents(mirror) == source(folder)


async def test_an_unreadable_record_of_a_suspect_keeps_no_wrong_content(
    user, sync_id, mirror, folder, emulator, durability
):
    """A record that cannot be decoded keeps its content only if that is its receipt's."""
    await ingest(user, sync_id, mirror).run()
    await changed(folder, emulator, "HELLO")
    await cut_behind_put(user, sync_id, mirror, "hello.txt", durability)

    def odd(page):
        return {**page, "data": [{**r, "mimeType": {"a": 1}} for r in page["data"]]}

    emulator.fault(path="*/records", edit=odd, times=1)
    await ingest(user, sync_id, mirror).run()
    assert "_file" not in rows(mirror)["hello.txt"] and "hello.txt" not in contents(mirror)
    await ingest(user, sync_id, mirror).retry()
    assert contents(mirror) == source(folder)


@pytest.mark.parametrize("answer", [{"status": 500}, {"status": 200, "html": True}])
@pytest.mark.parametrize("kind", ["run", "retry"])
async def test_one_record_without_an_answer_stops_nothing(
    emulator, sync_id, mirror, folder, answer, kind
):
    """A letter whose record the API cannot show waits; the others heal, and the feed is read."""
    emulator.fault(path="*/content", status=403, times=2)
    async with quick_user(emulator) as user:
        await ingest(user, sync_id, mirror).run()
        ask(mirror, "UPDATE dead SET passing = 1")
        bad = ask(mirror, "SELECT id FROM dead")[0][0]
        emulator.fault(path=f"*/records/{bad}", times=None, **answer)
        (folder / "new.txt").write_text("new")
        await emulator.refresh()
        report = await getattr(ingest(user, sync_id, mirror), kind)()
        assert report.dead_letters == 1
        await ingest(user, sync_id, mirror).run()
    assert len(contents(mirror)) == len(source(folder)) - 1


async def test_a_receipt_without_a_row_is_found_without_its_tombstone(
    user, sync_id, mirror, folder, emulator
):
    """A content whose page never came, and whose delete nobody told of, leaves with the next run."""
    await cut_behind_put(user, sync_id, mirror, "large.bin", "file")
    (folder / "hello.txt").unlink()

    def hidden(page):
        return {**page, "data": [r for r in page["data"] if not r.get("deleted")]}

    emulator.fault(path="*/records", edit=hidden, times=None)
    await emulator.refresh()
    await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder)
    assert ask(mirror, "SELECT count(*) FROM receipts") == [(len(source(folder)),)]


async def test_a_cut_feed_keeps_its_destination(paragon, user, sync_id, mirror, folder):
    """Another sync does not make a state forget one that was cut off in its first page."""
    await cut_behind_put(user, sync_id, mirror, "hello.txt", "batch")
    other = paragon.user("user-2")
    sync = await other.syncs.enable("googledrive", "files")
    await other.syncs.wait_until_idle(sync.id, timeout=10)
    with pytest.raises(SinkError, match="already holds"):
        await ingest(other, sync.id, mirror).run()
    await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder)


# Letters


async def test_contents_that_fail_for_ever_do_not_stop_a_mirror(emulator, sync_id, mirror, folder):
    """However many contents fail with 5xx, later runs get past them to what is new."""
    for number in range(45):
        (folder / f"bad {number}.txt").write_text(str(number))
    await emulator.refresh()
    emulator.fault(path="*/content", status=500, times=None)
    async with quick_user(emulator) as user:
        for _ in range(4):
            try:
                report = await ingest(user, sync_id, mirror).run()
            except ParagonError:
                continue
            break
        assert report.dead_letters == len(source(folder))
        emulator.faults.clear()
        ask(mirror, "UPDATE dead SET attempts = 5, last_at = last_at + 1000000")
        (folder / "new.txt").write_text("new")
        await emulator.refresh()
        report = await ingest(user, sync_id, mirror).run()
        assert set(contents(mirror)) == {"new.txt"}
        assert (await ingest(user, sync_id, mirror).retry()).dead_letters == 0
    assert contents(mirror) == source(folder)


# The fuse


async def test_the_fuse_counts_a_whole_feed(emulator, user, sync_id, mirror, folder):
    """Deletes of a feed that was not read to its end wait, whatever is called in between."""
    for number in range(40):
        (folder / f"{number}.txt").write_text(str(number))
    await emulator.refresh()
    await ingest(user, sync_id, mirror).run()
    for number in range(36):
        (folder / f"{number}.txt").unlink()
    await emulator.refresh()
    emulator.fault(path="*/records", status=503, skip=3, times=None)
    async with quick_user(emulator) as quick:
        with pytest.raises(ParagonError):
            await ingest(quick, sync_id, mirror, page_size=5).run()
    emulator.faults.clear()
    before = contents(mirror)
    assert (await ingest(user, sync_id, mirror).retry()).deleted == 0
    with pytest.raises(TooManyDeletesError):
        await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == before


# One object, many calls


async def test_a_second_call_does_not_spoil_the_first(emulator, user, sync_id, mirror, folder):
    """A run that is refused leaves the report of the one that is under way alone."""
    emulator.fault(path="*/content", delay=0.1, times=None)
    one = ingest(user, sync_id, mirror)
    running = asyncio.create_task(one.run())
    while not one.progress.in_flight:  # noqa: ASYNC110  # progress is looked at, not sent
        await asyncio.sleep(0.005)
    with pytest.raises(IngestError, match="already"):
        await one.run()
    assert (await running).files == len(source(folder))


async def test_a_state_is_entered_and_left_by_many(paragon, tmp_path, folder):
    """Ingests that share a state which nobody holds open all come to their end."""
    state = State(tmp_path / "all")
    many = []
    for number in range(12):
        user = paragon.user(f"user-{number}")
        sync = await user.syncs.enable("googledrive", "files")
        await user.syncs.wait_until_idle(sync.id, timeout=10)
        many.append(Ingest(user, sync.id, FolderSink(tmp_path / "all" / str(number)), state))
    outcomes = await IngestMany(many, at_once=3).run()
    assert [outcome.error for outcome in outcomes] == [None] * 12


@pytest.mark.parametrize("options", [{"every": 0}, {"every": float("nan")}, {"pause": 0}])
async def test_following_without_a_pause_is_refused(user, sync_id, mirror, options):
    """A follower that would never wait is a mistake."""
    with pytest.raises(ConfigurationError, match="above 0"):
        await ingest(user, sync_id, mirror).follow(**options)


async def test_a_refused_cursor_of_a_sync_at_work_has_a_way_out(
    user, sync_id, mirror, folder, emulator
):
    """A complete pass gives a new cursor, also while nothing may be deleted for its sake."""
    await ingest(user, sync_id, mirror).run()
    ask(mirror, "UPDATE feeds SET cursor = cursor")

    def at_work(answer):
        return {**answer, "status": "ACTIVE"}

    emulator.fault(method="GET", path=f"/api/syncs/{sync_id}", edit=at_work, times=None)
    (folder / "new.txt").write_text("new")
    await emulator.refresh()
    with pytest.raises(IngestError, match="ACTIVE"):
        await ingest(user, sync_id, mirror).reconcile()
    report = await ingest(user, sync_id, mirror).run()
    assert report.records == 0 and contents(mirror) == source(folder)
