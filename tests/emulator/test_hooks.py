"""Hooks: settings, the queue, back-off, giving up, disabling, the log, and chaos that repeats."""

from __future__ import annotations

import json

import pytest

from paragon_async.emulator import events, hooks
from paragon_async.emulator.clock import Clock
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.hooks import Hooks
from paragon_async.emulator.store import Store

URL = "http://127.0.0.1:9/hook"
SYNC = {
    "id": "s1",
    "user": "u1",
    "integration": "googledrive",
    "pipeline": "files",
    "credential": None,
}


def some(count, start=0):
    return [events.record_updated(SYNC, f"r{n}") for n in range(start, start + count)]


@pytest.fixture
def clock():
    clock = Clock()
    clock.freeze(1_700_000_000.0)
    return clock


@pytest.fixture
def store():
    store = Store(None, [hooks.SCHEMA])
    yield store
    store.close()


@pytest.fixture
def queue(store, clock):
    return Hooks(store, clock)


def verify(queue, clock):
    (probe,) = queue.due(clock.now(), 10)
    queue.delivered(probe["id"], 200)


def told(queue, clock):
    return [json.loads(row["event"]) for row in queue.due(clock.now(), 1000)]


def test_without_a_url_nothing_is_kept(queue, clock):
    """Events of a project without a webhook are not stored."""
    assert queue.enqueue(some(3)) == 0
    assert (queue.log(), queue.settings(), queue.next_due()) == ([], {"url": None}, None)


def test_events_wait_for_the_probe(queue, clock):
    """A new URL is asked first, and nothing else is due until it has answered."""
    queue.configure(URL)
    assert queue.enqueue(some(2)) == 2
    assert told(queue, clock) == [events.verification()]
    assert queue.settings()["verified"] is False
    verify(queue, clock)
    assert told(queue, clock) == some(2)
    assert (queue.settings()["verified"], queue.settings()["pending"]) == (True, 2)


def test_what_is_on_its_way_is_not_due(queue, clock):
    """The sender's own deliveries are left out of what is due and of when something is due."""
    queue.configure(URL)
    verify(queue, clock)
    queue.enqueue(some(2))
    first, second = (row["id"] for row in queue.due(clock.now(), 2))
    assert [row["id"] for row in queue.due(clock.now(), 1, {first})] == [second]
    assert queue.next_due({first, second}) is None


def test_backoff_doubles_and_then_gives_up(queue, clock):
    """An event is tried after 1, 2, 4 ... seconds of the emulator's clock, and then has failed."""
    queue.configure(URL, give_up_after=4)
    verify(queue, clock)
    queue.enqueue(some(1))
    waits = []
    while (due := queue.next_due()) is not None:
        waits.append(due - clock.now())
        clock.advance(waits[-1])
        queue.failed(queue.due(clock.now(), 1)[0]["id"], 500, "it answered 500")
    assert waits == [0, 1, 2, 4]
    last = queue.log()[-1]
    assert (last["state"], last["attempts"], last["status"]) == ("failed", 4, 500)
    assert last["error"] == "it answered 500"


def test_backoff_is_bounded_and_the_probe_is_never_given_up(queue, clock):
    """The probe is asked again and again, five minutes apart at most."""
    queue.configure(URL, give_up_after=2, disable_after=100)
    for _ in range(30):
        clock.advance(300)
        (probe,) = queue.due(clock.now(), 10)
        queue.failed(probe["id"], None, "connection refused")
    assert queue.next_due() == clock.now() + 300
    assert queue.settings()["disabled"] is None


def test_repeated_failure_disables(queue, clock):
    """After too many failures in a row nothing is sent, later events are dropped, and it says so."""
    queue.configure(URL, disable_after=3)
    verify(queue, clock)
    queue.enqueue(some(1))
    for _ in range(3):
        clock.advance(300)
        queue.failed(queue.due(clock.now(), 1)[0]["id"], 503, "it answered 503")
    assert "3 times in a row, last: it answered 503" in queue.settings()["disabled"]
    assert queue.next_due() is None
    assert queue.enqueue(some(2, 1)) == 0
    assert [row["state"] for row in queue.log()[-2:]] == ["dropped", "dropped"]
    with pytest.raises(Refusal, match="no enabled webhook"):
        queue.redeliver(1)
    queue.configure(URL)
    verify(queue, clock)
    assert told(queue, clock) == some(1)


