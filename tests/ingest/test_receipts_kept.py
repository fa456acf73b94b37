"""Receipts in the tables, beside all that is committed with them; two feeds, so that one is left alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import attrs
import pytest

from paragon_async.errors import StateError
from paragon_async.ingest import feeds, places, schema, statements
from paragon_async.ingest.sinks.protocol import Mark, Place
from paragon_async.ingest.statements import Batch, Known
from paragon_async.ingest.values import DeadLetter, Feed, Receipt

HASH = "00" * 32
OURS = Feed(project="p", user="u", sync="s")
THEIRS = Feed(project="p", user="u", sync="t")


@pytest.fixture
def db():
    """A state in memory with two feeds, 1 and 2, and one place of each."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        made.executescript(schema._TABLES)
        for feed in (OURS, THEIRS):
            number = feeds.find_feed(made, feed, f"folder:{feed.sync}")
            places.fill(made, number, Mark("one", 10, 1))
        yield made


def kept(id_, **changes):
    values = {"version": "v", "path": f"files/{id_}", "size": 7, "sha256": HASH}
    return Receipt(id=id_, **{**values, **changes})


FULL = kept("b", content_type="a/b", verified_by=("size", "md5"))


def all_of(db, table, columns="*"):
    return db.execute(f"SELECT {columns} FROM {table} ORDER BY feed, 2").fetchall()  # noqa: S608  # a test's own words


def test_receipts_come_back_as_they_were_given(db):
    """Receipts of a feed are read in the order of their ids, from behind one, so many at a time."""
    statements.receive(db, 1, [kept("c"), FULL, kept("a")], 5.0)
    statements.receive(db, 2, [kept("a", size=1)], 6.0)
    assert statements.receipts(db, 1, "", 10) == [kept("a"), FULL, kept("c")]
    assert statements.receipts(db, 1, "a", 1) == [FULL]
    assert statements.receipts(db, 2, "", 10) == [kept("a", size=1)]
    assert all_of(db, "receipts", "feed, id, at") == [
        (1, "a", 5.0), (1, "b", 5.0), (1, "c", 5.0), (2, "a", 6.0),
    ]  # fmt: skip
    newer = kept("b", version="w")
    statements.receive(db, 1, [newer], 7.0)
    assert statements.receipts(db, 1, "a", 1) == [newer]


def test_receipts_are_dropped_by_feed_and_id(db):
    """A receipt goes with its id, in its own feed alone."""
    for feed in (1, 2):
        statements.receive(db, feed, [kept("a"), kept("b")], 0.0)
    statements.drop_receipts(db, 1, ["a", "x"])
    assert all_of(db, "receipts", "feed, id") == [(1, "b"), (2, "a"), (2, "b")]


def test_intents_are_noted_once_and_cleared(db):
    """What is worked on is noted by feed, twice is once, and is read in the order of its ids."""
    statements.intend(db, 1, ["b", "a", "c"])
    statements.intend(db, 1, ["a"])
    statements.intend(db, 2, ["a", "b"])
    assert statements.intents(db, 1) == ["a", "b", "c"]
    statements.clear(db, 1, ["a", "x"])
    assert (statements.intents(db, 1), statements.intents(db, 2)) == (["b", "c"], ["a", "b"])


LETTER = DeadLetter(id="dead", name=None, kind="404", reason="gone")
LOOKED = {
    "row": Known(digest=b"d"),
    "receipt": Known(receipt=kept("receipt")),
    "dead": Known(is_dead=True),
    "cut": Known(is_suspect=True),
    "doomed": Known(digest=b"d", is_doomed=True, is_suspect=True),
    "all": Known(digest=b"d", receipt=kept("all", verified_by=("size",)), is_suspect=True),
}


def filled(db, feed):
    batch = Batch(
        rows={"row": b"d", "doomed": b"d", "all": b"d"},
        receipts=[kept("receipt"), kept("all", verified_by=("size",))],
        dead=[LETTER],
        doomed={"doomed": "feed"},
    )
    statements.commit(db, feed, OURS if feed == 1 else THEIRS, [batch], 3.0)
    statements.intend(db, feed, ["cut", "all"])


def test_a_look_tells_all_that_is_known(db):
    """Row, receipt, letter, doom and intent of each id are found, alone or together, and no other's."""
    filled(db, 1)
    assert statements.look(db, 1, [*LOOKED, "stranger"]) == LOOKED
    assert statements.look(db, 1, ["row"]) == {"row": LOOKED["row"]}
    assert statements.look(db, 2, list(LOOKED)) == {}


def test_a_look_at_more_than_one_statement_takes(db):
    """Of a thousand ids, the first and the last are found."""
    filled(db, 1)
    ids = ["row", *(f"x{n}" for n in range(999)), "cut"]
    assert statements.look(db, 1, ids) == {k: LOOKED[k] for k in ("row", "cut")}


@pytest.mark.parametrize("table", ["records", "receipts", "dead", "intents"])
def test_a_feed_is_empty_only_where_nothing_is_known(db, table):
    """A row of any of the four tables, and of this feed, makes it known."""
    assert statements.is_empty(db, 1)
    filled(db, 1)
    for other in {"records", "receipts", "dead", "intents"} - {table}:
        db.execute(f"DELETE FROM {other}")  # noqa: S608  # a test's own words
    assert not statements.is_empty(db, 1) and statements.is_empty(db, 2)


