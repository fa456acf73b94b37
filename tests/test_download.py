from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import stat
from pathlib import Path

import pytest

from paragon_async import (
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    Contact,
    CutShortError,
    DownloadError,
    File,
    FileHash,
    Limits,
    MalformedAnswerError,
    Paragon,
    Record,
    Retry,
    Ticket,
)
from paragon_async.download import Evidence, judge
from paragon_async.part import Part
from paragon_async.threads import in_thread
from tests.fakes import FakeResponse, answer, records

S, BODY = "sync-1", bytes(range(256)) * 20_000
SIZE = len(BODY)
RANGED = {"ETag": '"v1"', "Accept-Ranges": "bytes"}


def file(size=SIZE, kind=None, value=None, **more):
    hash_ = FileHash(type=kind, value=value) if kind else None
    return File(id="r1", name="a.bin", mime_type="application/x-bin", size=size, hash=hash_, **more)


def pieces(body=BODY, size=100_000):
    return [body[n : n + size] for n in range(0, len(body), size)]


def whole(body=BODY, **more):
    return FakeResponse(200, chunks=pieces(body), length=len(body), **more)


def cut(at, **headers):
    return FakeResponse(
        200,
        headers=headers,
        chunks=pieces(BODY[:at]),
        length=len(BODY),
        broken=CutShortError("cut"),
    )


def rest(start, total=SIZE, says=None, **more):
    headers = {"Content-Range": f"bytes {start if says is None else says}-{total - 1}/{total}"}
    return FakeResponse(206, headers=headers, chunks=pieces(BODY[start:]), **more)


def leftovers(folder):
    return [name for name in os.listdir(folder) if name.endswith(".part")]


async def test_saves_and_verifies(tmp_path):
    """A file is stored under its name, and all evidence that agrees is named."""
    made, _ = records(whole(headers={"Content-Type": "x/y"}))
    digest = hashlib.md5(BODY).hexdigest()
    saved = await made.download(S, file(kind="MD5", value=digest.upper()), tmp_path / "f")
    assert saved.path.read_bytes() == BODY
    assert (saved.size, saved.content_type, saved.verified) == (len(BODY), "x/y", True)
    assert saved.verified_by == ("length", "size", "md5")
    assert saved.sha256 == hashlib.sha256(BODY).hexdigest()
    assert leftovers(tmp_path) == []


async def test_without_evidence_nothing_is_verified(tmp_path):
    """A body whose end nobody marks, for a record that promises nothing, is not called verified."""
    made, _ = records(FakeResponse(200, chunks=[b"abc"], framed=False))
    saved = await made.download(S, "r1", tmp_path / "f")
    assert (saved.verified, saved.verified_by) == (False, ())


async def test_a_service_that_does_not_answer_is_asked_as_often_as_any_call(tmp_path):
    """Attempts without an answer are counted once: by the call, and not by the download again."""
    made, session = records(ConnectionFailedError("no"))
    with pytest.raises(ConnectionFailedError):
        await made.download(S, file(), tmp_path / "f")
    assert len(session.requests) == Retry().attempts
    made, session = records(cut(1_000_000, **RANGED), ConnectionFailedError("no"))
    with pytest.raises(ConnectionFailedError):
        await made.download(S, file(), tmp_path / "f")
    assert len(session.requests) == 1 + Retry().attempts
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("sent", [b"", BODY[:-1], BODY + b"x", b"x" * len(BODY) * 3])
async def test_wrong_size(tmp_path, sent):
    """Content shorter or longer than its record is refused, and the old file stays."""
    (tmp_path / "f").write_text("old")
    made, _ = records(whole(sent))
    with pytest.raises(DownloadError, match="the record promises"):
        await made.download(S, file(), tmp_path / "f")
    assert (tmp_path / "f").read_text() == "old"
    assert leftovers(tmp_path) == []


async def test_wrong_hash(tmp_path):
    """Content of the right size and the wrong hash is refused."""
    made, _ = records(whole())
    with pytest.raises(DownloadError, match="sha1 is not the record's"):
        await made.download(S, file(kind="SHA-1", value="0" * 40), tmp_path / "f")
    assert os.listdir(tmp_path) == []


