from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paragon_async import WebhookError, webhooks
from paragon_async.emulator import events as emulated
from paragon_async.webhooks import events
from paragon_async.webhooks.events import (
    Event,
    RecordCreated,
    RecordDeleted,
    RecordErrored,
    RecordUpdated,
    SyncCompleted,
    SyncErrored,
    UnknownEvent,
    WebhookVerification,
    parse_event,
)

NOON = datetime(2025, 8, 12, 12, 0, tzinfo=UTC)
KINDS = (
    SyncCompleted, SyncErrored, RecordCreated, RecordUpdated, RecordDeleted, RecordErrored,
    WebhookVerification, UnknownEvent,
)  # fmt: skip
ENVELOPE = {"sync": "googledrive", "syncInstanceId": "s1", "user": {"id": "u1"}}
COMMON = {"integration": "googledrive", "sync_id": "s1", "user_id": "u1"}
RECORD = {"recordId": "r1", "model": "files"}
COMPLETED = {"model": "files", "syncedAt": "2025-08-12T12:00:00.000Z", "numRecords": 7}


def body(event, **more):
    return json.dumps({"event": event, **ENVELOPE, **more}).encode()


def read(event, **more):
    return parse_event(body(event, **more))


def fields(event):
    return {k: v for k, v in attrs.asdict(event, recurse=False).items() if k not in {"raw", "name"}}


def made(kind, **values):
    return fields(kind(**{**COMMON, **values}))


@pytest.mark.parametrize(
    ("name", "more", "kind", "values"),
    [
        ("sync_complete", {"data": COMPLETED}, SyncCompleted, {"model": "files", "synced_at": NOON, "records": 7}),
        ("sync_completed", {"data": COMPLETED}, SyncCompleted, {"model": "files", "synced_at": NOON, "records": 7}),
        ("syncComplete", {"data": {"model": "File", "synced_at": "2025-08-12T12:00:00", "num_records": 0}}, SyncCompleted, {"model": "files", "synced_at": NOON, "records": 0}),
        ("sync_complete", {"data": {"syncedAt": NOON.timestamp()}}, SyncCompleted, {"synced_at": NOON}),
        ("sync_complete", {"data": {"syncedAt": NOON.timestamp() * 1000}}, SyncCompleted, {"synced_at": NOON}),
        ("sync_complete", {}, SyncCompleted, {}),
        ("sync_errored", {"error": {"message": "no access"}}, SyncErrored, {"message": "no access"}),
        ("sync_errored", {"error": {"message": "m", "code": "E1"}}, SyncErrored, {"message": "m", "code": "E1"}),
        ("sync_errored", {"error": {"code": 403}}, SyncErrored, {"code": 403}),
        ("sync_errored", {"data": {"message": "m"}}, SyncErrored, {"message": "m"}),
        ("sync_errored", {}, SyncErrored, {}),
        ("record_created", {"data": RECORD}, RecordCreated, {"record_id": "r1", "model": "files"}),
        ("recordCreated", {"data": RECORD}, RecordCreated, {"record_id": "r1", "model": "files"}),
        ("RecordCreated", {"data": RECORD}, RecordCreated, {"record_id": "r1", "model": "files"}),
        ("record_updated", {"data": {"record_id": "r1", "model": "File"}}, RecordUpdated, {"record_id": "r1", "model": "files"}),
        ("recordUpdated", {"data": {"recordId": "r1", "model": "CustomObject"}}, RecordUpdated, {"record_id": "r1", "model": "custom_objects"}),
        ("record_updated", {"data": {"recordId": "r1"}}, RecordUpdated, {"record_id": "r1"}),
        ("record_updated", {"error": RECORD}, RecordUpdated, {"record_id": "r1", "model": "files"}),
        ("record_updated", {"data": RECORD, "error": {"recordId": "r2"}}, RecordUpdated, {"record_id": "r1", "model": "files"}),
        ("record_deleted", {"data": RECORD}, RecordDeleted, {"record_id": "r1", "model": "files"}),
        ("record_deleted", {"data": {"recordId": "r1", "model": "wikis"}}, RecordDeleted, {"record_id": "r1", "model": "wikis"}),
        ("record_errored", {"error": {"message": "m", **RECORD}}, RecordErrored, {"record_id": "r1", "model": "files", "message": "m"}),
        ("record_errored", {"error": {"message": "m", "code": "E"}, "data": RECORD}, RecordErrored, {"record_id": "r1", "model": "files", "message": "m", "code": "E"}),
        ("record_errored", {"error": {"record_id": "r1"}, "data": {"recordId": "r2"}}, RecordErrored, {"record_id": "r1"}),
        ("webhook_verification", {}, WebhookVerification, {}),
        ("webhookVerification", {}, WebhookVerification, {}),
        ("test", {"data": RECORD}, WebhookVerification, {}),
        ("ping", {}, WebhookVerification, {}),
        ("sync_paused", {"data": {"why": 5}}, UnknownEvent, {"name": "sync_paused"}),
    ],
)  # fmt: skip
def test_every_variant_that_was_seen(name, more, kind, values):
    """Each event is read in each spelling, with its data in each place, that was observed."""
    event = read(name, **more)
    assert type(event) is kind
    assert fields(event) == made(kind, **values)
    assert event.raw == json.loads(body(name, **more))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("sync_completed", "sync_complete"), ("recordCreated", "record_created"), ("ping", "webhook_verification"),
        ("record_deleted", "record_deleted"), ("recordArchived", "record_archived"), ("Wiki2Moved", "wiki2_moved"),
    ],
)  # fmt: skip
def test_the_name_is_canonical(given, name):
    """`name` is snake_case and one word per type, whichever spelling came; `raw` keeps that one."""
    event = read(given, data=RECORD)
    assert (event.name, event.raw["event"]) == (name, given)


