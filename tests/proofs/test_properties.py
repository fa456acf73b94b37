"""What holds for every value, not for those that somebody thought of (R14).

The quick suite has a few hundred examples of names, dates and cursors; here are the many, and the
properties that take longer: both platforms' rules of names, headers that hold anything, events of every
shape, and receipts through the real SQLite file. Pulling has its own, in `test_pulling`.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import math
import tempfile
from contextlib import contextmanager
from email.utils import format_datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from paragon_async import errors
from paragon_async.download import _continues, _Facts
from paragon_async.ingest import State
from paragon_async.ingest.statements import Batch
from paragon_async.ingest.values import Feed, Receipt
from paragon_async.names import Entry, arrange, collision_key, distinct_name, safe_name
from paragon_async.transport.retry import Retry
from paragon_async.transport.wire import http_date, retry_after, service_time
from paragon_async.webhooks import events
from tests.fakes import FakeResponse
from tests.fuzz import rules

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]
NOW = 1_700_000_000.0


def many(examples):
    checks = list(HealthCheck)
    return settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=checks
    )


TRAPS = (
    "..", ".", " ", "/", "\\", ":", "CON", "nul ", "LPT1.", "COM¹", "conin$", ".paragon-", "\x00", "\n", "\x7f", "\x85",
    "\udc80", "\ud83d", "\ude00", "😀", "ß", "ẞ", "e\u0301", "é", "\u202e", "\u200b", "\ufeff", "\u2028", "ﬁ", "İ", "\uffff",
    "a" * 90, "é" * 60, ".tar.gz", ".pdf", "~1a2b3c4d5e6f", "\ue000", "\U000e0041", "\u00a0", "\u3000",
)  # fmt: skip
# One letter stands for each trap: a text is one draw, and twenty thousand of them must be cheap.
LETTERS = {0xF0000 + n: trap for n, trap in enumerate(TRAPS)}
TRAPPED = st.text("aB1.~ _ü" + "".join(map(chr, LETTERS)), max_size=12).map(
    lambda text: text.translate(LETTERS)
)
ANY = st.text(st.characters(), max_size=12)
LABELS = TRAPPED | st.text(st.characters(), max_size=40)


@many(5_000)
@given(LABELS, LABELS, LABELS, LABELS)
def test_names_are_files_everywhere(first, second, third, fourth):
    """Whatever a record is called, POSIX, Windows and a terminal take its name for one plain file."""
    for label in (first, second, third, fourth):
        rules.harmless(safe_name(label))


@many(700)
@given(LABELS, ANY, ANY)
def test_names_of_two_records(label, one, other):
    """Of one label two records have two names, however a file system folds them, both of them safe."""
    first, second = distinct_name(label, one), distinct_name(label, other)
    rules.harmless(first)
    rules.harmless(safe_name(label, one))
    assert (collision_key(first) == collision_key(second)) == (one == other)


TREES = st.lists(st.tuples(st.integers(-1, 9), LABELS | st.none()), max_size=9)


@many(300)
@given(TREES, st.randoms(use_true_random=False))
def test_trees_of_names(tree, dice):
    """Any forest, circles too, has one safe path for each record, in whatever order it came."""
    entries = [
        Entry(id=str(n), external_id=f"x{n}", parent=f"x{parent}", name=name)
        for n, (parent, name) in enumerate(tree)
    ]
    places = arrange(entries)
    assert len({collision_key(str(place)) for place in places.values()}) == len(entries)
    for place in places.values():
        assert not place.is_absolute()
        for part in place.parts:
            rules.harmless(part)
    dice.shuffle(entries)
    assert arrange(entries) == places


MOMENTS = st.datetimes(
    datetime.datetime(1970, 1, 2),  # noqa: DTZ001  # the zone is given apart
    datetime.datetime(2500, 1, 1),  # noqa: DTZ001  # the same
    timezones=st.just(datetime.UTC),
).map(lambda moment: moment.replace(microsecond=0))


@many(500)
@given(MOMENTS, MOMENTS | st.none())
def test_waits_until_a_date(until, told):
    """A date is waited for by the service's clock if it tells it, else by ours, and never in the past."""
    headers = CIMultiDict({"Retry-After": format_datetime(until, usegmt=True)})
    if told:
        headers["Date"] = format_datetime(told, usegmt=True)
    since = told.timestamp() if told else NOW
    assert retry_after(headers, now=NOW) == max(0.0, until.timestamp() - since)
    assert service_time(headers) == (told.timestamp() if told else None)


@many(500)
@given(
    st.integers(0, 10**12 - 1) | st.floats(0, 10**6).map(lambda x: round(x, 3)),
    st.sampled_from(["", " ", "\t"]),
)
def test_waits_of_seconds(seconds, space):
    """Seconds are what they say; a client waits that long, or gives up at once when it is too long."""
    headers = CIMultiDict({"Retry-After": f"{space}{seconds}{space}"})
    found = retry_after(headers, now=NOW)
    assert found == float(seconds)
    error = errors.RateLimitError("m", method="GET", path="/", status=429, retry_after=found)
    wait = Retry().wait_after(error, attempt=1, chance=0.0)
    assert wait == (found if found <= 120 else None)


