"""Receipts, with a sink and a service that only take notes: when one is written, and what it says."""

from __future__ import annotations

import errno
import logging
from types import SimpleNamespace

import pytest

from paragon_async.disk import SystemDisk
from paragon_async.download import Evidence, Saved
from paragon_async.errors import (
    AuthenticationError,
    CertificateError,
    DestinationError,
    DownloadError,
    NotFoundError,
    RedirectRefusedError,
    ServerError,
    SinkError,
)
from paragon_async.ingest.contents import Contents, Fetched, Need, has_content, judge, label_of
from paragon_async.ingest.sinks.protocol import Adopted
from paragon_async.ingest.statements import Known
from paragon_async.ingest.values import Feed, Receipt, digest_of, version_of
from paragon_async.models import Record
from paragon_async.models.records import FOLDER

HASH = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
FILE = Record(
    {"id": "r1", "name": "a.txt", "mimeType": "text/plain", "size": 5,
     "hash": {"type": "sha256", "value": HASH}}
)  # fmt: skip
PLAIN = Record({"id": "r2", "name": "b.txt", "mimeType": "text/plain", "updatedAt": "2025-01-02"})


def receipt(record=FILE, path="files/aa/a.txt", **changes):
    version = changes.pop("version", version_of(record.data))
    return Receipt(id=record.id, version=version, path=path, size=5, sha256=HASH, **changes)


class Bench:
    """A sink, a book and a service in one, which note in one list what is asked of them, in order."""

    contents = True

    def __init__(self, spool, *, settles=False, fails=None, refuses=None):
        self.log = []
        self.spool = spool
        self.settles = settles
        self.fails, self.refuses = fails, refuses
        self.moved = "files/aa/moved.txt"
        self.adopted = None
        self.held, self.is_refused = True, False

    async def download(self, sync_id, record, target, **options):
        self.log.append(("download", sync_id, record.id, options))
        assert target.parent == self.spool
        if self.fails:
            raise self.fails
        target.write_bytes(b"hello")
        return Saved(
            path=target, size=5, sha256=HASH, content_type="text/plain", verified_by=("length", "sha256")
        )  # fmt: skip

    async def status(self, *args):
        self.log.append(("status", *args))
        if self.is_refused:
            raise REFUSED

    async def put(self, source, record_id, name):
        self.log.append(("put", source.read_bytes(), record_id, name))
        if self.refuses:
            raise self.refuses
        return f"files/aa/{name}"

    async def move(self, *args):
        self.log.append(("move", *args))
        return self.moved

    async def adopt(self, *args):
        self.log.append(("adopt", *args))
        return self.adopted

    async def holds(self, *args):
        self.log.append(("holds", *args))
        return self.held

    async def remove(self, *args):
        self.log.append(("remove", *args))

    async def receive(self, *args):
        self.log.append(("receive", *args))

    def made(self, **options):
        return Contents(
            user=SimpleNamespace(records=self, syncs=self),
            sync_id="s",
            sink=self,
            book=self,
            state=SimpleNamespace(spool=self.spool, disk=DISK),
            wanted=options.pop("wanted", lambda _: True),
            **options,
        )

    async def bring(self, record, **known):
        return await self.made().bring(record, Known(**known), progress=note)

    @property
    def left(self):
        return sorted(self.spool.iterdir())


def note(*_):
    """A download's progress, which must come through as it is."""


DISK = SystemDisk()
OPTIONS = {"progress": note, "durability": "none", "disk": DISK}
DOWNLOAD, PUT = ("download", "s", "r1", OPTIONS), ("put", b"hello", "r1", "a.txt")
NEW = receipt(content_type="text/plain", verified_by=("length", "sha256"))


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


async def test_a_receipt_is_written_behind_the_put(bench):
    """A new content is downloaded beside, put, and then received, as what was measured of it."""
    found = await bench.bring(FILE)
    assert found == Fetched(receipt=NEW, is_new=True, size=5)
    assert bench.log == [DOWNLOAD, PUT, ("receive", NEW)]
    assert bench.left == []


@pytest.mark.parametrize(
    "known", [{"receipt": receipt(version="old")}, {"is_suspect": True, "receipt": receipt(version="old")}]
)  # fmt: skip
async def test_the_old_content_goes_behind_the_receipt(bench, known):
    """The old content is removed once the receipt names the new one, and not before."""
    found = await bench.bring(FILE, **known)
    assert found.receipt == NEW
    assert bench.log[-4:] == [DOWNLOAD, PUT, ("receive", NEW), ("remove", "r1", "files/aa/a.txt")]


