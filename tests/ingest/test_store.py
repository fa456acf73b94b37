"""The object-store sink, over obstore's store in memory and over a local S3 server."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
import traceback

import msgspec
import obstore
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, S3Store

from paragon_async import ConfigurationError, SinkError
from paragon_async.download import Evidence
from paragon_async.ingest.sinks.bucket import Bucket
from paragon_async.ingest.sinks.protocol import Mark, Place, Row
from paragon_async.ingest.sinks.store import ObjectStoreSink
from tests.ingest.objects_indexes import FailingIndex, MemoryIndex, PowerCutError

OWNER = "0123456789abcdef"
UGLY = "Bericht ü #1%20 [final]+&=?"


def row(one, value=0, **more):
    return Row.of({"id": one, "value": value}, **more)


def keys(store):
    return sorted(e["path"] for chunk in obstore.list(store) for e in chunk)


def owner(store, prefix=""):
    return bytes(obstore.get(store, f"{prefix}.paragon-owner").bytes()).decode().removesuffix("\n")


def lines(store, place):
    data = bytes(obstore.get(store, place).bytes())
    assert data.endswith(b"\n")
    return [msgspec.json.decode(line) for line in data.splitlines()]


def stored(store, prefix=""):
    """All rows that a reader of `records/*.jsonl` finds."""
    start = f"{prefix}records/"
    return [found for key in keys(store) if key.startswith(start) for found in lines(store, key)]


async def opened(store, marks=None, feed=1, **options):
    sink = ObjectStoreSink(store, **options)
    await sink.open(feed, marks or {})
    return sink


@pytest.fixture(params=["memory", "s3", "local"])
def store(request, tmp_path):
    """Stores of three kinds, each with ways of its own to say what is not there."""
    if request.param == "s3":
        return request.getfixturevalue("s3")
    if request.param == "local":
        return LocalStore(tmp_path / "store", mkdir=True)
    return MemoryStore()


@pytest.fixture
def spooled(tmp_path):
    path = tmp_path / "spooled"
    path.write_bytes(b"content")
    return path


# Contents


async def test_a_content_is_put_moved_and_removed(store, spooled):
    """A content lies under its record's id; the old name stays until the engine lets it go."""
    sink = await opened(store, prefix="a/b/")
    first = await sink.put(spooled, "rec-1", UGLY)
    assert first == f"files/rec-1/{UGLY}"
    second = await sink.move(first, "rec-1", "new.txt")
    assert await sink.holds(first, 7, None) and await sink.holds(second, 7, None)
    await sink.remove("rec-1", keep=second)
    assert keys(store) == ["a/b/files/rec-1/new.txt"]
    assert bytes(obstore.get(store, "a/b/files/rec-1/new.txt").bytes()) == b"content"
    await sink.remove("rec-1")
    await sink.remove("rec-1")
    assert keys(store) == []
    assert spooled.exists()


async def test_removing_one_record_leaves_its_neighbours(store, spooled):
    """An id that begins like another one is another record."""
    sink = await opened(store)
    for one in ("r", "r1", "r-1"):
        await sink.put(spooled, one, "x")
    await sink.remove("r")
    assert keys(store) == ["files/r-1/x", "files/r1/x"]


async def test_ids_that_are_no_names_lie_apart(store, spooled):
    """Ids that differ by case, or try to lead out, get folders of their own."""
    sink = await opened(store)
    ids = ["../x", "A", "a", "a" * 101, "b/c", "\x00", "."]
    places = [await sink.put(spooled, one, "x") for one in ids]
    assert places[2] == "files/a/x"
    assert len({p.casefold() for p in places}) == len(ids)
    assert all(p.count("/") == 2 and ".." not in p.split("/") for p in places)
    assert sorted(places) == keys(store)


async def test_a_name_that_ends_like_a_local_part_is_taken(store, spooled):
    """`report #1` is a name too, though obstore keeps such ends to itself on a disk."""
    sink = await opened(store)
    location = await sink.put(spooled, "r", "report #12")
    assert await sink.holds(location, 7, None)
    assert await sink.move(location, "r", "report #12") == location


