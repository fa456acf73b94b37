from __future__ import annotations

import errno
import os

import pytest

from paragon_async.errors import (
    AuthenticationError,
    BadRequestError,
    CertificateError,
    ConflictError,
    ConnectionFailedError,
    CutShortError,
    DecodeError,
    DestinationError,
    DownloadError,
    MalformedAnswerError,
    NotFoundError,
    NotJsonError,
    PermissionDeniedError,
    RateLimitError,
    RedirectRefusedError,
    ServerError,
    SinkError,
    StateHeldError,
    TimedOutError,
)
from paragon_async.ingest import FolderSink, Ingest, State
from paragon_async.ingest.contents import judge
from paragon_async.models import Record
from tests.ingest.fakes import (
    ScriptedDisk,
    ask,
    asked,
    contents,
    cursor,
    ingest,
    letters,
    quick_user,
    rows,
    source,
)

RECORD = Record({"id": "r1", "name": "a.txt"})


def said(kind, status):
    return kind("no", method="GET", path="/", status=status)


LETTERS = [
    (said(NotFoundError, 404), "404", False),
    (said(NotFoundError, 410), "410", False),
    (said(PermissionDeniedError, 403), "403", False),
    (said(BadRequestError, 422), "422", False),
    (said(ConflictError, 409), "409", False),
    (said(RateLimitError, 429), "429", True),
    (said(ServerError, 503), "503", True),
    (said(ServerError, 501), "501", False),
    (said(AuthenticationError, 401), "401", True),
    (CertificateError("x"), "redirect", True),
    (RedirectRefusedError("x"), "redirect", True),
    (DownloadError("another hash"), "corrupt", True),
    (DestinationError("name", errno=None), "name", False),
    (DestinationError("name", errno=errno.ENAMETOOLONG), "name", False),
    (DestinationError("name", errno=errno.EILSEQ), "name", False),
    (DestinationError("name", errno=errno.EINVAL), "name", False),
    (DestinationError("name", errno=errno.EISDIR), "name", False),
    (DestinationError("name", errno=errno.ENOTDIR), "name", False),
    (DecodeError("$", "odd"), "shape", False),
    (NotJsonError("$", "odd"), "shape", True),
    (ConnectionFailedError("x"), "unreachable", True),
    (TimedOutError("x"), "unreachable", True),
    (CutShortError("x"), "unreachable", True),
    (MalformedAnswerError("x"), "unreachable", True),
]
RAISED = [
    *(DestinationError("x", errno=n) for n in (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EMFILE)),
    SinkError("x"),
    StateHeldError("x", holder="y"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "kind", "passing"), LETTERS, ids=lambda v: str(v)[:30])
def test_what_concerns_one_record(error, kind, passing):
    """An error of one record becomes a letter that names its kind, and whether it passes."""
    letter = judge(error, RECORD)
    assert (letter.id, letter.name, letter.kind, letter.passing) == ("r1", "a.txt", kind, passing)
    assert letter.reason == str(error)


@pytest.mark.parametrize("error", RAISED, ids=lambda e: f"{type(e).__name__}-{getattr(e, 'errno', '')}")  # fmt: skip
def test_what_concerns_all(error):
    """An error that every record to come would meet is raised, not buried."""
    with pytest.raises(type(error)) as caught:
        judge(error, RECORD)
    assert caught.value is error


def test_a_reason_is_bounded():
    """However long an error is, its letter is not."""
    assert len(judge(DownloadError("x" * 10_000), RECORD).reason) == 500


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


@pytest.fixture
async def quick(emulator):
    async with quick_user(emulator) as made:
        yield made


async def path_of(user, sync_id, name):
    """The path of the content of the record that is called so."""
    async for record in user.records.pull(sync_id):
        if record.data.get("name") == name and not record.deleted:
            return f"*/records/{record.id}/content"
    raise AssertionError(name)


@pytest.mark.parametrize("status", [403, 404, 410, 422])
async def test_a_content_that_is_refused(quick, sync_id, mirror, folder, emulator, status):
    """A content that is refused for good becomes a letter; all else is mirrored, its row too."""
    path = await path_of(quick, sync_id, "hello.txt")
    emulator.fault(path=path, status=status, times=None)
    report = await ingest(quick, sync_id, mirror).run()
    assert (report.records, report.created, report.files, report.dead_letters) == (7, 7, 3, 1)
    assert letters(mirror) == [("hello.txt", str(status), 0)]
    wanted = source(folder)
    del wanted["hello.txt"]
    assert contents(mirror) == wanted
    assert "_file" not in rows(mirror)["hello.txt"]
    count = asked(emulator)
    await ingest(quick, sync_id, mirror).run()
    assert asked(emulator) == count