async def test_a_suspect_leaves_nothing_beside(bench):
    """What a run that was cut off may have put is removed, though no receipt tells of it."""
    await bench.bring(PLAIN, is_suspect=True)
    assert [call[0] for call in bench.log] == ["download", "put", "receive", "remove"]


async def test_a_sink_that_settles_gets_its_receipts_later(tmp_path):
    """Where contents last only with the next settling, none is received, and nothing removed."""
    bench = Bench(tmp_path, settles=True)
    found = await bench.bring(FILE, receipt=receipt(version="old"))
    assert found.receipt == NEW and bench.log == [DOWNLOAD, PUT]


async def test_the_same_version_is_moved(bench):
    """A content of this version gets its record's name: no byte moves, all else of its receipt stays."""
    old = receipt(path="files/aa/old.txt", content_type="x/y", verified_by=("size",))
    moved = receipt(path="files/aa/moved.txt", content_type="x/y", verified_by=("size",))
    assert await bench.bring(FILE, receipt=old) == Fetched(receipt=moved)
    assert bench.log == [
        ("move", "files/aa/old.txt", "r1", "a.txt"),
        ("receive", moved),
        ("remove", "r1", "files/aa/moved.txt"),
    ]


async def test_what_is_not_there_to_be_moved_is_fetched(bench):
    """A content that its receipt names, and the sink does not find, is fetched."""
    bench.moved = None
    assert (await bench.bring(FILE, receipt=receipt())).receipt == NEW
    assert [call[0] for call in bench.log] == ["move", "download", "put", "receive", "remove"]


async def test_a_suspect_is_read_before_it_is_believed(bench):
    """The receipt of a suspect counts only if what lies there is what it says."""
    assert not (await bench.bring(FILE, receipt=receipt(), is_suspect=True)).is_new
    assert bench.log[:2] == [
        ("holds", "files/aa/a.txt", 5, HASH),
        ("move", "files/aa/a.txt", "r1", "a.txt"),
    ]
    bench.log.clear()
    bench.held = False
    assert (await bench.bring(FILE, receipt=receipt(), is_suspect=True)).is_new
    assert [c[0] for c in bench.log] == ["holds", "adopt", "download", "put", "receive", "remove"]


async def test_a_left_content_is_taken_up(bench):
    """What a cut run put without a receipt is received, when size and hash of the record agree."""
    bench.adopted = Adopted("files/aa/a.txt", HASH)
    taken = receipt(verified_by=("size", "sha256"))
    assert await bench.bring(FILE, is_suspect=True) == Fetched(receipt=taken, is_new=True)
    evidence = Evidence.of(5, "sha256", HASH)
    assert bench.log == [
        ("adopt", "r1", "a.txt", evidence),
        ("receive", taken),
        ("remove", "r1", "files/aa/a.txt"),
    ]


@pytest.mark.parametrize("missing", ["hash", "size"])
async def test_nothing_is_taken_up_on_half_the_evidence(bench, missing):
    """Without a hash, or without a size, a content that lies there is fetched again."""
    bench.adopted = Adopted("files/aa/a.txt", HASH)
    record = Record({k: v for k, v in FILE.data.items() if k != missing})
    assert (await bench.bring(record, is_suspect=True)).size == 5
    assert "adopt" not in [call[0] for call in bench.log]


async def test_only_what_was_cut_off_is_taken_up(bench):
    """A record that no cut run worked on is fetched, whatever lies there."""
    bench.adopted = Adopted("files/aa/a.txt", HASH)
    assert (await bench.bring(FILE)).size == 5
    assert "adopt" not in [call[0] for call in bench.log]


async def test_another_hash_is_named_in_the_receipt(bench):
    """A content that was taken up by its MD5 says so."""
    bench.adopted = Adopted("files/aa/a.txt", HASH)
    record = Record(
        {**FILE.data, "hash": {"type": "md5", "value": "5d41402abc4b2a76b9719d911017c592"}}
    )
    found = await bench.bring(record, is_suspect=True)
    assert found.receipt.verified_by == ("size", "md5") and found.receipt.sha256 == HASH