async def test_unknown_size_is_no_evidence(tmp_path):
    """A size of zero stands for unknown, and an unknown kind of hash is left aside."""
    made, _ = records(whole())
    saved = await made.download(S, file(size=0, kind="QuickXor", value="AAAA"), tmp_path / "f")
    assert saved.verified_by == ("length",)


async def test_a_broken_body_is_resumed(tmp_path):
    """Where the server proved that it can, only the missing rest is asked for."""
    made, session = records(cut(1_500_000, **RANGED), rest(1_500_000))
    saved = await made.download(S, file(), tmp_path / "f")
    assert saved.path.read_bytes() == BODY
    assert session.requests[1].headers == {"Range": "bytes=1500000-", "If-Range": '"v1"'}


@pytest.mark.parametrize(
    "headers", [{}, {"ETag": 'W/"v1"', "Accept-Ranges": "bytes"}, {"ETag": '"v1"'}]
)
async def test_without_proof_it_begins_anew(tmp_path, headers):
    """Without a strong validator and ranges a broken body is fetched again from its beginning."""
    made, session = records(cut(1_500_000, **headers), whole())
    saved = await made.download(S, file(), tmp_path / "f")
    assert saved.path.read_bytes() == BODY
    assert session.requests[1].headers == {}


async def test_a_changed_file_begins_anew(tmp_path):
    """When the server answers the range with the whole, what was there is thrown away."""
    made, _ = records(cut(1_500_000, **RANGED), whole())
    assert (await made.download(S, "r1", tmp_path / "f")).path.read_bytes() == BODY


@pytest.mark.parametrize(
    "wrong", [rest(1_500_000, says=0), rest(1_500_000, total=9_999_999), FakeResponse(206)]
)
async def test_another_range_than_asked_for(tmp_path, wrong):
    """A range that does not fit is discarded, and the file fetched whole."""
    made, session = records(cut(1_500_000, **RANGED), wrong, whole())
    assert (await made.download(S, "r1", tmp_path / "f")).path.read_bytes() == BODY
    assert session.requests[2].headers == {}


async def test_a_rest_that_is_too_short(tmp_path):
    """A range that ends before the file does is continued, never taken for the whole."""
    short = FakeResponse(
        206,
        headers={"Content-Range": f"bytes 1500000-1599999/{SIZE}"},
        chunks=[BODY[1_500_000:1_600_000]],
    )
    made, _ = records(cut(1_500_000, **RANGED), short, rest(1_600_000))
    assert (await made.download(S, "r1", tmp_path / "f")).path.read_bytes() == BODY
    long = FakeResponse(
        206, headers={"Content-Range": f"bytes 1500000-{SIZE - 1}/{SIZE}"}, chunks=[BODY]
    )
    made, _ = records(cut(1_500_000, **RANGED), long, whole())
    assert (await made.download(S, "r1", tmp_path / "f")).path.read_bytes() == BODY


@pytest.mark.parametrize("start", ["9" * 5000, "\u0661\u0665" + "0" * 5])
async def test_a_range_that_is_no_number(tmp_path, start):
    """A range in more digits than any file has, or in other ones, is discarded like any that is wrong."""
    wrong = FakeResponse(206, headers={"Content-Range": f"bytes {start}-{SIZE - 1}/{SIZE}"})
    made, session = records(cut(1_500_000, **RANGED), wrong, whole())
    assert (await made.download(S, "r1", tmp_path / "f")).path.read_bytes() == BODY
    assert len(session.requests) == 3


async def test_headers_that_are_no_text(tmp_path):
    """Bytes of a header that are no text get into no receipt, and into no request."""
    odd = "te\udcffxt/plain"
    made, session = records(cut(1_500_000, **RANGED | {"ETag": '"\udcff"'}), whole(headers={"Content-Type": odd}))  # fmt: skip
    saved = await made.download(S, "r1", tmp_path / "f")
    assert saved.content_type == "te?xt/plain"
    assert session.requests[1].headers == {}