async def test_a_content_whose_provider_refuses_us(quick, sync_id, mirror, folder, emulator):
    """401 on a content alone is the provider's word: a letter, all else is mirrored, and it passes."""
    emulator.fault(path=await path_of(quick, sync_id, "hello.txt"), status=401, times=None)
    report = await ingest(quick, sync_id, mirror).run()
    assert (report.records, report.files, report.dead_letters) == (7, 3, 1)
    assert letters(mirror) == [("hello.txt", "401", 1)]
    emulator.faults.clear()
    assert (await ingest(quick, sync_id, mirror).run()).dead_letters == 0
    assert contents(mirror) == source(folder)


async def test_a_token_that_is_refused(quick, sync_id, mirror, folder, emulator):
    """401 on all that is asked stops the run: the cursor stays, nothing is buried, the next completes."""
    await path_of(quick, sync_id, "hello.txt")
    emulator.fault(path="*/content", status=401, times=None)
    emulator.fault(path=f"*/syncs/{sync_id}", skip=1, status=401, times=None)
    with pytest.raises(AuthenticationError):
        await ingest(quick, sync_id, mirror).run()
    assert letters(mirror) == [] and cursor(mirror) is None
    emulator.faults.clear()
    await ingest(quick, sync_id, mirror).run()
    assert contents(mirror) == source(folder)


async def test_a_corrupt_content(quick, sync_id, mirror, folder, emulator):
    """A content whose hash is not the record's is a letter, the old file stays; the next run heals it."""
    await ingest(quick, sync_id, mirror).run()
    (folder / "hello.txt").write_text("other")
    await emulator.refresh()
    emulator.fault(path="*/content", corrupt_at=1, times=None)
    report = await ingest(quick, sync_id, mirror).run()
    assert (report.files, report.dead_letters) == (0, 1)
    assert letters(mirror) == [("hello.txt", "corrupt", 1)]
    assert contents(mirror)["hello.txt"] == b"hello"
    assert os.listdir(mirror / ".paragon" / "tmp") == []
    emulator.faults.clear()
    assert (await ingest(quick, sync_id, mirror).run()).dead_letters == 0
    assert contents(mirror) == source(folder) and letters(mirror) == []


async def test_a_content_that_fails_once(quick, sync_id, mirror, folder, emulator):
    """503 on one content is a letter that passes; the next run fetches it, and it alone."""
    path = await path_of(quick, sync_id, "hello.txt")
    emulator.fault(path=path, status=503, times=2)
    report = await ingest(quick, sync_id, mirror).run()
    assert report.dead_letters == 1 and letters(mirror) == [("hello.txt", "503", 1)]
    count = asked(emulator)
    report = await ingest(quick, sync_id, mirror).run()
    assert (report.dead_letters, report.files, asked(emulator) - count) == (0, 1, 1)
    assert contents(mirror) == source(folder)
    assert rows(mirror)["hello.txt"]["_file"].endswith("/hello.txt")


async def test_a_letter_that_passes_is_not_tried_for_ever(quick, sync_id, mirror, emulator):
    """A content that fails is tried by the next run, then after a while, at last only by `retry`."""
    path = await path_of(quick, sync_id, "hello.txt")
    emulator.fault(path=path, status=503, times=None)
    for attempts in (1, 2, 2):
        await ingest(quick, sync_id, mirror).run()
        assert ask(mirror, "SELECT attempts FROM dead") == [(attempts,)]
    for attempts in (3, 4, 5, 6, 7, 8, 9, 10, 10):
        ask(mirror, "UPDATE dead SET last_at = last_at - 1000000")
        await ingest(quick, sync_id, mirror).run()
        assert ask(mirror, "SELECT attempts FROM dead") == [(attempts,)]
    emulator.faults.clear()
    assert (await ingest(quick, sync_id, mirror).run()).dead_letters == 1
    assert (await ingest(quick, sync_id, mirror).retry()).dead_letters == 0