GONE = NotFoundError("gone", method="GET", path="/", status=404)
REFUSED = AuthenticationError("no", method="GET", path="/", status=401)
CORRUPT = DownloadError("another hash")
BUSY = ServerError("busy", method="GET", path="/", status=503)
BAD_NAME = DestinationError("name", errno=errno.EILSEQ)


@pytest.mark.parametrize(("error", "passing"), [(GONE, None), (BUSY, BUSY), (CORRUPT, None)])
async def test_a_failure_keeps_the_old_receipt(tmp_path, caplog, error, passing):
    """A content that fails is a letter with a line in the log; the old content keeps its receipt."""
    bench, old = Bench(tmp_path, fails=error), receipt(version="old")
    with caplog.at_level(logging.WARNING, "paragon_async.ingest"):
        found = await bench.bring(FILE, receipt=old)
    assert found == Fetched(dead=judge(error, FILE), receipt=old, passing=passing)
    assert bench.log == [DOWNLOAD] and bench.left == []
    assert [r.getMessage() for r in caplog.records] == [f"no content of 'r1', 'a.txt': {error}"]


@pytest.mark.parametrize("error", [REFUSED, CertificateError("x"), RedirectRefusedError("x")])
async def test_what_may_concern_all_is_asked_of_the_api(tmp_path, error):
    """A content that is refused is a letter that passes, unless the API refuses its sync as well."""
    bench = Bench(tmp_path, fails=error)
    found = await bench.bring(FILE)
    assert found == Fetched(dead=judge(error, FILE), passing=error)
    assert bench.log == [DOWNLOAD, ("status", "s")]
    bench.is_refused = True
    with pytest.raises(AuthenticationError):
        await bench.bring(FILE)


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("doubt", ["suspect", "refused"])
async def test_in_doubt_the_old_content_is_read(tmp_path, held, doubt):
    """Behind a failed put, or of a suspect, the old receipt stays only with the content it names."""
    refused, old = doubt == "refused", receipt(version="old")
    bench = Bench(tmp_path, fails=None if refused else GONE, refuses=BAD_NAME if refused else None)
    bench.held = held
    found = await bench.bring(FILE, receipt=old, is_suspect=not refused)
    assert found.dead and found.receipt == (old if held else None)
    begun = [DOWNLOAD, PUT] if refused else [DOWNLOAD]
    swept = [("remove", "r1", "files/aa/a.txt")] if held else []
    assert bench.log[-len(begun + swept) - 1 :] == [*begun, ("holds", "files/aa/a.txt", 5, HASH), *swept]  # fmt: skip
    assert bench.left == []


async def test_a_suspect_that_fails_has_no_receipt(tmp_path):
    """Where there was no receipt, a failure makes none, and asks for nothing."""
    bench = Bench(tmp_path, fails=GONE)
    assert (await bench.bring(PLAIN, is_suspect=True)).receipt is None
    assert len(bench.log) == 1


async def test_what_concerns_all_is_raised_with_nothing_left(tmp_path):
    """An error of the sink goes through, and what was downloaded is removed."""
    bench = Bench(tmp_path, refuses=SinkError("no"))
    with pytest.raises(SinkError):
        await bench.bring(FILE)
    assert bench.left == []


async def test_what_cannot_be_removed_is_left_to_the_next_opening(tmp_path):
    """A download that stays lying because the disk refuses costs no content its receipt."""

    class Stubborn(SystemDisk):
        def unlink(self, path):
            raise OSError(errno.EBUSY, "busy", str(path))

    bench = Bench(tmp_path)
    made = bench.made()
    made.state.disk = Stubborn()
    assert (await made.bring(FILE, Known())).receipt == NEW
    assert len(bench.left) == 1


ODD = Record({**FILE.data, "size": {"is": "odd"}})
FOLDERS = Record({"id": "f", "name": "docs", "mimeType": FOLDER})


@pytest.mark.parametrize(
    ("record", "known", "need"),
    [
        (FILE, Known(), Need.BRING),
        (FILE, Known(receipt=receipt()), Need.KEEP),
        (FILE, Known(receipt=receipt(version="old")), Need.BRING),
        (FILE, Known(receipt=receipt(path="files/aa/b.txt")), Need.BRING),
        (FOLDERS, Known(), Need.NOTHING),
        (FOLDERS, Known(receipt=receipt(FOLDERS)), Need.NOTHING),
        (FOLDERS, Known(receipt=receipt(version="old")), Need.DROP),
    ],
)
def test_what_a_content_needs(bench, record, known, need):
    """Version and name of a receipt decide what is to be done; a record that wants none drops its own."""
    assert bench.made().plan(record, known) is need