@pytest.mark.parametrize("options", [[], *([o] for o in emulated.OPTIONS), [*emulated.OPTIONS]])
def test_what_the_emulator_sends(options):
    """Every event of the emulator, in every form it can be asked for, is read as what it is."""
    sync = {"id": "s1", "user": "u1", "integration": "box", "pipeline": "files", "credential": "c1"}
    told = {
        SyncCompleted: emulated.sync_complete(sync, "2025-08-12T12:00:00Z", 3),
        SyncErrored: emulated.sync_errored(sync, "m"),
        RecordCreated: emulated.record_created(sync, "r"),
        RecordUpdated: emulated.record_updated(sync, "r"),
        RecordDeleted: emulated.record_deleted(sync, "r"),
        RecordErrored: emulated.record_errored(sync, "r", "m"),
    }
    for kind, told_event in told.items():
        event = parse_event(json.dumps(emulated.varied(told_event, options)).encode())
        assert type(event) is kind
        sync_id = None if "no_sync_id" in options else "s1"
        assert (event.sync_id, event.user_id, event.credential_id) == (sync_id, "u1", "c1")
        assert getattr(event, "model", "files") == "files"
    probe = json.dumps(emulated.varied(emulated.verification(), options)).encode()
    assert type(parse_event(probe)) is WebhookVerification


@pytest.mark.parametrize(
    "probe",
    [
        b'{"event":"webhook_verification"}', b'{"event":"ping"}', b'{"event":"test","data":[]}', b"{}", b" {} \n",
        b'\xef\xbb\xbf{"event":"webhook_verification"}',
        b'{"event":"webhook_verification","syncInstanceId":5,"user":"u","credentialId":[],"sync":{},"data":1}',
        b'{"event":"webhook_verification","user":{"id":{}},"syncInstanceId":null}',
    ],
)  # fmt: skip
def test_a_probe_is_never_refused(probe):
    """A probe may lack everything and may hold nonsense: it stays a probe, without ids."""
    event = parse_event(probe)
    assert type(event) is WebhookVerification
    assert (event.sync_id, event.user_id, event.credential_id) == (None, None, None)