@pytest.mark.parametrize("status", [202, 204, 206])
async def test_answers_that_are_no_content(tmp_path, status):
    """Only a 200 is a content, and a 206 only when a range was asked for."""
    made, session = records(FakeResponse(status, b'{"status":"processing"}'))
    with pytest.raises(MalformedAnswerError, match=str(status)):
        await made.download(S, "r1", tmp_path / "f")
    assert len(session.requests) == 5
    assert os.listdir(tmp_path) == []
    with pytest.raises(MalformedAnswerError, match=str(status)):
        async with made.content(S, "r1"):
            raise AssertionError


async def test_unsatisfiable_range(tmp_path):
    """A 416 means that the file is another now: it is fetched whole; unasked it is an error."""
    made, _ = records(cut(1_500_000, **RANGED), answer(status=416), whole())
    assert (await made.download(S, "r1", tmp_path / "f")).path.read_bytes() == BODY
    made, _ = records(answer(status=416))
    with pytest.raises(BadRequestError):
        await made.download(S, "r1", tmp_path / "g")


async def test_progress_counts_as_hope(tmp_path):
    """As long as every try brings more, a file is resumed more often than there are attempts."""
    steps = [cut(100_000, **RANGED)]
    for n in range(1, 20):
        piece = rest(100_000 * n)
        piece._chunks, piece._broken = piece._chunks[:1], CutShortError("cut")
        steps.append(piece)
    made, _ = records(*steps, rest(2_000_000))
    assert (await made.download(S, file(), tmp_path / "f")).path.read_bytes() == BODY


async def test_gives_up_without_progress(tmp_path):
    """A body that always breaks is given up after the attempts, and nothing is left."""
    made, session = records(cut(1_500_000))
    with pytest.raises(CutShortError):
        await made.download(S, file(), tmp_path / "f")
    assert len(session.requests) == 5
    assert os.listdir(tmp_path) == []


async def test_progress_is_told(tmp_path):
    """Progress counts up to the total, and goes back when a body is begun anew."""
    told = []
    made, _ = records(cut(1_500_000), whole())
    await made.download(
        S, file(), tmp_path / "f", progress=lambda done, total: told.append((done, total))
    )
    assert told[-1] == (len(BODY), len(BODY))
    assert any(later[0] < earlier[0] for earlier, later in itertools.pairwise(told))


@pytest.mark.parametrize(
    "name",
    ["../../evil", "/etc/passwd", "a\x00b", "CON", "x" * 400, "..", "a/b\\c", "\u202egpj.exe"],
)
async def test_names_in_a_folder(tmp_path, name):
    """Whatever a record is called, its file lies in the folder that was named."""
    made, _ = records(whole(b"x"))
    target = tmp_path / "in"
    target.mkdir()
    saved = await made.download(S, File(id="r1", name=name, mime_type="a/b"), target)
    assert saved.path.parent == target
    assert os.listdir(target) == [saved.path.name]
    assert os.listdir(tmp_path) == ["in"]


async def test_namesakes_in_a_folder(tmp_path):
    """Two records of one name are two files; the same record again is the same file."""
    made, _ = records(whole(b"x"))
    for record_id in ("r1", "r2", "r1"):
        await made.download(
            S, Record({"id": record_id, "name": "A.txt", "mimeType": "a/b"}), tmp_path
        )
    assert len(os.listdir(tmp_path)) == 2
    assert all(name.startswith("A~") and name.endswith(".txt") for name in os.listdir(tmp_path))


async def test_tickets_are_their_zip(tmp_path):
    """A ticket is stored as the ZIP that it comes as."""
    made, _ = records(whole(b"PK"))
    for ticket in (
        Ticket(id="t1", title="Broken: all"),
        Record({"id": "t2", "title": "No"}),
        Ticket(id="t3"),
    ):
        saved = await made.download(S, ticket, tmp_path)
        assert saved.path.name.startswith(
            {"t1": "Broken_ all~", "t2": "No~", "t3": "t3~"}[ticket.id]
        )