async def test_a_move_can_be_repeated(store, spooled):
    """After a crash the engine moves again what is moved; a content that never was is nowhere."""
    sink = await opened(store)
    old = await sink.put(spooled, "r", "old")
    new = await sink.move(old, "r", "new")
    await sink.remove("r", keep=new)
    assert await sink.move(old, "r", "new") == new
    assert await sink.move("files/r/never", "r", "other") is None


async def test_holds_compares_size_and_hash(store, tmp_path):
    """Only the same bytes are held: of any number of pieces, and of none."""
    sink = await opened(store)
    source = tmp_path / "source"
    for content in (b"", b"abc", bytes(range(256)) * 70_000):
        source.write_bytes(content)
        location = await sink.put(source, "r", "x")
        sha256 = hashlib.sha256(content).hexdigest()
        assert await sink.holds(location, len(content), sha256)
        assert not await sink.holds(location, len(content) + 1, None)
        assert not await sink.holds(location, len(content), "0" * 64)
    assert not await sink.holds("files/r/other", 3, None)
    assert await sink.adopt("r", "x", Evidence(size=1)) is None


async def test_a_copy_too_large_for_the_store_goes_through_us(store, tmp_path):
    """Above the size that a store copies by itself the new object is the same bytes."""
    bucket = Bucket(store, "p/")
    content = bytes(range(256)) * 50_000
    bucket.put("old", content, len(content))
    bucket.copy("old", "new", at_once=1_000)
    assert bytes(obstore.get(store, "p/new").bytes()) == content


async def test_a_copy_that_breaks_gives_nothing_its_name(store):
    """When reading the old object fails in the middle, there is no new one."""

    class Breaking(Bucket):
        def pieces(self, location, size):
            yield from list(super().pieces(location, size))[:1]
            raise OSError("cut")

    bucket = Breaking(store, "")
    bucket.put("old", bytes(10 << 20), 10 << 20)
    with pytest.raises(SinkError, match="cannot copy: cut"):
        await bucket.run("copy", bucket.copy, "old", "new", at_once=1_000)
    assert keys(store) == ["old"]


def test_an_object_that_goes_while_it_is_read_is_not_held():
    """Between two pieces an object may be removed: then it is not there, which is no error."""

    class Vanishing(Bucket):
        def pieces(self, location, size):
            self.delete([location])
            return super().pieces(location, size)

    bucket = Vanishing(MemoryStore(), "")
    bucket.put("x", b"abc", 3)
    assert not bucket.holds("x", 3, hashlib.sha256(b"abc").hexdigest())


def test_deleting_twice_is_harmless(store):
    """What is not there is deleted, whatever the store says, and the others go too."""
    bucket = Bucket(store, "")
    bucket.put("there", b"1", 1)
    bucket.delete(["never", "there"])
    bucket.delete(["there"])
    assert keys(store) == []


async def test_a_source_that_is_gone_is_a_sink_error(store, tmp_path):
    """A spooled file that cannot be read is an error of this package, and nothing is stored."""
    sink = await opened(store)
    with pytest.raises(SinkError, match="cannot put 'files/r/x'"):
        await sink.put(tmp_path / "none", "r", "x")
    assert keys(store) == []


async def test_an_object_of_another_size_than_sent_is_an_error(spooled):
    """What the store shows after a put decides, not what it answered."""
    bucket = Bucket(MemoryStore(), "")
    with pytest.raises(SinkError, match="7 of the 8 bytes"):
        await bucket.run("put", bucket.put, "x", spooled, 8)


# Records


async def test_each_write_is_an_object(store):
    """Rows lie as lines in objects that are numbered by feed; each mark has the object's size."""
    sink = await opened(store, feed=7, prefix="m")
    first = await sink.write([row("a"), row("ü", path="files/ü/x", sha256="00")], [{"id": "z"}])
    second = await sink.write([row("c")], [])
    assert await sink.write([], [{"id": "a"}]) is None
    assert [first.place, second.place] == ["records/007-000001.jsonl", "records/007-000002.jsonl"]
    assert (first.rows, second.rows) == (2, 1)
    assert first.size == obstore.head(store, f"m/{first.place}")["size"]
    assert lines(store, f"m/{first.place}") == [
        {"id": "a", "value": 0},
        {"id": "ü", "value": 0, "_file": "files/ü/x", "_sha256": "00"},
    ]