def test_an_envelope_with_little_in_it():
    """Old payloads name no sync; nothing of the envelope is needed, and an empty id is none."""
    bare = parse_event(b'{"event":"record_updated","data":{"recordId":"r"}}')
    assert fields(bare) == fields(RecordUpdated(record_id="r"))
    empty = parse_event(
        b'{"event":"record_updated","syncInstanceId":"","user":{},"data":{"recordId":"r"}}'
    )
    assert fields(empty) == fields(bare)


def test_the_rest_of_the_envelope():
    """Credential and time are read in both spellings, from what only newer services send."""
    new = read("sync_errored", credentialId="c", timestamp="2025-08-12T12:00:00Z")
    old = parse_event(
        b'{"event":"sync_errored","credential_id":"c","sync_instance_id":"s","timestamp":1755000000}'
    )
    assert (new.credential_id, new.timestamp) == ("c", NOON)
    assert (old.credential_id, old.timestamp, old.sync_id) == ("c", NOON, "s")


@pytest.mark.parametrize(
    ("more", "attribute"),
    [
        ({"sync": 5}, "integration"), ({"timestamp": "yesterday"}, "timestamp"), ({"timestamp": True}, "timestamp"),
        ({"timestamp": 10**400}, "timestamp"), ({"timestamp": []}, "timestamp"), ({"data": []}, "model"),
        ({"data": {"model": 5}}, "model"), ({"data": {"numRecords": "7"}}, "records"), ({"data": {"numRecords": True}}, "records"),
        ({"data": {"numRecords": -1}}, "records"), ({"data": {"numRecords": 7.0}}, "records"),
        ({"data": {"syncedAt": {}}}, "synced_at"), ({"data": {"syncedAt": 1e300}}, "synced_at"), ({"data": "files"}, "model"),
    ],
)  # fmt: skip
def test_odd_fields_are_left_in_raw(more, attribute):
    """A field of a wrong kind that is no id is None, and the event counts all the same."""
    event = read("sync_complete", **more)
    assert type(event) is SyncCompleted
    assert getattr(event, attribute) is None
    assert event.raw == json.loads(body("sync_complete", **more))


@pytest.mark.parametrize("error", ["no access", 5, [], {"message": 5, "code": 1.5}, {"code": True}])
def test_an_odd_error_is_left_in_raw(error):
    """An error of another shape than documented costs its message, not the event."""
    event = read("sync_errored", error=error)
    assert (event.message, event.code, event.raw["error"]) == (None, None, error)


def test_exact_integers():
    """An integer that no float can hold arrives as it was sent."""
    assert read("sync_complete", data={"numRecords": 2**64 + 1}).records == 2**64 + 1


@pytest.mark.parametrize(
    ("name", "more", "problem"),
    [
        ("record_updated", {}, "$.data.recordId: missing"),
        ("record_updated", {"data": {"recordId": None}}, "$.data.recordId: missing"),
        ("record_updated", {"data": {"recordId": ""}}, "$.data.recordId: missing"),
        ("record_created", {"data": {"recordId": 5}}, "$.data.recordId: a string is wanted, this is a number"),
        ("record_created", {"data": {"record_id": ["r"]}}, "$.data.recordId: a string is wanted, this is an array"),
        ("record_deleted", {"data": "r1"}, "$.data: an object is wanted, this is a string"),
        ("record_errored", {"error": {"recordId": True}}, "$.error.recordId: a string is wanted, this is a boolean"),
        ("record_errored", {"error": {"message": "m"}}, "$.error.recordId: missing"),
        ("record_errored", {"data": {"recordId": 1.5}}, "$.data.recordId: a string is wanted, this is a number"),
        ("record_updated", {"data": {"recordId": "r" * 1025}}, "$.data.recordId: too long for an id: 1025 characters"),
        ("sync_complete", {"syncInstanceId": {}}, "$.syncInstanceId: a string is wanted, this is an object"),
        ("sync_errored", {"credentialId": 5}, "$.credentialId: a string is wanted, this is a number"),
        ("sync_errored", {"user": {"id": 5}}, "$.user.id: a string is wanted, this is a number"),
        ("sync_errored", {"user": "u1"}, "$.user: an object is wanted, this is a string"),
    ],
)  # fmt: skip
def test_ids_are_what_a_caller_acts_on(name, more, problem):
    """A known event without its record's id, or with an id of a wrong kind, is refused by name."""
    with pytest.raises(WebhookError) as caught:
        read(name, **more)
    assert str(caught.value) == problem