def test_a_success_ends_the_row_of_failures(queue, clock):
    """Only failures without a success between them count."""
    queue.configure(URL, disable_after=2)
    verify(queue, clock)
    for n in range(3):
        queue.enqueue(some(1, n))
        queue.failed(queue.due(clock.now(), 1)[0]["id"], 500, "it answered 500")
        clock.advance(1)
        queue.delivered(queue.due(clock.now(), 1)[0]["id"], 204)
    assert (queue.settings()["disabled"], queue.settings()["failures"]) == (None, 0)


def test_redelivery(queue, clock):
    """A logged event is queued once more under a new id; one that waits is only made due."""
    queue.configure(URL)
    verify(queue, clock)
    queue.enqueue(some(1))
    (row,) = queue.due(clock.now(), 1)
    queue.failed(row["id"], 500, "it answered 500")
    assert queue.redeliver(row["id"]) == row["id"]
    assert queue.next_due() == clock.now()
    queue.delivered(row["id"], 200)
    assert queue.redeliver(row["id"]) > row["id"]
    assert told(queue, clock) == some(1)
    for unknown in (0, 999, 1 << 80):
        with pytest.raises(Refusal) as refusal:
            queue.redeliver(unknown)
        assert refusal.value.status == 404


def test_chaos_repeats_from_its_seed(clock):
    """The same seed loses, doubles and delays the same events, however they are cut into batches."""

    def run(seed, size):
        store = Store(None, [hooks.SCHEMA])
        queue = Hooks(store, clock)
        queue.configure(URL, duplicate=0.3, reorder=0.3, drop=0.3, seed=seed)
        verify(queue, clock)
        queued = sum(queue.enqueue(some(size, n)) for n in range(0, 60, size))
        rows = store.db.execute("SELECT event, due, state FROM deliveries WHERE id > 1").fetchall()
        store.close()
        assert queued == sum(row["state"] == "pending" for row in rows)
        return [tuple(row) for row in rows]

    one = run(7, 60)
    assert one == run(7, 1) == run(7, 20)
    assert one != run(8, 60)
    assert {state for _, _, state in one} == {"pending", "dropped"}
    assert any(due > clock.now() for _, due, _ in one)
    assert max(sum(event == other for other, _, _ in one) for event, _, _ in one) == 2


@pytest.mark.parametrize(
    ("chaos", "states"),
    [({"drop": 1}, ["dropped"]), ({"duplicate": 1}, ["pending", "pending"]), ({"reorder": 1}, ["pending"])],
)  # fmt: skip
def test_certain_chaos(queue, clock, chaos, states):
    """A share of one concerns every event, but never the probe."""
    queue.configure(URL, **chaos)
    verify(queue, clock)
    assert queue.enqueue(some(1)) == states.count("pending")
    assert [row["state"] for row in queue.log()[1:]] == states