async def test_open_drops_what_no_commit_knows_of(store):
    """Only this feed's objects without a mark go; a number that was used is not used again."""
    sink = await opened(store)
    other = await (await opened(store, feed=2)).write([row("o")], [])
    known, orphan = [await sink.write([row(one)], []) for one in "ab"]
    obstore.put(store, "records/notes.txt", b"mine")
    again = await opened(store, {known.place: known.size})
    left = [known.place, other.place, "records/notes.txt"]
    assert keys(store) == left
    assert (await again.write([row("c")], [])).place > orphan.place


async def test_a_number_is_higher_than_any_mark(store):
    """Also when the marked object is missing, so that a place never changes its content."""
    sink = await opened(store, {"records/001-000041.jsonl": 5, "records/001-1234567.jsonl": 5})
    assert (await sink.write([row("a")], [])).place == "records/001-1234568.jsonl"


async def test_lacks_tells_missing_and_altered_objects(store):
    """A place that is gone, or of another size, is lacking."""
    sink = await opened(store)
    marks = [await sink.write([row(one)], []) for one in "abc"]
    sizes = {m.place: m.size for m in marks}
    assert await sink.lacks(sizes) == []
    obstore.delete(store, marks[0].place)
    obstore.put(store, marks[2].place, b"{}\n")
    assert await sink.lacks(sizes) == [marks[0].place, marks[2].place]


async def test_tidy_leaves_each_record_once(store):
    """Stale rows go, also twins in one object; an object with none left goes; good ones stay."""
    sink, index = await opened(store), MemoryIndex()
    writes = ([row("a"), row("b")], [row("c"), row("c", 1)], [row("d")], [row("a", 2)], [row("e")])
    for rows in writes:
        index.wrote(await sink.write(rows, []), [r.id for r in rows])
    index.deleted(["d"])
    await sink.tidy(index)
    assert sorted((r["id"], r["value"]) for r in stored(store)) == [
        ("a", 2), ("b", 0), ("c", 1), ("e", 0),
    ]  # fmt: skip
    assert await sink.lacks(index.sizes) == []
    assert sorted(index.sizes) == [f"records/001-00000{n}.jsonl" for n in (4, 5, 6)]
    before = dict(index.sizes)
    await sink.tidy(index)
    assert index.sizes == before


async def test_tidy_merges_many_small_objects_up_to_a_size(store):
    """Objects do not crumble, and none grows above *full*."""
    sink, index = await opened(store, full=400), MemoryIndex()
    for number in range(40):
        index.wrote(await sink.write([row(f"r{number:02d}")], []), [f"r{number:02d}"])
    await sink.tidy(index)
    assert 0 < len(index.sizes) <= 4
    assert max(index.sizes.values()) <= 400
    assert sorted(r["id"] for r in stored(store)) == [f"r{n:02d}" for n in range(40)]


async def test_tidy_keeps_to_a_size_when_estimates_are_wrong(store):
    """Where the rows that stay are the long ones, the objects are cut by their real size."""
    sink, index = await opened(store, full=3_000), MemoryIndex()
    for number in range(6):
        rows = [row(f"s{number}-{n}") for n in range(20)] + [row(f"l{number}", "x" * 1_000)]
        index.wrote(await sink.write(rows, []), [r.id for r in rows])
        index.deleted([r.id for r in rows[:-1]])
    await sink.tidy(index)
    assert max(index.sizes.values()) <= 3_000
    assert sorted(r["id"] for r in stored(store)) == [f"l{n}" for n in range(6)]


@pytest.mark.parametrize(
    "damage", [b"", b"[1, 2]\n", b"{\n", b'{"id":"a"}', b'{"id":"\xff"}\n', b'{"id":1}\n']
)
async def test_tidy_touches_nothing_it_cannot_read(damage):
    """Objects that are no longer what was written are an error, and stay for a look."""
    store = MemoryStore()
    sink = await opened(store)
    obstore.put(store, "records/001-000001.jsonl", damage)
    index = MemoryIndex()
    index.wrote(Mark("records/001-000001.jsonl", max(len(damage), 1), 2), ["a"])
    with pytest.raises(SinkError, match="; verify the mirror$"):
        await sink.tidy(index)
    assert keys(store) == ["records/001-000001.jsonl"]
    assert await index.places() == {"records/001-000001.jsonl": Place(max(len(damage), 1), 2, 1)}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6)),
        st.tuples(st.just("delete"), st.sets(st.sampled_from("abcdefgh"), max_size=3)),
        st.tuples(st.just("tidy"), st.none()),
        st.tuples(st.just("crash in a write"), st.lists(st.sampled_from("abcdefgh"), min_size=1)),
        st.tuples(st.just("crash in tidy"), st.tuples(st.integers(1, 3), st.booleans())),
        st.tuples(st.just("cancel a write"), st.integers(0, 3)),
    ),
    max_size=25,
)