def test_an_unknown_type_may_look_different():
    """Of a type from the future only the name must be text; what is odd is None and in `raw`."""
    event = read("wiki_moved", syncInstanceId=5, user="u1", data=[1])
    assert (type(event), event.sync_id, event.user_id) == (UnknownEvent, None, None)
    assert event.raw["syncInstanceId"] == 5


@pytest.mark.parametrize(
    ("nonsense", "problem"),
    [
        (b"", "the body is empty"), (b" \r\n\t", "the body is empty"),
        (b"[]", "$: an object is wanted, this is an array"), (b"null", "$: an object is wanted, this is null"),
        (b'"record_updated"', "$: an object is wanted, this is a string"), (b"5", "$: an object is wanted, this is a number"),
        (b'{"data":{"recordId":"r"}}', "$.event: missing"), (b'{"event":null,"a":1}', "$.event: missing"),
        (b'{"event":5}', "$.event: a string is wanted, this is a number"),
        (b'{"event":["ping"]}', "$.event: a string is wanted, this is an array"),
        (b'{"event":""}', "$.event: no name of an event: ''"), (b'{"event":" "}', "$.event: no name of an event: ' '"),
        (b'{"event":"' + b"e" * 201 + b'"}', "$.event: no name of an event: '" + "e" * 100 + "'"),
        (b"event=record_updated", "the body is not JSON (JSON is malformed: invalid character (byte 0)); it begins with 'event=record_updated'"),
    ],
)  # fmt: skip
def test_what_is_no_event(nonsense, problem):
    """A body that is no event is refused, and the error says what is wrong with it."""
    with pytest.raises(WebhookError) as caught:
        parse_event(nonsense)
    assert str(caught.value) == problem


GOOD = body("record_updated", data=RECORD)


@pytest.mark.parametrize(
    "broken",
    [
        GOOD[:-1], GOOD + b"}", GOOD + b"{}", GOOD.replace(b'"r1"', b"NaN"), GOOD.replace(b'"r1"', b"Infinity"),
        GOOD.replace(b'"r1"', b"1e999"), GOOD.replace(b'"r1"', b"9" * 5000), GOOD.replace(b'"r1"', b"-" + b"9" * 60_000),
        GOOD.replace(b"r1", b"\\ud83d"), GOOD.replace(b"r1", b"\\ude00 "), GOOD.replace(b"r1", b"\xed\xa0\x80"),
        GOOD.replace(b"r1", b"\xff"), GOOD.replace(b"r1", b"\xc0\xaf"), GOOD.replace(b"r1", b"\x00"), GOOD.replace(b'"r1"', b"'r1'"),
        GOOD.replace(b'"r1"', b"r1"), GOOD.decode().encode("utf-16"), GOOD.decode().encode("utf-16-le"), b"\x1f\x8b\x08" + bytes(50),
        GOOD.replace(b"}", b",}"), b"// comment\n" + GOOD, b"\xef\xbb\xbf\xef\xbb\xbf" + GOOD,
    ],
)  # fmt: skip
def test_json_is_read_strictly(broken):
    """Cut, doubled, of another encoding, with NaN, endless numbers or half characters: no JSON."""
    with pytest.raises(WebhookError, match="the body is not JSON"):
        parse_event(broken)


