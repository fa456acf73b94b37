"""The fast ways of the state and their oracles: what is done at once comes to what is done one by one."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from paragon_async.ingest import bulk, places, schema, statements
from paragon_async.ingest.glance import Glance, glance
from paragon_async.ingest.jobs import Entry, Job, changed
from paragon_async.ingest.sinks.protocol import HASH_KEY, PATH_KEY, Row, encoded
from paragon_async.ingest.statements import Batch, Known
from paragon_async.ingest.strangers import Strangers
from paragon_async.ingest.values import DeadLetter, Feed, Receipt, digest_of
from paragon_async.models import Record

FEED = Feed(project="p", user="u", sync="s")
IDS = st.sampled_from(
    ["a", "b", "c", "é", 'quo"te', "back\\slash", "nul\0", r"\u0000", "nul", "\x01", "𝄞", ""]
)
DIGESTS = st.sampled_from([b"1" * 16, b"2" * 16, b"", b"short"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
KEYS = st.sampled_from(["name", "size", PATH_KEY, HASH_KEY, "x_file"])
DATA = st.builds(lambda i, d: {**d, "id": i}, IDS, st.dictionaries(KEYS, JSON, max_size=4))


@st.composite
def histories(draw):
    """What a state may hold of some records: rows, tombstones, dooms, receipts, letters, intents."""
    pick = st.lists(IDS, unique=True, max_size=5)
    rows = draw(st.dictionaries(IDS, DIGESTS, max_size=8))
    batch = Batch(
        rows=rows,
        receipts=[Receipt(id=i, version="v", path=i, size=1, sha256="00") for i in draw(pick)],
        dead=[DeadLetter(id=i, name=None, kind="404", reason="r") for i in draw(pick)],
        doomed=dict.fromkeys(draw(pick), "feed"),
        seen=draw(pick),
        pass_no=1,
    )
    return batch, draw(pick), draw(pick)


def state(history):
    """Make a state in memory with a history, written one by one."""
    batch, deleted, intended = history
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(schema._TABLES)
    db.execute(
        "INSERT INTO feeds(feed, project, user, sync, sink, seal) VALUES (1, 'p', 'u', 's', 'x', x'')"
    )
    db.execute("INSERT INTO places VALUES (1, 1, 'one', 0, 0, 0), (2, 1, 'two', 0, 0, 0)")
    bulk.keep_each(db, 1, [(n % 3 or None, {i: d}) for n, (i, d) in enumerate(batch.rows.items())])
    statements._apply(db, 1, batch, 0.0)
    statements.delete(db, 1, deleted, None, 0.0)
    statements.intend(db, 1, intended)
    return closing(db)


def dump(db):
    query = "SELECT id, digest, place, deleted_at IS NULL, doomed, pass FROM records ORDER BY id"
    return db.execute(query).fetchall(), db.execute("SELECT * FROM places").fetchall()


@given(histories(), st.lists(st.dictionaries(IDS, DIGESTS, max_size=6), max_size=3))
def test_rows_are_kept_at_once_as_one_by_one(history, groups):
    """Rows of several places, new, changed or back again, stand there as when written one by one."""
    met = set()
    parts = []
    for n, group in enumerate(groups):
        parts.append(([None, 1, 2][n], {i: d for i, d in group.items() if i not in met}))
        met |= group.keys()
    with state(history) as fast, state(history) as slow:
        bulk.keep(fast, 1, parts)
        bulk.keep_each(slow, 1, parts)
        assert dump(fast) == dump(slow)


@given(histories(), st.lists(IDS, unique=True))
def test_rows_are_superseded_at_once_as_one_by_one(history, ids):
    """The places that rows had count as many stale rows as when asked row by row."""
    with state(history) as fast, state(history) as slow:
        bulk.supersede(fast, 1, ids)
        places.supersede(slow, 1, ids)
        assert dump(fast) == dump(slow)


@given(histories(), st.lists(IDS, unique=True))
def test_a_glance_knows_what_a_look_knows(history, ids):
    """A glance tells of every record what a look tells, and of most of them the digest alone."""
    with state(history) as db:
        found, known = glance(db, 1, ids), statements.look(db, 1, ids)
        assert {i: found.of(i) for i in ids} == {i: known.get(i, Known()) for i in ids}
        assert not found.digests.keys() & found.known.keys()
        if not any("\0" in i or i == r"\u0000" for i in ids):
            plain = {i for i, k in known.items() if k == Known(digest=k.digest) and k.digest}
            assert found.digests.keys() == plain


@given(histories())
def test_empty_means_that_a_look_finds_nothing(history):
    """A state is empty only when it knows nothing of any record."""
    with state(history) as db:
        everything = [
            "a",
            "b",
            "c",
            "é",
            'quo"te',
            "back\\slash",
            "nul\0",
            r"\u0000",
            "nul",
            "\x01",
            "𝄞",
            "",
        ]
        assert not statements.is_empty(db, 1) or statements.look(db, 1, everything) == {}


def test_thousands_of_rows_are_kept(tmp_path):
    """More rows than one statement takes are all there, each with its own digest and place."""
    rows = {f"{n * 7919 % 10007:05d}": n.to_bytes(16, "big") for n in range(10_000)}
    with state((Batch(), [], [])) as db:
        bulk.keep(
            db, 1, [(1, dict(list(rows.items())[:4000])), (2, dict(list(rows.items())[4000:]))]
        )
        found = db.execute("SELECT id, digest FROM records").fetchall()
        assert dict(found) == rows
        counts = db.execute("SELECT place, count(*) FROM records GROUP BY place").fetchall()
        assert counts == [(1, 4000), (2, 6000)]


@given(st.lists(st.lists(st.text(), unique=True)))
def test_who_was_met_is_never_a_stranger(pages):
    """Every id that came before is named as one that may have been met, and nobody who did not come is."""
    strangers, met = Strangers(), set()
    for page in pages:
        maybe = strangers.met(page)
        assert met & set(page) <= set(maybe) <= set(page)
        met |= set(page)


def test_hardly_a_stranger_is_suspected():
    """Of a hundred thousand ids that never came before, not one in a hundred is asked for in vain."""
    strangers = Strangers()
    assert len(strangers.met(f"record-{n}" for n in range(100_000))) < 1000


@given(DATA, st.text(), st.text())
def test_a_line_has_our_two_keys(data, path, sha256):
    """A row's line is its record as JSON, with our keys in place of any of the same name."""
    assert Row.of(data).line == encoded(data)
    expected = encoded({**data, PATH_KEY: path, HASH_KEY: sha256})
    row = Row.of(data, path, sha256)
    assert row.line == expected and row.data == data


@given(st.lists(DATA, unique_by=lambda data: data["id"]), st.data())
def test_plain_rows_are_those_of_entries(found, data):
    """A page of plain records comes to the rows, digests and counts that its entries come to."""
    known = {}
    for each in found:
        digest = data.draw(st.sampled_from([None, digest_of(encoded(each)), b"other" + bytes(11)]))
        if digest is not None:
            known[each["id"]] = digest
    job = Job(ticket=None, ids=frozenset(each["id"] for each in found))
    job.plain([Record(each) for each in found], known)
    seen = Glance(digests=known)
    entries = [
        Entry(id=each["id"], record=encoded(each), known=seen.of(each["id"]), receipt=None)
        for each in found
    ]
    assert (job.rows, job.digests) == changed(entries)
    assert job.unchanged == len(entries) - len(job.rows)
    assert job.replaced == [row.id for row in job.rows if row.id in known]