async def test_what_cannot_be_downloaded(tmp_path):
    """Folders, other records and folders that are not there are refused before any call."""
    made, session = records(whole())
    folder = File(id="f", name="f", mime_type="application/vnd.google-apps.folder")
    with pytest.raises(DownloadError, match="is a folder"):
        await made.download(S, folder, tmp_path)
    with pytest.raises(ConfigurationError, match="Contact has no content"):
        await made.download(S, Contact(id="c"), tmp_path)
    with pytest.raises(DownloadError, match="does not exist"):
        await made.download(S, "r1", tmp_path / "absent" / "f")
    with pytest.raises(DownloadError, match="there is no folder"):
        await made.download(S, "r1", f"{tmp_path}/absent/")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DownloadError, match="no regular file"):
        await made.download(S, "r1", tmp_path / "pipe")
    assert session.requests == []


async def test_links_are_replaced_not_followed(tmp_path):
    """A link under the final name is replaced; what it points to is untouched."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "f").symlink_to(victim)
    made, _ = records(whole(b"new"))
    await made.download(S, "r1", tmp_path / "f")
    assert victim.read_text() == "mine"
    assert not (tmp_path / "f").is_symlink()


async def test_a_disk_that_refuses(tmp_path):
    """A folder under the target's name is an error of one sentence, and leaves no part behind."""
    (tmp_path / "in" / "f" / "deep").mkdir(parents=True)
    part = Part(lambda: tmp_path / "in" / "f", ["sha256"])
    part.write([b"x"])
    with pytest.raises(DownloadError, match="cannot write"):
        part.commit()
    part.discard()
    assert leftovers(tmp_path / "in") == []
    gone = Part(lambda: tmp_path / "absent" / "f", ["sha256"])
    with pytest.raises(DownloadError, match="No such file"):
        gone.write([b"x"])
    gone.discard()


def test_a_full_disk():
    """A device without room is named as the reason."""
    part = Part(lambda: Path("/dev/full"), ["sha256"])
    part._file = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(DownloadError, match="No space left"):
        part.write([b"x" * 10])
    part.discard()


def test_a_part_that_cannot_be_cut(tmp_path):
    """A part file that cannot be begun anew is an error, not a mixture."""
    part = Part(lambda: tmp_path / "f", ["sha256"])
    part.restart()
    part.write([b"abc"])
    os.close(part._file)
    with pytest.raises(DownloadError, match="Bad file descriptor"):
        part.restart()
    part._file = None
    part.discard()


@pytest.mark.parametrize("after", [0.0, 0.002, 0.01, 0.03])
async def test_cancelling_leaves_nothing(tmp_path, nothing_left, after):
    """Wherever a download is cancelled, no part, no open answer and no thread at work stays."""

    class Slow(FakeResponse):
        async def next_chunk(self):
            await asyncio.sleep(0.001)
            return bytes(300_000)

    made, session = records(Slow(200))
    task = asyncio.create_task(made.download(S, "r1", tmp_path / "f"))
    await asyncio.sleep(after)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert os.listdir(tmp_path) == []
    assert session.open_now == 0


async def test_cancelling_twice_leaves_nothing(tmp_path, nothing_left):
    """A second cancel, while a batch is still being written, does not leave the part behind."""

    class Hanging(FakeResponse):
        async def next_chunk(self):
            if self._chunks:
                return self._chunks.pop()
            await asyncio.sleep(60)
            return b""

    made, _ = records(Hanging(200, chunks=[bytes(90_000_000)]))
    task = asyncio.create_task(made.download(S, "r1", tmp_path / "f"))
    for _ in range(3):
        await asyncio.sleep(0.01)
        task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert os.listdir(tmp_path) == []


async def test_a_thread_is_waited_for():
    """Cancelling, even twice, ends only when the thread has: it cannot be called back."""
    done = []

    def work():
        import time

        time.sleep(0.05)
        done.append(1)

    task = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert done == [1]


async def test_modes(tmp_path):
    """A file is its owner's alone, also where the umask would let others read it."""
    made, _ = records(whole(b"x"))
    old = os.umask(0)
    try:
        saved = await made.download(S, "r1", tmp_path / "f")
    finally:
        os.umask(old)
    assert stat.S_IMODE(saved.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["a\x00b", "x" * 300, "\udc80" * 90])