class Story:
    """A mirror of a source that changes, on a machine that loses power."""

    def __init__(self, full):
        self.full = full
        self.store = MemoryStore()
        self.index = FailingIndex()
        self.source = {}
        self.value = 0

    def fresh(self, ids):
        self.value += 1
        return [row(one, [self.value, n]) for n, one in enumerate(ids)]

    async def open(self):
        self.sink = await opened(self.store, self.index.sizes, full=self.full)

    async def step(self, kind, what):
        if kind == "write":
            rows = self.fresh(what)
            self.index.wrote(await self.sink.write(rows, []), [r.id for r in rows])
            self.source.update({r.id: r.data for r in rows})
        elif kind == "delete":
            self.index.deleted(what)
            for one in what:
                self.source.pop(one, None)
        elif kind == "tidy":
            await self.sink.tidy(self.index)
            assert self.read() == sorted(self.source.values(), key=str)
        else:
            await self.crash(kind, what)
            await self.open()

    async def crash(self, kind, what):
        if kind == "crash in a write":
            await self.sink.write(self.fresh(what), [])
        elif kind == "crash in tidy":
            self.index.cut, self.index.late = what
            with contextlib.suppress(PowerCutError):
                await self.sink.tidy(self.index)
            self.index.cut = 0
        else:
            task = asyncio.ensure_future(self.sink.write(self.fresh("abc"), []))
            for _ in range(what):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    def read(self):
        return sorted(stored(self.store), key=str)

    def check(self):
        """The current rows are the source; the objects are those that the index knows."""
        found = {}
        for place in self.index.sizes:
            for data in lines(self.store, place):
                if self.index.homes.get(data["id"]) == place:
                    found[data["id"]] = data
        assert found == self.source
        assert keys(self.store) == sorted(self.index.sizes)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, full=st.sampled_from([60, 200, 10_000]))
def test_the_mirror_equals_the_source_after_any_story(steps, full):
    """After each change, tidying, cancelling and crash, what counts in the store is the source."""

    async def play():
        story = Story(full)
        await story.open()
        for kind, what in steps:
            await story.step(kind, what)
            story.check()

    asyncio.run(play())


# What a place is


async def test_a_place_with_other_things_is_refused(store):
    """A bucket that holds something else is not empty, a prefix of its own is."""
    obstore.put(store, "holiday.jpg", b"1")
    obstore.put(store, "m-other/x", b"1")
    with pytest.raises(SinkError, match="is not empty"):
        await ObjectStoreSink(store).claim(OWNER, is_new=True)
    await ObjectStoreSink(store, prefix="m").claim(OWNER, is_new=True)
    await (await opened(store, prefix="m")).write([row("a")], [])
    with pytest.raises(SinkError, match="choose an empty destination, or the state folder"):
        await ObjectStoreSink(store, prefix="m").claim(OWNER, is_new=True)
    await ObjectStoreSink(store, prefix="m").claim(OWNER, is_new=False)
    assert owner(store, "m/") == OWNER and ".paragon-owner" not in keys(store)
    await opened(store, {"records/001-000001.jsonl": 1}, prefix="m")
    assert "m/records/001-000001.jsonl" in keys(store)


async def test_a_consoles_folder_is_empty(s3_options):
    """The object that a console makes for an empty folder is no content."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=s3_options["endpoint"],
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    client.put_object(Bucket=s3_options["bucket"], Key="m/", Body=b"")
    client.close()
    await ObjectStoreSink(S3Store(**s3_options), prefix="m").claim(OWNER, is_new=True)


@pytest.mark.parametrize("is_new", [True, False])
async def test_another_states_place_is_refused(store, is_new):
    """A prefix that another state claimed is refused, and stays that one's."""
    for _ in range(2):
        await ObjectStoreSink(store, prefix="m").claim(OWNER, is_new=True)
    with pytest.raises(SinkError, match="belongs to another state"):
        await ObjectStoreSink(store, prefix="m").claim("another-state", is_new=is_new)
    assert owner(store, "m/") == OWNER