def test_the_last_of_two_keys_counts():
    """A key that comes twice means what it says last: there is one reading of a body."""
    doubled = b'{"event":"record_deleted","event":"ping","user":5,"user":{"id":"u","id":"v"}}'
    event = parse_event(doubled)
    assert (type(event), event.user_id) == (WebhookVerification, "v")


def test_the_size_is_bounded():
    """A body of the limit is read, one byte more is refused, and so are ten megabytes."""
    padding = 65_536 - len(GOOD)
    assert type(parse_event(GOOD + b" " * padding)) is RecordUpdated
    for extra in (padding + 1, 10_000_000):
        with pytest.raises(WebhookError, match=r"more than the 65536 that are read"):
            parse_event(GOOD + b" " * extra)
    with pytest.raises(WebhookError, match="more than the 10 that are read"):
        parse_event(GOOD, limit=10)
    assert type(parse_event(GOOD + b" " * 10_000_000, limit=20_000_000)) is RecordUpdated


def nested(levels, opening=b"[", closing=b"]"):
    """Return an event of so many levels; its own object is the first."""
    return b'{"event":"ping","a":' + opening * (levels - 1) + b"1" + closing * (levels - 1) + b"}"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_the_depth_is_bounded(opening, closing):
    """Thirty-two levels are read, one more is refused, and a hundred thousand hurt nobody."""
    assert type(parse_event(nested(32, opening, closing))) is WebhookVerification
    for levels in (33, 1_000, 100_000):
        with pytest.raises(WebhookError, match="nested more than 32 levels deep"):
            parse_event(nested(levels, opening, closing), limit=1_000_000)
    with pytest.raises(WebhookError, match="nested"):
        parse_event(nested(4, opening, closing), depth=3)


def test_a_caller_may_ask_for_too_much_depth():
    """A depth that no decoder survives is still an error of ours."""
    with pytest.raises(WebhookError, match="nested too deeply"):
        parse_event(nested(100_000), limit=1_000_000, depth=1_000_000)


def test_only_brackets_that_nest_count():
    """Brackets in strings, behind escaped quotes, and beside one another make nothing deeper."""
    for filling in ('"' + "[{" * 500 + '"', '"\\"' + "[" * 99 + '\\\\"', str([[]] * 500)):
        event = parse_event(b'{"event":"ping","a":' + filling.encode() + b"}")
        assert type(event) is WebhookVerification
    with pytest.raises(WebhookError, match="nested"):
        parse_event(b'{"event":"ping","a":["\\\\",' + nested(32) + b"]}")


@pytest.mark.parametrize("piece", [b'\\"', b'"', b"\\", b'"["', b"]", b"\\\\", b"["])
def test_no_body_makes_the_scan_turn_back(piece):
    """Megabytes of quotes and backslashes without an end are scanned once, not once per quote."""
    hard = b'{"a":"' + piece * 1_000_000 + b"[" * 40
    with pytest.raises(WebhookError):
        parse_event(hard, limit=10_000_000)


def test_an_error_quotes_little():
    """However long or strange a body is, its error holds at most 100 printable ASCII characters."""
    for strange in ("\x1b[31m\u202e" * 50, "é😀" * 90, "\n" * 500, "'" * 500, "\\" * 500):
        for refused in (
            strange.encode() + b"!",
            json.dumps({"event": " " * 200 + strange}).encode(),
        ):
            with pytest.raises(WebhookError) as caught:
                parse_event(b"!" + refused if refused[:1] != b"{" else refused)
            assert held(str(caught.value))