PARTS = ("Tue", ",", " ", "14", "Nov", "2023", "22:13:20", "GMT", "+9999", "-0000", "99999", ":", "Z", "1e9", "AM", "(x)", "70",
         "0", "-", "٣", "\udcff", "24:60:61", "T", "Nov.", "bytes ", "5-8/9")  # fmt: skip
PART_LETTERS = {0xF0000 + n: part for n, part in enumerate(PARTS)}
WORDS = st.text("1 a" + "".join(map(chr, PART_LETTERS)), max_size=9).map(
    lambda text: text.translate(PART_LETTERS)
)


@many(1_000)
@given(WORDS, WORDS)
def test_waits_that_are_nonsense(value, date):
    """Whatever two headers hold, the wait is absent, or a number of seconds that is not negative."""
    found = retry_after(CIMultiDict({"Retry-After": value, "Date": date}), now=NOW)
    assert found is None or (found >= 0 and math.isfinite(found))
    moment = http_date(date)
    assert moment is None or math.isfinite(moment)


@many(500)
@given(st.integers(0, 10**21), st.integers(0, 10**21), st.integers(1, 10**19) | st.none(), WORDS)
def test_ranges(start, offset, total, junk):
    """A range goes on only where it begins at the byte that was asked for, of a file of the same size."""
    says = f"bytes {start}-{start + 1}/{'*' if total is None else total}"

    def goes_on(text):
        answer = FakeResponse(206, headers={"Content-Range": text})
        try:
            return _continues(answer, offset, _Facts(total=9), asked=True)
        except errors.MalformedAnswerError:
            return False

    assert goes_on(says) == (start == offset < 10**20 and total in {9, None})
    assert not goes_on(junk)


KEYS = ["event", "sync", "syncInstanceId", "sync_instance_id", "user", "credentialId", "data", "error", "timestamp"]  # fmt: skip
INNER = ["recordId", "record_id", "id", "model", "message", "code", "syncedAt", "numRecords"]
NAMES = [*events._BUILDERS, "recordUpdated", "syncComplete", "news"]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    ["", "r1", "File", "x" * 1025, "2025-01-02T03:04:05Z", "1e999", "\x1b[31m", "Ü"]) | st.text(max_size=8)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(INNER), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
BODIES = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=7)


@many(500)
@given(BODIES, st.integers(0, 99))
def test_events_of_every_shape(body, cut):
    """Each known event, around whatever fields: an event with usable ids, or an error in plain words."""
    for name in NAMES:
        raw = json.dumps(body | {"event": name}).encode()
        event = parsed(raw)
        if event is not None:
            assert event.raw == json.loads(raw)
            assert parsed(bytearray(raw)) == event
    assert parsed(raw[: len(raw) * cut // 100]) is None


def parsed(body):
    """Read an event, or None where it is refused; both as promised."""
    try:
        event = events.parse_event(body)
    except errors.WebhookError as error:
        text = str(error)
        assert text.isascii() and text.isprintable()
        return None
    for name in ("sync_id", "user_id", "credential_id", "record_id"):
        found = getattr(event, name, None)
        assert found is None or (type(found) is str and 0 < len(found) <= 1024)
    assert getattr(event, "record_id", "some")
    assert event.timestamp is None or event.timestamp.utcoffset() is not None
    return event


IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
EVIDENCE = st.lists(st.sampled_from(["length", "size", "md5", "sha1", "sha256", "sha512"]), unique=True).map(tuple)  # fmt: skip
RECEIPTS = st.lists(
    st.builds(Receipt, id=IDS, version=IDS, path=IDS, size=st.integers(0, 2**63 - 1), sha256=HEX,
              content_type=st.none() | IDS, verified_by=EVIDENCE),
    unique_by=lambda receipt: receipt.id, max_size=8,
)  # fmt: skip


@contextmanager
def running():
    """Run coroutines in one loop, one after the other, as an example of hypothesis must."""
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as folder:
        yield runner.run, folder


def test_receipts_come_back():
    """What a receipt says is what it says after it was stored, whichever way; none is lost or doubled."""
    with running() as (run, folder):
        state = State(folder)
        run(state.__aenter__())
        number = iter(range(10**6))

        @many(150)
        @given(RECEIPTS, RECEIPTS, st.booleans())
        def holds(first, second, at_once):
            run(stored(state, f"s{next(number)}", first, second, at_once=at_once))

        try:
            holds()
        finally:
            run(state.__aexit__(None, None, None))


async def stored(state, name, first, second, *, at_once):
    """Store two rounds of receipts of one feed, the later ones over the earlier, and read them back."""
    book = await state.book(Feed(project="p", user="u", sync=name), f"folder:{name}")
    for receipts in (first, second):
        if at_once:
            await book.commit(Batch(receipts=receipts))
        else:
            for receipt in receipts:
                await book.receive(receipt)
    wanted = {receipt.id: receipt for receipt in (*first, *second)}
    found = [receipt async for block in book.receipts() for receipt in block]
    assert {receipt.id: receipt for receipt in found} == wanted
    assert len(found) == len(wanted)
    known = await book.look(list(wanted))
    assert {id_: one.receipt for id_, one in known.items()} == wanted