async def test_a_service_in_trouble_stops_the_run(quick, sync_id, mirror, folder, emulator):
    """Twenty contents in a row that fail for passing reasons stop the run, the cursor safe."""
    for number in range(30):
        (folder / f"n{number}.txt").write_text(f"{number}")
    await emulator.refresh()
    emulator.fault(path="*/content", status=503, times=None)
    with pytest.raises(ServerError):
        await ingest(quick, sync_id, mirror).run()
    assert cursor(mirror) is None and contents(mirror) == {}
    emulator.faults.clear()
    report = await ingest(quick, sync_id, mirror).run()
    assert (report.created, report.files, report.dead_letters) == (37, 34, 0)
    assert contents(mirror) == source(folder)


async def test_nineteen_are_no_trouble_of_the_service(quick, sync_id, mirror, folder, emulator):
    """Fewer than twenty in a row are letters, and a success between begins the count anew."""
    for number in range(25):
        (folder / f"n{number}.txt").write_text(f"{number}")
    await emulator.refresh()
    emulator.fault(path="*/content", status=503, times=38)
    report = await ingest(quick, sync_id, mirror, concurrency=1).run()
    assert (report.dead_letters, report.files) == (19, 10)


@pytest.mark.parametrize("method", ["write", "create", "sync", "replace", "sync_folder"])
async def test_a_disk_that_is_full(user, sync_id, mirror, folder, emulator, method):
    """A disk that refuses a new content is a DestinationError; old files stay, the next run completes."""
    await ingest(user, sync_id, mirror).run()
    before, saved = contents(mirror), cursor(mirror)
    (folder / "hello.txt").write_text("other")
    await emulator.refresh()
    disk = ScriptedDisk()
    made = Ingest(user, sync_id, FolderSink(mirror, disk=disk), State(mirror, disk=disk))
    disk.refuses = lambda name, _: name == method
    with pytest.raises((DestinationError, SinkError)) as caught:
        await made.run()
    assert getattr(caught.value, "errno", errno.ENOSPC) == errno.ENOSPC
    assert cursor(mirror) == saved and letters(mirror) == []
    assert contents(mirror) in (before, source(folder))
    await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder)
    assert (await ingest(user, sync_id, mirror).verify(fetch=False)).is_good
    assert os.listdir(mirror / ".paragon" / "tmp") == []


async def test_a_filter(user, sync_id, mirror, emulator):
    """Only contents that the filter wants are fetched; every record has its row; folders are not asked."""
    met = []

    def wanted(record):
        met.append(record.data["name"])
        return record.data["name"].endswith(".txt")

    report = await ingest(user, sync_id, mirror, contents=wanted).run()
    assert (report.created, report.files, asked(emulator)) == (7, 1, 1)
    assert contents(mirror) == {"hello.txt": b"hello"} and len(rows(mirror)) == 7
    assert sorted(met) == ["hello.txt", "large.bin", "zero.bin", "Überblick.pdf"]


async def test_folders_never(user, sync_id, mirror, emulator, folder):
    """Folders and tombstones are never asked for a content, even if the filter wants everything."""
    ids = {r.id: r.data["name"] async for r in user.records.pull(sync_id)}
    await ingest(user, sync_id, mirror, contents=lambda _: True).run()
    (folder / "hello.txt").unlink()
    (folder / "more").mkdir()
    await emulator.refresh()
    await ingest(user, sync_id, mirror, contents=lambda _: True).run()
    fetched = [c.path.split("/")[-2] for c in emulator.requests if c.path.endswith("/content")]
    assert sorted(ids[one] for one in fetched) == sorted(source(folder) | {"hello.txt": b""})


async def test_no_contents(user, sync_id, mirror, emulator):
    """With contents=False rows alone are mirrored, and no content is asked for."""
    report = await ingest(user, sync_id, mirror, contents=False).run()
    assert (report.created, report.files, asked(emulator)) == (7, 0, 0)
    assert contents(mirror) == {} and len(rows(mirror)) == 7


async def test_a_rename_costs_no_content(user, sync_id, mirror, folder, emulator):
    """A file that was renamed or moved gets its new name in the mirror without being fetched."""
    await ingest(user, sync_id, mirror).run()
    count = asked(emulator)
    (folder / "hello.txt").rename(folder / "reports" / "welcome.txt")
    await emulator.refresh()
    report = await ingest(user, sync_id, mirror).run()
    assert (report.updated, report.files, asked(emulator) - count) == (1, 0, 0)
    assert contents(mirror) == source(folder)
    line = rows(mirror)["welcome.txt"]
    assert (mirror / line["_file"]).read_bytes() == b"hello"
    assert (await ingest(user, sync_id, mirror).verify(fetch=False)).is_good