def held(message):
    """Tell whether a message is one short line, with a short quotation at its end."""
    quoted = message.partition("'")[2] if "begins with '" in message or "no name" in message else ""
    if "begins with '" in message:
        quoted = message.partition("begins with '")[2]
    return message.isascii() and message.isprintable() and len(quoted) <= 101 and len(message) < 300


def test_events_are_values():
    """Events compare, hash, travel through pickle, refuse assignment, and hide the body in repr."""
    event = read("record_updated", data={**RECORD, "token": "canary"})
    again = pickle.loads(pickle.dumps(event))
    assert event == again and hash(event) == hash(again) and event.raw == again.raw
    assert event != attrs.evolve(event, raw={}) and event != attrs.evolve(event, record_id="r2")
    assert "canary" not in repr(event) and "r1" in repr(event)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.record_id = "r2"
    with pytest.raises(AttributeError):
        object.__setattr__(event, "other", 1)
    assert all(issubclass(kind, Event) for kind in KINDS)


def test_an_unknown_event_can_be_made():
    """Tests of an application can build every event by hand, with nothing but its ids."""
    assert UnknownEvent(name="wiki_moved").name == "wiki_moved"
    assert RecordDeleted(record_id="r").name == "record_deleted"


# ---- generated bodies ----

TEXT = st.text(max_size=12) | st.sampled_from(
    ["", "r1", "files", "File", "2025-08-12", "\x00", "\x1b[0m", "x" * 1025]
)
ODD = st.sampled_from(
    [2**63, 2**64, 10**300, -(10**400), 1e308, float("nan"), float("inf"), 5e-324]
)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | ODD
KEY = TEXT | st.sampled_from(
    ["event", "sync", "syncInstanceId", "user", "id", "data", "error", "recordId", "record_id", "model",
     "message", "code", "syncedAt", "synced_at", "numRecords", "credentialId", "timestamp"]
)  # fmt: skip
JSON = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=12,
)
NAMES = [
    "sync_complete", "sync_completed", "sync_errored", "record_created", "recordCreated", "record_updated",
    "record_deleted", "record_errored", "webhook_verification", "test", "ping", "wiki_moved",
]  # fmt: skip
VALID = [
    {
        "event": name,
        **ENVELOPE,
        "data": {**COMPLETED, **RECORD},
        "error": {"message": "m", **RECORD},
    }
    for name in NAMES
]


@st.composite
def changed(draw):
    """Draw a valid event in which some fields, at any depth, are gone, odd, or of another name."""
    event = json.loads(json.dumps(draw(st.sampled_from(VALID))))
    for _ in range(draw(st.integers(0, 4))):
        place = event
        while isinstance(place, dict) and place:
            key = draw(st.sampled_from(sorted(place)))
            if isinstance(place[key], dict) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            old = place.pop(key)
            if draw(st.booleans()):
                place[draw(st.just(key) | KEY)] = draw(JSON | st.just(old))
            break
    return event


@st.composite
def mutilated(draw, source):
    """Draw the bytes of an event, cut, doubled, or with some of them replaced."""
    made = bytearray(draw(source))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(made)))
        end = draw(st.integers(start, min(len(made), start + 9)))
        filling = draw(
            st.binary(max_size=4)
            | st.sampled_from([b'"', b"\\", b"[" * 40, b"{", b"}", b"\\ud800", b"\xed\xa0\x80", b"NaN", b"e", b"9" * 400])
        )  # fmt: skip
        made[start:end] = filling if draw(st.booleans()) else made[start:end] * 2
    return bytes(made)


def encoded(strategy):
    """Return JSON as this or that program writes it, with what JSON does not allow left in."""
    return st.builds(
        lambda value, plain: json.dumps(value, ensure_ascii=plain).encode(errors="surrogatepass"),
        strategy,
        st.booleans(),
    )


BODIES = (
    encoded(changed())
    | mutilated(encoded(changed()))
    | encoded(JSON)
    | mutilated(encoded(JSON))
    | st.binary(max_size=80)
)