def test_a_record_that_cannot_be_read_is_a_letter(bench):
    """What has a size of an unknown shape becomes a letter, whatever is known of it."""
    letter = bench.made().plan(ODD, Known())
    assert (letter.id, letter.name, letter.kind) == ("r1", "a.txt", "shape")
    assert bench.made(wanted=lambda _: False).plan(ODD, Known()) is Need.NOTHING


def test_who_does_not_want_contents_gets_none(bench):
    """Neither a sink without contents, a filter, nor a pipeline of a CRM makes a content wanted."""
    asked = []
    refusing = bench.made(wanted=asked.append)
    assert refusing.plan(FILE, Known()) is Need.NOTHING and asked == [FILE]
    assert bench.made(pipeline="contacts").plan(FILE, Known()) is Need.NOTHING
    for pipeline in ("files", "tickets", "new to us", None):
        assert bench.made(pipeline=pipeline).plan(FILE, Known()) is Need.BRING
    bench.contents = False
    assert bench.made().plan(FILE, Known()) is Need.NOTHING


@pytest.mark.parametrize(
    ("data", "has"),
    [
        ({"mimeType": "text/plain"}, True), ({"mime_type": "text/plain"}, True), ({"size": 1}, True),
        ({"size": 0}, False), ({}, False), ({"name": "a"}, False),
        ({"mimeType": FOLDER, "size": 1}, False), ({"mime_type": FOLDER}, False),
        ({"title": "t"}, True), ({"originalRecord": {}}, True), ({"original_record": {}}, True),
        ({"objectType": "x", "size": 1}, False), ({"object_type": "x", "title": "t"}, False),
        ({"deleted": True, "size": 1}, False), ({"deleted": False, "size": 1}, True),
    ],
)  # fmt: skip
def test_what_has_a_content(data, has):
    """Files and tickets have one; folders, tombstones and objects of a CRM have none."""
    assert has_content(Record({"id": "r", **data})) is has


@pytest.mark.parametrize("key", ["name", "fileName", "file_name", "title"])
def test_what_a_record_is_called(key):
    """Each of the names that a record may have is found, if it is text."""
    assert label_of(Record({"id": "r", key: "n"})) == "n"
    assert label_of(Record({"id": "r", key: 1})) is None
    assert label_of(Record({"id": "r", "name": None, key: "n"})) == "n"


async def test_a_nameless_content_is_called_by_its_id(bench):
    """A record without a name, or with one that means nothing, has its id for a name."""
    for record in (Record({"id": "r9", "size": 1}), Record({"id": "r9", "size": 1, "name": ".."})):
        assert (await bench.bring(record)).receipt.path == "files/aa/r9"


@pytest.mark.parametrize(
    ("data", "version"),
    [
        ({"hash": {"value": "AbC"}, "size": 3, "updatedAt": "x"}, '["hash", "abc", 3]'),
        ({"hash": {"hash": "AbC"}, "size": 3}, '["hash", "abc", 3]'),
        ({"hash": "AbC", "size": 3}, '["hash", "abc", 3]'),
        ({"hash": "abc", "updatedAt": "d"}, '["date", "d", null, null]'),
        ({"hash": "", "size": 3, "updated_at": "d"}, '["date", "d", 3, null]'),
        ({"hash": 7, "size": 3, "updatedAt": 9, "mimeType": "a/b"}, '["date", "9", 3, "a/b"]'),
        ({"hash": {}, "updatedAt": "d", "mime_type": "a/b"}, '["date", "d", null, "a/b"]'),
        ({"id": "r"}, '["record", "' + digest_of(b'{"id":"r"}').hex() + '"]'),
    ],
)  # fmt: skip
def test_what_a_version_is(data, version):
    """Hash and size if both are there, else the last change with size and type, else the record."""
    assert version_of(data) == version


def test_a_digest_is_short():
    """A line's digest is sixteen bytes of BLAKE2b: states of before must find their rows again."""
    assert digest_of(b"a").hex() == "27c35e6e9373877f29e562464e46497e"


def test_a_feed_names_itself():
    """A feed is named by its sync and its user, also where a token does not tell the user."""
    assert str(Feed(project="p", user="u", sync="s")) == "sync s of user u"
    assert str(Feed(project="", user="", sync="s")) == "sync s of user (of the token)"