def test_a_commit_applies_everything(db):
    """Rows, receipts, letters, dooms, tombstones met, strays and intents change in one commit."""
    filled(db, 1)
    filled(db, 2)
    batch = Batch(
        rows={"new": b"n", "row": b"e"},
        receipts=[kept("new")],
        mark=Mark("one", 99, 2),
        cursor="c1",
        healed=["dead"],
        dead=[DeadLetter(id="bad", name="n", kind="403", reason="no", passing=True)],
        spared=["doomed"],
        doomed={"all": "feed", "gone": "feed"},
        seen=["gone", "all"],
        strays=["receipt"],
        cleared=["cut"],
        pass_no=4,
    )
    statements.commit(db, 1, OURS, [batch, Batch(cursor="c2"), Batch()], 8.0)
    place = db.execute("SELECT place FROM places WHERE feed = 1").fetchone()[0]
    columns = "id, digest, place, deleted_at, doomed, pass"
    assert db.execute(f"SELECT {columns} FROM records WHERE feed = 1 ORDER BY id").fetchall() == [  # noqa: S608  # constants
        ("all", b"d", None, None, "feed", 4),
        ("doomed", b"d", None, None, None, None),
        ("gone", None, None, 8.0, None, 4),
        ("new", b"n", place, None, None, None),
        ("row", b"e", place, None, None, None),
    ]
    assert [r.id for r in statements.receipts(db, 1, "", 9)] == ["all", "new"]
    assert db.execute("SELECT id, at FROM receipts WHERE id = 'new'").fetchall() == [("new", 8.0)]
    assert db.execute("SELECT id, last_at, passing FROM dead WHERE feed = 1").fetchall() == [
        ("bad", 8.0, 1)
    ]
    assert statements.intents(db, 1) == ["all"]
    assert places.places(db, 1) == {"one": Place(99, 3, 0)}
    assert feeds.cursor_of(db, 1, OURS) == "c2"
    assert feeds.cursor_of(db, 2, THEIRS) is None
    assert statements.look(db, 2, list(LOOKED)) == LOOKED


def test_a_commit_counts_what_it_replaces(db):
    """Old rows are stale: those named as replaced, or all of the batch where none are named."""
    first, again = {"a": b"1", "b": b"1"}, {"a": b"2", "b": b"2"}
    statements.commit(db, 1, OURS, [Batch(rows=first, mark=Mark("one", 20, 2))], 0.0)
    statements.commit(
        db, 1, OURS, [Batch(rows=again, mark=Mark("two", 20, 2), replaced=["a"])], 0.0
    )
    assert places.places(db, 1)["one"].stale == 1
    statements.commit(db, 1, OURS, [Batch(rows=again, mark=Mark("two", 40, 2))], 0.0)
    assert places.places(db, 1)["two"].stale == 2
    assert places.places(db, 2) == {"one": Place(10, 1, 0)}


def test_the_newest_cursor_counts(db):
    """Of several batches the last that has a cursor decides, and none leaves the saved one."""
    batches = [Batch(cursor="c1"), Batch(cursor="c2"), Batch()]
    statements.commit(db, 1, OURS, batches, 0.0)
    statements.commit(db, 1, OURS, [Batch()], 0.0)
    assert feeds.cursor_of(db, 1, OURS) == "c2"
    statements.commit(db, 1, OURS, [Batch(cursor="")], 0.0)
    assert feeds.cursor_of(db, 1, OURS) == ""


@pytest.mark.parametrize("key", ["project", "user", "sync"])
def test_a_commit_of_a_feed_that_is_not_there(db, key):
    """Of a feed that the state does not know, under this number, nothing is written."""
    strange = attrs.evolve(OURS, **{key: "x"})
    with pytest.raises(StateError) as caught:
        statements.commit(db, 1, strange, [Batch(rows={"a": b"1"})], 0.0)
    assert str(caught.value) == f"the state no longer knows {strange}: nothing was written"
    with pytest.raises(StateError):
        statements.commit(db, 2, OURS, [Batch(rows={"a": b"1"})], 0.0)
    assert all_of(db, "records") == []


def test_doom_falls_on_the_living_alone(db):
    """A record that is deleted already is not doomed again."""
    filled(db, 1)
    statements.delete(db, 1, ["row"], None, 1.0)
    statements.commit(db, 1, OURS, [Batch(doomed={"row": "feed", "all": "feed"})], 2.0)
    found = db.execute("SELECT id FROM records WHERE doomed IS NOT NULL ORDER BY id").fetchall()
    assert found == [("all",), ("doomed",)]


def test_what_is_deleted_leaves_its_date(db):
    """Of a deleted record only the date is left: no digest, receipt, letter or intent, here alone."""
    for feed in (1, 2):
        filled(db, feed)
        statements.commit(db, feed, OURS if feed == 1 else THEIRS, [Batch(rows={"row": b"d"}, mark=Mark("one", 20, 1))], 0.0)  # fmt: skip
    statements.delete(db, 1, [*LOOKED, "stranger"], Mark("one", 30, 1), 9.0)
    assert all_of(db, "records", "feed, id, digest, place, deleted_at, doomed")[:3] == [
        (1, "all", None, None, 9.0, None),
        (1, "doomed", None, None, 9.0, None),
        (1, "row", None, None, 9.0, None),
    ]
    for table in ("receipts", "dead", "intents"):
        assert db.execute(f"SELECT count(*) FROM {table} WHERE feed = 1").fetchone() == (0,)  # noqa: S608  # constants
    assert places.places(db, 1) == {"one": Place(30, 3, 1)}
    found = statements.look(db, 2, list(LOOKED))
    assert found == LOOKED
    statements.delete(db, 2, ["row"], None, 1.0)
    assert statements.look(db, 2, list(LOOKED)) == {**LOOKED, "row": Known()}