async def test_targets_that_no_disk_takes(tmp_path, name):
    """A target that the system refuses is a DownloadError too."""
    made, _ = records(whole(b"x"))
    with pytest.raises(DownloadError, match="cannot write"):
        await made.download(S, "r1", tmp_path / name / "f")
    made, _ = records(whole(b"x"))
    if "\udc80" not in name:
        with pytest.raises(DownloadError, match="cannot write"):
            await made.download(S, "r1", tmp_path / name)
    assert leftovers(tmp_path) == []


def test_judge_names_what_agrees():
    """Evidence is listed in the order of its strength; none means none."""
    assert judge(Evidence(), False, 5, {}) == ()
    assert judge(Evidence.of(5, "sha256", "a" * 64), True, 5, {"sha256": "a" * 64}) == (
        "length",
        "size",
        "sha256",
    )
    assert Evidence.of(5, "sha256", "not hex").algorithm is None


async def test_against_the_emulator(user, sync_id, folder, tmp_path):
    """Every file of the emulator's folder arrives byte for byte, also by id and thin."""
    out = tmp_path / "out"
    out.mkdir()
    sources = {path.name: path for path in folder.rglob("*") if path.is_file()}
    async for record in user.records.pull(sync_id):
        if not record.into(File).is_folder:
            saved = await user.records.download(sync_id, record, out)
            assert saved.path.read_bytes() == sources[record.data["name"]].read_bytes()
            assert "sha256" in saved.verified_by
            again = await user.records.download(sync_id, record.id, tmp_path / "again")
            assert again.sha256 == saved.sha256


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("where", [0, 1000, 2_000_000])
async def test_cut_on_the_wire(user, emulator, sync_id, tmp_path, reset, where):
    """A connection lost anywhere in a body is noticed, and the rest fetched."""
    (record,) = [f async for f in user.records.pull(sync_id, File) if f.name == "large.bin"]
    emulator.fault(method="GET", path="*/content", cut_after=where, reset=reset, status=None)
    saved = await user.records.download(sync_id, record, tmp_path / "f")
    assert saved.verified_by == ("length", "size", "sha256")
    assert len([call for call in emulator.requests if call.path.endswith("/content")]) == 2


async def test_questions_while_a_content_is_open(emulator, signing_key):
    """Open contents never keep a question waiting, though they have taken all their places."""
    limits = Limits(calls=1, downloads=1)
    async with (
        Paragon(
            project_id=emulator.project_id,
            signing_key=signing_key,
            base_url=emulator.url,
            limits=limits,
        ) as paragon,
        asyncio.timeout(10),
    ):
        user = paragon.user("user-1")
        sync = await user.syncs.enable("googledrive", "files")
        await user.syncs.wait_until_idle(sync.id)
        (hello,) = [f async for f in user.records.pull(sync.id, File) if f.name == "hello.txt"]
        async with user.records.content(sync.id, hello.id) as content:
            found = await user.permissions.list_objects(sync.id, user="owner@example.com")
            assert hello.id in found
            assert await content.read() == b"hello"


async def test_contents_by_hand(user, sync_id):
    """Content can be read whole or by chunks, with its type and size; a folder has none."""
    files = {f.name: f async for f in user.records.pull(sync_id, File)}
    async with user.records.content(sync_id, files["hello.txt"].id) as content:
        assert (content.content_type, content.size) == ("text/plain", 5)
        assert await content.read() == b"hello"
    async with user.records.content(sync_id, files["large.bin"].id) as content:
        size = sum([len(chunk) async for chunk in content.chunks()])
        assert size == files["large.bin"].size
    with pytest.raises(BadRequestError, match="folder"):
        async with user.records.content(sync_id, files["empty"].id):
            raise AssertionError


def test_malformed_range_error_is_retryable():
    """A wrong range may be another server's doing, so it is tried again."""
    assert MalformedAnswerError("x").retryable