def judge(generated):
    """Parse one body, hold what comes out to all that is promised of it, and return its type."""
    try:
        event = parse_event(generated)
    except WebhookError as error:
        assert held(str(error))
        return WebhookError
    assert type(event) in KINDS
    assert 0 < len(event.name) <= 400
    ids = [event.sync_id, event.user_id, event.credential_id]
    if type(event) in {RecordCreated, RecordUpdated, RecordDeleted, RecordErrored}:
        assert event.record_id is not None
        ids.append(event.record_id)
    assert all(found is None or (type(found) is str and 0 < len(found) <= 1024) for found in ids)
    for found in fields(event).values():
        assert found is None or type(found) in {str, int, datetime}
        if type(found) is str:
            found.encode()
    hash(event), repr(event)
    assert type(event.raw) is dict
    assert parse_event(generated) == event == pickle.loads(pickle.dumps(event))
    return type(event)


def judge_many(count):
    seen = Counter()

    @settings(
        max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(BODIES)
    def one(generated):
        seen[judge(generated)] += 1

    one()
    return seen


def test_an_event_or_an_error():
    """Whatever is sent, it is an event or a WebhookError; and the bodies reach every one of these."""
    assert set(judge_many(1_000)) == {WebhookError, *KINDS}


@pytest.mark.proof
@pytest.mark.timeout(600)
def test_an_event_or_an_error_twenty_thousand_times():
    """Twenty thousand bodies: an event or a WebhookError, nothing else."""
    seen = judge_many(20_000)
    assert set(seen) == {WebhookError, *KINDS}
    assert seen.total() >= 20_000


def test_the_names_that_events_exports():
    """`events` hands on every type of event beside the function that makes them."""
    assert {getattr(events, name) for name in events.__all__} == {Event, parse_event, *KINDS}


@pytest.mark.parametrize(
    "first",
    [
        "import paragon_async.webhooks.receiver", "from paragon_async.webhooks import receiver", "pass",
        "from paragon_async.webhooks.receiver import receiver", "from paragon_async.webhooks import Inbox, asgi_receiver",
    ],
)  # fmt: skip
def test_the_room_and_its_names(first):
    """`receiver` is the function, whatever was imported before it; what serves is imported late."""
    program = f"""
import sys
import paragon_async.webhooks as room
late = {{"receiver", "asgi", "inbox"}}
assert not any("paragon_async.webhooks." + name in sys.modules for name in late)
{first}
from paragon_async.webhooks import receiver, receiver as again
assert callable(receiver) and receiver is again is room.receiver
assert all(getattr(room, name) for name in room.__all__)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_name_that_is_not_there():
    """A name that the room does not have is missing as everywhere."""
    with pytest.raises(AttributeError, match="no attribute 'Outbox'"):
        webhooks.Outbox  # noqa: B018  # asking is what is tested


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_every_kind(kind):
    """A body may be bytes, a bytearray or a memoryview."""
    assert parse_event(kind(b'{"event": "x"}')) == UnknownEvent(name="x", raw={"event": "x"})


@pytest.mark.parametrize("body", ['{"event": "x"}', None, 5, [1], {"event": "x"}], ids=repr)
def test_no_bytes(body):
    """What is no bytes is a WebhookError that names its type."""
    with pytest.raises(WebhookError, match=f"not {type(body).__name__}$"):
        parse_event(body)


@pytest.mark.parametrize("digits", [19, 20, 40, 400, 4000])
def test_large_numbers_elsewhere(digits):
    """An integer beyond 64 bits in a field that nobody acts on makes no event a broken one."""
    number = "9" * digits
    body = (
        f'{{"event": "record_updated", "data": {{"recordId": "r", "n": {number}}}, "m": -{number}}}'
    )
    found = parse_event(body.encode())
    assert (found.record_id, found.raw["m"]) == ("r", -int(number))