async def test_of_many_states_one_wins(store):
    """Of states that claim a prefix in the same instant exactly one has it, and is named there."""
    for number in range(5):
        names = [f"state-{n:06d}" for n in range(6)]
        sinks = [ObjectStoreSink(store, prefix=f"m{number}") for _ in names]
        claims = [s.claim(name, is_new=True) for s, name in zip(sinks, names, strict=True)]
        errors = await asyncio.gather(*claims, return_exceptions=True)
        (winner,) = [name for name, error in zip(names, errors, strict=True) if error is None]
        assert owner(store, f"m{number}/") == winner
        assert all(isinstance(error, SinkError) for error in errors if error)


async def test_an_owner_that_is_lost_is_named_again(store):
    """A state that knows the place writes its name again, where it is gone or was cut off."""
    sink = await opened(store)
    await sink.write([row("a")], [])
    await sink.claim(OWNER, is_new=False)
    assert owner(store) == OWNER
    obstore.put(store, ".paragon-owner", b"012")
    await sink.claim(OWNER, is_new=False)
    assert owner(store) == OWNER


async def test_a_store_that_cannot_put_on_condition(s3_options):
    """Where a store refuses conditions, the place is looked at before and after."""
    store = S3Store(**s3_options, conditional_put="disabled")
    with pytest.raises((NotImplementedError, obstore.exceptions.BaseError)):
        obstore.put(store, "x", b"x", mode="create")
    await ObjectStoreSink(store).claim(OWNER, is_new=True)
    with pytest.raises(SinkError, match="another state"):
        await ObjectStoreSink(store).claim("another-state", is_new=True)
    assert owner(store) == OWNER


async def test_a_row_that_is_not_what_was_written_differs(store):
    """Objects are read line by line, across pieces, and held against the state's digests."""
    sink, index = await opened(store), MemoryIndex()
    long = "x" * (5 << 20)
    writes = ([row("a", long), row("b", long), row("c")], [row("d"), row("a", 1)], [row("e", 7)])
    for rows in writes:
        index.wrote(await sink.write(rows, []), [r.id for r in rows])
        index.lines |= {r.id: r.line for r in rows}
    places = sorted(index.sizes)
    assert await sink.differs(index) == []
    body = bytes(obstore.get(store, places[0]).bytes())
    for bad in (body[:-2] + b" \n", body.replace(b'"c"', b'"z"'), body[:-1] + b" ", body + b"\n"):
        obstore.put(store, places[0], bad)
        assert await sink.differs(index) == [places[0]]
    obstore.put(store, places[0], body.replace(b'{"id":"a","value":"x', b'{"id":"a","value":"y'))
    assert await sink.differs(index) == []
    obstore.put(store, places[1], b"no json" + b" " * (index.sizes[places[1]] - 8) + b"\n")
    obstore.delete(store, places[2])
    assert await sink.differs(index) == places[1:]
    index.deleted("e")
    assert await sink.differs(index) == places[1:]


def test_an_identity_names_the_place_and_no_secret(tmp_path):
    """Server, bucket and prefix, or the whole path, the same for a store and its URL; never a key."""
    for name in "acde":
        (tmp_path / name).mkdir()
    memory = MemoryStore()
    secret = {"access_key_id": "KEYID", "secret_access_key": "SECRET"}
    named = {
        "store:s3/bkt/p/q": ObjectStoreSink(S3Store("bkt", prefix="p", **secret), prefix="q"),
        "store:s3/bkt/p": ObjectStoreSink("s3://KEYID:SECRET@bkt/p"),
        "store:gcs/bkt/p": ObjectStoreSink(GCSStore("bkt", skip_signature=True), prefix="/p/"),
        "store:azure/acc/cont": ObjectStoreSink(
            AzureStore("cont", account_name="acc", access_key="c2VjcmV0")
        ),
        "store:s3/h.example:9000/bkt/q": ObjectStoreSink(
            S3Store("bkt", endpoint="https://me:SECRET@h.example:9000/", **secret), prefix="q"
        ),
        f"store:memory/{id(memory):#x}/a/b": ObjectStoreSink(memory, prefix="a/b"),
        f"store:local:{tmp_path}/a/b": ObjectStoreSink(LocalStore(tmp_path / "a"), prefix="b"),
        f"store:local:{tmp_path}/c": ObjectStoreSink(f"file://{tmp_path}/c"),
        f"store:local:{tmp_path}/d": ObjectStoreSink(LocalStore(tmp_path / "e" / ".." / "d")),
        f"store:local:{tmp_path}/e": ObjectStoreSink(LocalStore(os.path.relpath(tmp_path / "e"))),
    }
    assert {name: sink.identity for name, sink in named.items()} == {n: n for n in named}