@pytest.mark.parametrize("durability", ["file", "batch"])
async def test_an_old_content_is_gone_for_good(user, sync_id, mirror, folder, emulator, durability):
    """An old content that was removed is flushed away before its record is forgotten as a suspect."""

    def run(disk):
        sink = FolderSink(mirror, durability=durability, disk=disk)
        return Ingest(user, sync_id, sink, State(mirror, disk=disk)).run()

    disk = ScriptedDisk()
    await run(disk)
    assert "sync_all" not in [m for m, _ in disk.calls] or durability == "batch"
    (folder / "hello.txt").rename(folder / "welcome.txt")
    await emulator.refresh()
    (folder / "welcome.txt").write_text("welcome")
    await emulator.refresh()
    disk.calls.clear()
    await run(disk)
    calls = disk.named("unlink", "sync_all", "append")
    after = calls[calls.index(("unlink", "hello.txt")) :]
    rows_are_written = [name.endswith(".jsonl") for _, name in after].index(True)
    assert ("sync_all", mirror.name) in after[:rows_are_written]


async def test_a_rename_whose_file_is_gone_is_fetched(user, sync_id, mirror, folder, emulator):
    """A file that is to be renamed, and is missing in the mirror, is fetched instead."""
    await ingest(user, sync_id, mirror).run()
    (mirror / rows(mirror)["hello.txt"]["_file"]).unlink()
    (folder / "hello.txt").rename(folder / "welcome.txt")
    await emulator.refresh()
    assert (await ingest(user, sync_id, mirror).run()).files == 1
    assert contents(mirror) == source(folder)


async def test_what_did_not_change_is_not_fetched(user, sync_id, mirror, folder, emulator):
    """A record that comes again with other dates but the same hash and size moves no byte."""
    await ingest(user, sync_id, mirror).run()
    count = asked(emulator)
    os.utime(folder / "hello.txt", (1_600_000_000, 1_600_000_000))
    await emulator.refresh()
    report = await ingest(user, sync_id, mirror).run()
    assert (report.records, report.updated, report.files) == (1, 1, 0)
    assert asked(emulator) == count
    assert rows(mirror)["hello.txt"]["updatedAt"].startswith("2020-09-13")


def without_hash(body):
    return {**body, "data": [{k: v for k, v in r.items() if k != "hash"} for r in body["data"]]}


async def test_without_a_hash_the_date_decides(user, sync_id, mirror, folder, emulator):
    """A file of which no hash is known is fetched when its date changes, and only then."""
    emulator.fault(path="*/records", edit=without_hash, times=None)
    await ingest(user, sync_id, mirror).run()
    count = asked(emulator)
    await ingest(user, sync_id, mirror).reconcile()
    assert asked(emulator) == count
    (folder / "hello.txt").write_text("HELLO")
    os.utime(folder / "hello.txt", (1_600_000_000, 1_600_000_000))
    await emulator.refresh()
    assert (await ingest(user, sync_id, mirror).run()).files == 1
    assert asked(emulator) == count + 1 and contents(mirror) == source(folder)


async def test_a_new_version_replaces_the_old(user, sync_id, mirror, folder, emulator):
    """A changed content takes the place of the old one, also under a new name: one file is left."""
    await ingest(user, sync_id, mirror).run()
    (folder / "hello.txt").write_text("second")
    (folder / "hello.txt").rename(folder / "other.txt")
    await emulator.refresh()
    await ingest(user, sync_id, mirror).run()
    assert contents(mirror) == source(folder)
    assert len(list((mirror / "files").iterdir())) == 4


async def test_an_odd_record_is_a_letter(quick, sync_id, mirror, emulator):
    """A record of a shape nobody knows is a letter with its row kept; the run goes on."""

    def odd(body):
        data = [
            {**r, "size": {"is": "odd"}} if r["name"] == "hello.txt" else r for r in body["data"]
        ]
        return {**body, "data": data}

    emulator.fault(path="*/records", edit=odd, times=None)
    report = await ingest(quick, sync_id, mirror).run()
    assert (report.created, report.files, report.dead_letters) == (7, 3, 1)
    assert letters(mirror) == [("hello.txt", "shape", 0)]
    assert rows(mirror)["hello.txt"]["size"] == {"is": "odd"}