def test_secrets_are_not_shown(queue):
    """Neither the settings nor the log tell a header's value or the URL's query."""
    queue.configure(URL + "?token=CANARY-1", headers={"X-Secret": "CANARY-2"})
    shown = queue.settings()
    assert shown["headers"] == {"X-Secret": "***"}
    assert shown["url"] == URL + "?***"
    assert "CANARY" not in json.dumps([shown, queue.log()])
    assert queue.webhook().headers == {"X-Secret": "CANARY-2"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://host/x"}, {"url": "/hook"}, {"url": "http://"}, {"url": 5}, {"url": "http://u:p@host/"},
        {"url": "http://host:99999/"}, {"url": "http://\ud800/"}, {"headers": ["a"]}, {"headers": {"a b": "x"}},
        {"headers": {"X": "a\r\nb"}}, {"headers": {"Host": "x"}}, {"headers": {"X": 1}}, {"drop": 1.5},
        {"drop": float("nan")}, {"duplicate": True}, {"reorder": "1"}, {"seed": 0.5}, {"give_up_after": 0},
        {"disable_after": 1 << 70}, {"variants": "snake_keys"}, {"variants": ["unknown"]}, {"variants": 3},
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(queue, wrong):
    """A setting that cannot be is answered 400, and nothing is changed."""
    with pytest.raises(Refusal) as refusal:
        queue.configure(**{"url": URL, **wrong})
    assert refusal.value.status == 400
    assert queue.settings() == {"url": None}


def test_variants_are_told(queue, clock):
    """Events go out in an observed form when the webhook is configured so."""
    queue.configure(URL, variants=["snake_keys"])
    verify(queue, clock)
    queue.enqueue([events.sync_complete(SYNC, "now", 3)])
    assert told(queue, clock)[0]["data"] == {"model": "files", "synced_at": "now", "num_records": 3}


def test_removal_ends_what_waits(queue, clock):
    """Without the webhook its queue is logged as dropped, and late outcomes change nothing."""
    queue.configure(URL)
    queue.enqueue(some(1))
    queue.remove()
    assert queue.settings() == {"url": None}
    assert [row["state"] for row in queue.log()] == ["dropped", "dropped"]
    queue.delivered(1, 200)
    queue.failed(2, 500, "it answered 500")
    assert [row["state"] for row in queue.log()] == ["dropped", "dropped"]


def test_a_late_answer_to_an_old_probe_verifies_nothing(queue, clock):
    """The probe of another URL does not count for the new one."""
    queue.configure(URL)
    (old,) = queue.due(clock.now(), 1)
    queue.configure(URL + "/new")
    queue.delivered(old["id"], 200)
    assert queue.settings()["verified"] is False


def test_the_log_is_bounded(store, clock):
    """Finished deliveries beyond the bound are forgotten, the oldest first; waiting ones never."""
    queue = Hooks(store, clock, kept=10)
    queue.configure(URL)
    verify(queue, clock)
    queue.enqueue(some(30))
    for row in queue.due(clock.now(), 25):
        queue.delivered(row["id"], 200)
    log = queue.log()
    assert len(log) == 15
    assert log[0]["event"] == some(1, 15)[0]
    assert queue.settings()["pending"] == 5


def test_the_log_is_paged(queue, clock):
    """The log is read from the end, or on from an id."""
    queue.configure(URL)
    queue.enqueue(some(5))
    assert [row["id"] for row in queue.log(2)] == [5, 6]
    assert [row["id"] for row in queue.log(2, after=2)] == [3, 4]
    assert queue.log(-1, after=1 << 80) == []
    assert queue.log(1)[0] == {
        "id": 6, "event": some(1, 4)[0], "kind": "record_updated", "sync": "s1", "attempts": 0,
        "created": "2023-11-14T22:13:20.000Z", "due": "2023-11-14T22:13:20.000Z", "state": "pending",
        "status": None, "error": None, "finished": None,
    }  # fmt: skip


def test_events_share_the_fate_of_a_transaction(store, queue, clock):
    """Events of a change that is undone are never told."""
    queue.configure(URL)
    with pytest.raises(ZeroDivisionError), store.transaction():
        queue.enqueue(some(2))
        raise ZeroDivisionError
    assert len(queue.log()) == 1


def test_due_uses_its_index(store, queue, clock):
    """What is due is found without reading the whole queue."""
    for probe in ("", " AND kind = 'webhook_verification'"):
        query = f"SELECT id FROM deliveries WHERE state = 'pending'{probe} AND due <= 1 ORDER BY due, id LIMIT 8"  # noqa: S608  # the test's own words
        (plan,) = store.db.execute("EXPLAIN QUERY PLAN " + query)
        assert "INDEX probes" in plan["detail"] if probe else "INDEX pending" in plan["detail"]