@pytest.mark.parametrize("prefix", ["a//b", "../a", "a/./b", "a\nb"])
def test_a_prefix_must_be_plain(prefix):
    """A prefix that leads elsewhere, or means nothing, is told at once."""
    with pytest.raises(ConfigurationError, match="prefix"):
        ObjectStoreSink(MemoryStore(), prefix=prefix)


@pytest.mark.parametrize("url", ["bogus://canary@x", "canary", "az://canary"])
def test_a_url_of_no_store_is_told_without_quoting_it(url):
    """A URL can hold a password: neither the message nor the traceback has it."""
    with pytest.raises(ConfigurationError, match="no URL of an object store") as caught:
        ObjectStoreSink(url)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


async def test_a_sink_that_is_not_open_says_so():
    """Writing before `open` is told, and closing twice is harmless."""
    sink = ObjectStoreSink(MemoryStore())
    with pytest.raises(SinkError, match="not open"):
        await sink.write([row("a")], [])
    await sink.settle()
    await sink.aclose()
    await sink.aclose()


# What a store refuses


def dead_port():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


async def every_call(sink, spooled):
    """Yield each method's error; one that ends well fails the test."""
    calls = {
        "claim": lambda: sink.claim(OWNER, is_new=True),
        "open": lambda: sink.open(1, {}),
        "put": lambda: sink.put(spooled, "r", "x"),
        "move": lambda: sink.move("files/r/x", "r", "y"),
        "remove": lambda: sink.remove("r"),
        "holds": lambda: sink.holds("files/r/x", 1, None),
        "write": lambda: sink.write([row("a")], []),
        "lacks": lambda: sink.lacks({"records/001-000001.jsonl": 1}),
        "differs": lambda: sink.differs(stale),
        "tidy": lambda: sink.tidy(stale),
    }
    stale = MemoryIndex()
    stale.wrote(Mark("records/001-000001.jsonl", 9, 2), ["a"])
    for name, call in calls.items():
        with pytest.raises(SinkError) as caught:
            await call()
        yield name, caught.value


async def test_a_server_that_is_gone_is_a_sink_error(s3_options, spooled):
    """Each method tells it in a sentence, within the retries that the caller chose."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    mortal = {"endpoint": f"http://{host}:{port}", "retry_config": {"max_retries": 0}}
    store = S3Store(**{**s3_options, **mortal})
    sink = await opened(store)
    server.stop()
    async for _, error in every_call(sink, spooled):
        message = str(error)
        assert message.startswith("cannot ") and "\n" not in message and len(message) < 300
        assert error.__cause__ is error.__context__ is None
        assert "canary" not in message


async def test_a_signature_in_a_url_is_never_told(spooled):
    """Azure's shared access signature stands in each URL; no error has it, nor its traceback."""
    store = AzureStore(
        "cont",
        account_name="acc",
        config={"sas_key": "sv=2022&sig=canary%3D", "endpoint": f"http://127.0.0.1:{dead_port()}"},
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    sink = ObjectStoreSink(store)
    with pytest.raises(SinkError) as caught:
        await sink.open(1, {})
    assert "canary" not in "".join(traceback.format_exception(caught.value))


async def test_what_a_store_says_is_cut_to_a_sentence():
    """Of a long error that quotes a signed URL, one short line is left, without the URL's query."""

    def refuse():
        raise OSError("PUT https://me:canary@h.example/k?sig=canary failed " + "x" * 500 + "\nmore")

    bucket = Bucket(MemoryStore(), "")
    with pytest.raises(SinkError) as caught:
        await bucket.run("put 'x'", refuse)
    assert str(caught.value).startswith("cannot put 'x': PUT https://h.example failed xxx")
    assert len(str(caught.value)) == len("cannot put 'x': ") + 200


async def test_an_unknown_bucket_is_a_sink_error(s3_options):
    """A bucket that does not exist is told before anything is pulled."""
    with pytest.raises(SinkError, match="records: 404 Not Found: NoSuchBucket: The .* exist$"):
        await opened(S3Store(**{**s3_options, "bucket": "no-such-bucket"}))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('403: <?xml version="1.0"?>\n<Error><Code>AccessDenied</Code>\n<Message>No.</Message></Error>', "403: AccessDenied: No."),
        ("409: <Error><Code>Busy</Code></Error>\nDebug", "409: Busy"),
        ('500: <?xml version="1.0"?>\n<Odd/>', "500"),
        ("plain <b> words", "plain <b> words"),
    ],
)  # fmt: skip
async def test_what_a_store_says_in_xml_is_read(said, told):
    """Of an answer in XML the code and the message are told, and none of its marks."""

    def refuse():
        raise OSError(said)

    with pytest.raises(SinkError) as caught:
        await Bucket(MemoryStore(), "").run("x", refuse)
    assert str(caught.value) == f"cannot x: {told}"


# Programs


def run(code, *args):
    return subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


OPEN = """
import asyncio, hashlib, os, sys
from pathlib import Path
from obstore.store import S3Store
from paragon_async.ingest.sinks.protocol import Row
from paragon_async.ingest.sinks.store import ObjectStoreSink
store = S3Store("mirrors", endpoint=sys.argv[1], region="us-east-1", access_key_id="nobody",
    secret_access_key="s", client_options={"allow_http": True})
source = Path(sys.argv[2])
"""

LEAVES = (
    OPEN
    + """
async def main():
    sink = ObjectStoreSink(store)
    await sink.open(1, {})
    mark = await sink.write([Row.of({"id": "a"})], [])
    places = await asyncio.gather(*(sink.put(source, f"r{n}", "x") for n in range(8)))
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    for place in places:
        assert await sink.holds(place, source.stat().st_size, sha256)
    await sink.aclose()
asyncio.run(main())
"""
)

GROWS = (
    OPEN
    + """
def peak():
    # Not ru_maxrss: it begins with the parent's.
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
async def main():
    sink = ObjectStoreSink(store)
    await sink.open(1, {})
    await sink.write([Row.of({"id": "a"})], [])
    before = peak()
    place = await sink.put(source, "r", "x")
    put = peak() - before
    assert await sink.holds(place, source.stat().st_size, sys.argv[3])
    print(put, peak() - before)
asyncio.run(main())
"""
)

MISSING = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "obstore":
            raise ImportError(name)
sys.meta_path.insert(0, Block())
from paragon_async import ConfigurationError
from paragon_async.ingest.sinks.store import ObjectStoreSink
try:
    ObjectStoreSink("s3://bucket")
except ConfigurationError as error:
    print(error)
"""


async def test_a_program_ends_cleanly_right_after_its_last_call(s3_options, tmp_path):
    """The interpreter does not abort at exit, as it can after obstore's own async reads."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(300_000))
    for _ in range(3):
        done = run(LEAVES, s3_options["endpoint"], source)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
async def test_a_large_content_takes_little_memory(s3_options, tmp_path):
    """64 MiB are sent and read back in pieces; the process grows by a part of that."""
    source = tmp_path / "source"
    size = 64 << 20
    with source.open("wb") as file:
        file.truncate(size)
    sha256 = hashlib.sha256(bytes(size)).hexdigest()
    done = run(GROWS, s3_options["endpoint"], source, sha256)
    assert (done.returncode, done.stderr) == (0, "")
    put, both = map(int, done.stdout.split())
    assert put < 40 << 20 and both < 50 << 20


def test_without_obstore_the_message_names_the_extra():
    """The package can be imported without obstore; the sink says what to install."""
    done = run(MISSING)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pip install paragon-async[cloud]" in done.stdout
