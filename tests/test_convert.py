from __future__ import annotations

import gc
import json
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from enum import IntEnum
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragon_async import Contact, Deal, File, Record, SyncStatus, Ticket
from paragon_async.api.drafts import Drafted, Unread, decode, parser
from paragon_async.api.shapes import envelope
from paragon_async.convert import (
    converter,
    dump,
    either,
    hooks,
    kind_of,
    moment,
    parse,
    shape,
    structure,
    undisturbed,
)
from paragon_async.convert.scalars import Mismatch
from paragon_async.errors import DecodeError, NotJsonError


@attrs.define
class Inner:
    deep_value: int | None = None


@attrs.define
class Thing:
    id: str
    some_name: str | None = None
    count: int | None = None
    ratio: float | None = None
    flag: bool = False
    at: datetime | None = None
    day: date | None = None
    tags: list[str] = attrs.field(factory=list)
    inner: Inner | None = None
    inners: list[Inner] = attrs.field(factory=list)
    anything: Any = None
    table: dict[str, Any] = attrs.field(factory=dict)
    extra: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Defaults:
    id: str = "none"
    count: int = 5
    rows: Any = attrs.field(factory=set)
    _hidden: str = "h"


def test_both_spellings():
    """A key is found in camelCase and in snake_case."""
    assert structure({"id": "1", "someName": "a"}, Thing).some_name == "a"
    assert structure({"id": "1", "some_name": "a"}, Thing).some_name == "a"


def test_unknown_kept():
    """What the model does not know is kept in extra, and dropped by a model without it."""
    assert structure({"id": "1", "new": [1]}, Thing).extra == {"new": [1]}
    assert structure({"deepValue": 2, "x": 1}, Inner) == Inner(2)


def test_null_is_missing():
    """A null leaves the default, whatever the field is."""
    made = structure({"id": "1", "count": None, "tags": None, "flag": None}, Thing)
    assert (made.count, made.tags, made.flag) == (None, [], False)


BAD = [
    ({"id": 5}, "$.id", "a string is wanted, this is a number"),
    ({"id": None}, "$.id", "missing"),
    ({}, "$.id", "missing"),
    ({"id": "1", "count": "5"}, "$.count", "an integer is wanted, this is a string"),
    ({"id": "1", "count": 5.5}, "$.count", "an integer is wanted, this is a number"),
    ({"id": "1", "count": True}, "$.count", "an integer is wanted, this is a boolean"),
    ({"id": "1", "flag": "false"}, "$.flag", "a boolean is wanted, this is a string"),
    ({"id": "1", "ratio": "1"}, "$.ratio", "a number is wanted, this is a string"),
    ({"id": "1", "tags": "abc"}, "$.tags", "an array is wanted, this is a string"),
    ({"id": "1", "tags": ["a", 1]}, "$.tags[1]", "a string is wanted, this is a number"),
    ({"id": "1", "table": []}, "$.table", "an object is wanted, this is an array"),
    ({"id": "1", "at": "yesterday"}, "$.at", "not a date"),
    ({"id": "1", "ratio": 10**400}, "$.ratio", "too large a number"),
    ({"id": "1", "at": "2025-07-07T25:00:00.0000000Z"}, "$.at", "not a date"),
    ({"id": "1", "at": []}, "$.at", "a date is wanted, this is an array"),
    ({"id": "1", "at": 1e300}, "$.at", "not a date"),
    (
        {"id": "1", "inner": {"deepValue": "x"}},
        "$.inner.deepValue",
        "an integer is wanted, this is a string",
    ),
    (
        {"id": "1", "inners": [{}, {"deepValue": []}]},
        "$.inners[1].deepValue",
        "an integer is wanted, this is an array",
    ),
    ("text", "$", "an object is wanted, this is a string"),
]


@pytest.mark.parametrize(("value", "place", "problem"), BAD)
def test_place_of_a_mismatch(value, place, problem):
    """A scalar is never coerced: the error names the place and both kinds, not the value."""
    with pytest.raises(DecodeError) as caught:
        structure(value, Thing)
    assert (caught.value.place, caught.value.problem) == (place, problem)


NOON = datetime(2025, 7, 7, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2025-07-07T12:00:00.000Z",
        "2025-07-07T12:00:00",
        "2025-07-07T14:00:00+02:00",
        "2025-07-07T12:00:00.000+0000",
        1751889600,
        1751889600.0,
        1751889600000,
        "2025-07-07T11:59:59.9999995Z",
        "2025-07-07t12:00:00z",
        "2025-07-07T12:00:00.000000+00:00",
        "20250707T120000.000000000000000Z",
    ],
)
def test_dates(value):
    """A moment comes from ISO with and without zone, from seconds and from milliseconds, rounded."""
    for read in (moment(value), structure({"id": "1", "at": value}, Thing).at):
        assert read == NOON
        assert read.tzinfo is not None


def test_days():
    """A day comes from a date and from a moment."""
    assert structure({"id": "1", "day": "2025-07-07"}, Thing).day == date(2025, 7, 7)
    assert structure({"id": "1", "day": "2025-07-07T12:00:00Z"}, Thing).day == date(2025, 7, 7)


def test_floats_take_integers():
    """An amount without a fraction is still a number."""
    assert structure({"id": "1", "ratio": 3}, Thing).ratio == 3.0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1] x",
        b"[NaN]",
        b"[1e999]",
        b'["\xff"]',
        b"<html>",
        b'["\\ud800"]',
        b"[" * 99_999,
    ],
)
def test_not_json(body):
    """What is not strict JSON is one error, which may pass by itself."""
    with pytest.raises(NotJsonError) as caught:
        parse(body)
    assert caught.value.retryable


def test_exact_integers_and_byte_order_mark():
    """Large integers stay exact, and a byte order mark is allowed."""
    assert parse(b"\xef\xbb\xbf[123456789012345678901234567890]") == [
        123456789012345678901234567890
    ]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=3), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_round_trip(value):
    """What is sent is what is read."""
    assert parse(dump(value)) == value


@given(
    JSON
    | st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("id", "count", "at", "tags", "inner", "inners", "day", "ratio"), JSON
        ),
    )
)
def test_any_json_structures_or_decode_error(value):
    """Whatever JSON comes, there is a value or a DecodeError, nothing else."""
    try:
        made = structure(value, Thing)
    except DecodeError as error:
        assert error.place.startswith("$")
    else:
        assert isinstance(made, Thing)


def test_helpers():
    """Kinds have names people use, and the current spelling wins over the older."""
    assert [kind_of(v) for v in (None, True, 1, 1.5, "", [], {}, object())][:7] == [
        "null", "a boolean", "a number", "a number", "a string", "an array", "an object",
    ]  # fmt: skip
    assert kind_of(object()) == "object"
    assert either({"aB": 1, "a_b": 2}, "aB", "a_b") == 1
    assert either({"aB": None, "a_b": 2}, "aB", "a_b") == 2


# The fast way against the obvious one.
PLAIN, _ = hooks.make(quick=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
ZONED = r"20[12]\d-[01]\d-[0-3]\d[Tt ][0-2]\d:[0-6]\d:[0-6]\d([.,]\d{1,9})?([Zz]|[+-]\d\d:?\d\d)?"
NUMBER = st.integers(-(10**13), 10**13) | st.floats(allow_nan=False, allow_infinity=False)
DATE = st.datetimes().map(datetime.isoformat) | st.from_regex(ZONED, fullmatch=True) | NUMBER
COUNT = st.integers()


def objects(**kinds):
    """Objects of right values under any spelling, nulls, and at most one key or value that is odd."""
    right = st.fixed_dictionaries(
        {}, optional={key: kind | st.none() for key, kind in kinds.items()}
    )
    odd = st.dictionaries(
        st.sampled_from([*kinds, "new", "extra", "é", "a-b"]), JSON | DATE, max_size=1
    )
    return st.builds(lambda one, other: one | other, right, odd)


def some(kind):
    return st.lists(kind, max_size=2)


HASH = objects(type=TEXT, value=TEXT, checksum=TEXT)
CASES = {
    File: objects(id=TEXT, externalId=TEXT, name=TEXT, file_name=TEXT, size=COUNT, createdAt=DATE, updated_at=DATE,
                  hash=HASH, parentId=TEXT, customFields=st.just({"a": 1}), deleted=st.booleans()),
    Contact: objects(id=TEXT, emails=some(st.just({"email": "e"})), tags=some(TEXT), lastActivityAt=DATE),
    Deal: objects(id=TEXT, amount=NUMBER, closeDate=DATE),
    Ticket: objects(id=TEXT, status=st.just({}), assignees=some(st.just({}))),
    SyncStatus: objects(status=TEXT, summary=objects(totalRecords=COUNT, lastSyncedAt=DATE)),
    Thing: objects(id=TEXT, someName=TEXT, some_name=TEXT, ratio=COUNT, at=DATE, day=DATE, table=st.just({}),
                   inner=objects(deepValue=COUNT), inners=some(objects(deep_value=COUNT)), anything=JSON),
    Defaults: objects(id=TEXT, count=COUNT, rows=JSON, _hidden=TEXT),
}  # fmt: skip


def awake(model):
    """Let the fast way rest no longer, where cases before this one made it rest."""
    made = shape(model)
    for trial in (made.one, made.many, made.page) if made else ():
        while not trial.is_due():
            pass


def outcome(build):
    """Tell what came of it, so that types and zones count too, or what was wrong and where."""
    try:
        made = build()
    except Mismatch as mismatch:
        return mismatch.place, mismatch.problem
    except DecodeError as error:
        return error.place.removeprefix("$.data"), error.problem
    return repr(made), [getattr(one, "extra", None) for one in made], made


@pytest.mark.parametrize("model", CASES, ids=lambda model: model.__name__)
@given(data=st.data())
def test_the_fast_way_is_the_obvious_way(model, data):
    """Generated code gives what the obvious hooks give, whatever comes: equal values, equal errors."""
    items = data.draw(some(CASES[model] | JSON))
    awake(model)
    for value, kind in [(items, list[model]), *((item, model) for item in items)]:
        quick, plain = (
            outcome(lambda on=on, v=value, k=kind: [on.structure(v, k)])
            for on in (converter(), PLAIN)
        )
        assert quick == plain


@pytest.mark.parametrize("model", CASES, ids=lambda model: model.__name__)
@given(data=st.data())
def test_from_bytes_is_from_json(model, data):
    """A page decoded straight into drafts gives what it gives by way of its JSON."""
    items = data.draw(some(CASES[model]))
    paging = data.draw(st.none() | st.just({"cursor": "c", "remainingRecords": 1}))
    body = dump({"data": items, "paging": paging})
    awake(model)
    page, plain = envelope(decode(body, model)), envelope(parse(body))
    for fact in ("cursor", "remaining", "total", "is_empty"):
        assert getattr(page, fact) == getattr(plain, fact)
    quick = outcome(lambda: page.records(model))
    assert quick == outcome(lambda: PLAIN.structure(items, list[model]))


def told(parses, body):
    """Tell what a page says of itself, and its records, or what is wrong with it."""
    try:
        page = envelope(parses(body))
        facts = (page.cursor, page.remaining, page.total, page.is_empty)
        return facts, [*page.records(File)]
    except DecodeError as error:
        return type(error), error.place, error.problem


LARGE = "x" * 70_000


@given(some(TEXT), st.none() | objects(cursor=TEXT, remainingRecords=COUNT, paging=JSON))
def test_the_paging_first(names, paging):
    """What is read first of a large page is what the whole page says, whatever its records hold."""
    odd = {"paging": paging, 'a,"paging":': LARGE, "b": ',"paging":{}}'}
    rows = [{"id": "1", "name": name, **odd} for name in names]
    for page in ({"data": rows, "paging": paging}, {"data": rows, "paging": {}, "more": odd}):
        assert told(parser(File), dump(page)) == told(parse, dump(page))


@given(st.binary(min_size=1, max_size=2), st.integers(0, 300), st.booleans())
def test_a_large_page_that_is_spoilt(noise, place, is_late):
    """A page that is no JSON somewhere is refused in the same words, now or with its records."""
    row = {"id": "1", "name": "n", "size": 5}
    body = dump({"data": [row, {"id": LARGE}, row], "paging": {"cursor": "c"}})
    at = len(body) - place % 100 if is_late else place
    sent = body[:at] + noise + body[at:]
    assert told(parser(File), sent) == told(parse, sent)


def test_a_large_page_waits_with_its_records():
    """Of a large page the paging is read at once, the records when they are wanted."""
    rows = [ROW | {"name": LARGE}]
    body = dump({"data": rows, "paging": {"cursor": "c", "remainingRecords": 3}})
    for model in (File, Record):
        assert isinstance(parser(model)(body), Unread)
        page = envelope(parser(model)(body))
        assert (page.cursor, page.remaining, page.is_empty) == ("c", 3, False)
        assert [record.id for record in page.records(model)] == ["1"]
    assert not isinstance(parser(File)(dump({"data": [], "paging": {"cursor": LARGE}})), Unread)


ROW = {
    "id": "1",
    "externalId": "e",
    "size": 5,
    "createdAt": "2025-07-07T12:00:00Z",
    "hash": {"type": "MD5"},
}


def page_of(*rows, **more):
    return dump({"data": rows, **more})


def test_what_is_in_order_takes_the_fast_way():
    """A page in order is decoded into drafts, and objects come of it that cannot be told from others."""
    awake(File)
    page = parser(File)(page_of(ROW, ROW, paging=None))
    assert isinstance(page, Drafted)
    (made, _) = page.records()
    assert made == PLAIN.structure(ROW, File) == shape(File).build(ROW)
    assert type(made) is File
    with pytest.raises(attrs.exceptions.FrozenAttributeError):
        made.name = "x"
    made.extra["mine"] = 1
    assert page.records()[1].extra == {}


def test_keys_in_another_way_of_writing_and_twice():
    """JSON may write a key with escapes, or twice, when the last one counts; both ways agree."""
    for row in (b'{"\\u0069d":"1"}', b'{"id":5,"id":"1"}', b'{"id":"1","name":"a","name":null}'):
        body = b'{"data":[' + row + b"]}"
        (made,) = envelope(parser(File)(body)).records(File)
        assert made == File(id="1")


@pytest.mark.parametrize(
    "body",
    [
        page_of(ROW, meta={}),
        b"\xef\xbb\xbf" + page_of(ROW),
        page_of(ROW | {"name": "a", "fileName": "b"}),
        page_of(ROW | {"createdAt": "2025-07-07"}),
    ],
)
def test_what_is_good_and_unusual_takes_the_obvious_way(body):
    """What drafts do not take is read as plain JSON, and nothing is lost."""
    rows = json.loads(body.decode("utf-8-sig"))["data"]
    page = envelope(parser(File)(body))
    assert page.records(File) == PLAIN.structure(rows, list[File])


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", page_of()[:-1] + b" x", b'{"data":[{"id":"\\ud800"}]}']
)
def test_bodies_that_are_no_page(body):
    """The bytes of something else are refused as they are where there is no fast way."""

    def of(parses):
        try:
            return envelope(parses(body))
        except DecodeError as error:
            return type(error), error.place, error.problem

    assert of(parser(File)) == of(parse)


@attrs.define
class Learner:
    id: str
    other_name: str | None = None
    extra: dict[str, Any] = attrs.field(factory=dict)


def test_new_keys_are_learned():
    """A key that is new costs one slow record; after it the fast way takes it, null or not."""
    for value in ({"id": "1", "added": 1}, {"id": "1", "other_name": "a"}):
        with pytest.raises(Exception, match="unknown field"):
            shape(Learner).build(value)
        slow = structure(value, Learner)
        assert shape(Learner).build(value) == slow
    assert shape(Learner).build({"id": "1", "added": None}).extra == {"added": None}
    assert shape(Learner).build({"id": "1", "otherName": None, "other_name": "a"}).other_name == "a"
    assert shape(Learner).build({"id": "1"}).extra == {}


@attrs.define
class Hoarder:
    id: str


def test_learning_has_a_bound():
    """Keys without end, without measure or without a name are read all the same, and not remembered."""
    for key in ("x" * 100, "a\nb", 'a"b', "a\\b", "\ud800", *(f"key{n}" for n in range(100))):
        assert structure([{"id": "1", key: 1}], list[Hoarder]) == [Hoarder("1")]
        awake(Hoarder)
    assert len(shape(Hoarder).keys) == 17
    assert "key15" in shape(Hoarder).keys


@attrs.define
class Odd:
    id: str
    extra: dict[str, Any] = attrs.field(factory=dict)


def test_odd_keys_are_learned():
    """Any key that can be printed is learned, whether or not Python could call something by it."""
    odd = {"x-y": 1, "@odata.etag": 2, "": 3, "a b": 4, "é": 5, "😀": 6, "class": 7, "{v}": 8}
    assert structure([{"id": "1"} | odd], list[Odd]) == [Odd("1", odd)]
    page = parser(Odd)(page_of({"id": "1"} | odd))
    assert isinstance(page, Drafted)
    assert page.records() == [Odd("1", odd)]


@attrs.define
class Stubborn:
    id: str


def test_what_never_fits_is_tried_seldom():
    """Pages that never fit are soon read the obvious way only, and tried again after a rest."""
    rows = [{"id": "1", "a\nb": n} for n in range(3)]
    for _ in range(3):
        assert envelope(decode(page_of(*rows), Stubborn)).records(Stubborn) == [Stubborn("1")] * 3
        assert structure(rows[0], Stubborn) == Stubborn("1")
    made = shape(Stubborn)
    rests = [[trial.is_due() for _ in range(20)] for trial in (made.page, made.many, made.one)]
    assert rests == [[False] * 8 + [True] * 12] * 3
    for _ in range(200):
        assert not isinstance(decode(page_of(*rows), Stubborn), Drafted)
    assert [made.page.is_due() for _ in range(65)].count(False) <= 64
    page = decode(page_of({"id": "1"}), Stubborn)
    assert isinstance(page, Drafted)
    page.records()
    made.page.failed()
    assert made.page.is_due()


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        OrderedDict(id="1"),
        MappingProxyType({"id": "1"}),
        {"id": Text("1")},
        {"id": "1", "count": IntEnum("Some", "one")(1)},
        {"id": "1", "at": datetime(2025, 7, 7, tzinfo=UTC)},
        {"id": "1", "inner": OrderedDict(deepValue=1)},
        {"id": "1", "inner": {"deepValue": IntEnum("Some", "one")(1)}},
        {"id": "1", "inners": (Inner(),)},
        {"id": "1", 5: 1},
        {"id": "1", Text("new"): 1},
        {"id": "1", "table": {"a": {5: OrderedDict()}}},
    ],
    ids=repr,
)
def test_values_of_python(value):
    """What is near to JSON and did not come from it is taken or refused as in the obvious way."""
    for given_, kind in ((value, Thing), ([value, value], list[Thing])):
        awake(Thing)
        quick, plain = (
            outcome(lambda on=on, v=given_, k=kind: [on.structure(v, k)])
            for on in (converter(), PLAIN)
        )
        assert quick == plain


def _long(_, __, value):
    if len(value) < 2:
        raise ValueError("too short")


@attrs.frozen
class Own:
    """A user's class with everything that a generated constructor could forget."""

    _hidden: str = attrs.field(validator=_long)
    upper: str = attrs.field(default="a", converter=str.upper)
    made: int = attrs.field(init=False, default=3)
    rows: set[int] = attrs.field(factory=set)
    seen: list[str] = attrs.field(factory=list)

    def __attrs_post_init__(self):
        self.seen.append("yes")


def test_classes_of_others_are_called():
    """A class that does more than store has its `__init__` called: converters, validators, what follows."""
    value = {"_hidden": "long"}
    assert shape(Own) is None
    assert structure(value, Own) == PLAIN.structure(value, Own) == Own("long")
    assert structure(value, Own).upper == "A"
    with pytest.raises(ValueError, match="too short"):
        structure({"_hidden": "x"}, Own)


RUN = []


@attrs.define
class Counted:
    id: str

    def __attrs_post_init__(self):
        RUN.append(self.id)


@attrs.define
class Around:
    id: str
    name: str | None = None
    inner: Counted | None = None
    inners: list[Counted] = attrs.field(factory=list)
    at: datetime | None = None


@attrs.define
class ByFactory:
    id: str
    at: datetime | None = None
    number: int = attrs.field(factory=lambda: RUN.append("made") or 5)


class Maker:
    __hash__ = None

    def __call__(self):
        return 7


@attrs.define
class Unhashable:
    id: str
    number: int = attrs.field(factory=Maker())


class Subclass(Inner):
    def __init__(self, deep_value):
        RUN.append("init")
        super().__init__(deep_value)


@attrs.define
class Setter:
    id: str

    def __setattr__(self, name, value):
        RUN.append(name)
        super().__setattr__(name, value)


def test_code_of_users_runs_once():
    """What a user's class does when it is made is done once for each object, bad records or not."""
    for cls in (Counted, Around, ByFactory, Unhashable, Subclass, Setter):
        assert shape(cls) is None
    rows = [{"id": "1", "inner": {"id": "a"}, "inners": [{"id": "b"}]}, {"id": "2", "new": 1}]
    RUN.clear()
    assert [one.id for one in envelope(parser(Around)(page_of(*rows))).records(Around)] == [
        "1",
        "2",
    ]
    assert RUN == ["a", "b"]
    RUN.clear()
    with pytest.raises(DecodeError):
        structure([{"id": "1"}, {"id": 5}], list[ByFactory])
    assert RUN == ["made"]
    assert structure({"id": "1"}, Unhashable).number == 7
    assert structure([{"deepValue": 1}], list[Subclass]) == [Subclass(1)]


@attrs.define
class Mine:
    id: str
    size: int | None = None


@attrs.define
class Holder:
    mine: Mine | None = None
    more: list[Mine] = attrs.field(factory=list)


def test_hooks_of_users_are_asked():
    """A hook that a user registers holds from then on: alone, in lists, in pages and in other classes."""
    value, body = {"id": "1"}, page_of({"id": "1"})
    held = {"mine": value, "more": [value]}
    assert structure([held], list[Holder]) == [Holder(Mine("1"), [Mine("1")])]
    assert isinstance(parser(Mine)(body), Drafted)
    converter().register_structure_hook(Mine, lambda value, _: Mine(value["id"] + "!"))
    assert structure(value, Mine) == Mine("1!")
    assert structure([value], list[Mine]) == [Mine("1!")]
    assert structure([held], list[Holder]) == [Holder(Mine("1!"), [Mine("1!")])]
    assert structure(held, Holder) == Holder(Mine("1!"), [Mine("1!")])
    assert envelope(parser(Mine)(body)).records(Mine) == [Mine("1!")]
    assert shape(Holder) is shape(Mine) is None
    assert shape(File) is not None


def test_hooks_of_users_for_single_values():
    """A user's hook for a scalar is asked in every class that has one."""
    made, shapes = hooks.make()
    assert made.structure([{"id": "1"}], list[Odd]) == [Odd("1")]
    assert shapes.of(Odd) is not None
    made.register_structure_hook(str, lambda value, _: f"<{value}>")
    assert made.structure([{"id": "1"}], list[Odd]) == [Odd("<1>")]
    assert shapes.of(Odd) is None


@attrs.define
class Leaning:
    id: str
    copy: str = attrs.Factory(lambda self: self.id, takes_self=True)


@attrs.define
class Bare:
    id: str
    extra: dict[str, Any]


@attrs.define
class Last:
    __paragon_filled__ = True
    id: str

    def __init_subclass__(cls):
        raise TypeError("no class below this one")


@attrs.define
class Clash:
    first: str | None = attrs.field(default=None, metadata={"aliases": ("second",)})
    second: str | None = None
    third: str | None = attrs.field(default=None, metadata={"aliases": ()})


def test_classes_without_a_fast_way():
    """A default that looks at the object, a required `extra`, what defies us: for the obvious way."""
    assert shape(Leaning) is shape(Bare) is shape(int) is shape(Last) is None
    assert structure([{"id": "1"}], list[Last]) == [Last("1")]
    assert structure([{"id": "1", "more": 1}], list[Leaning]) == [Leaning("1", "1")]
    assert structure({"id": "1", "more": 1}, Bare) == Bare("1", {"more": 1})
    assert isinstance(parser(Leaning)(page_of({"id": "1"})), dict)


def test_an_alias_that_is_another_field():
    """Where two fields claim a key, the later field has it, in both ways."""
    value = {"first": "a", "second": "b", "third": "c"}
    assert structure(value, Clash) == PLAIN.structure(value, Clash)


def test_long_lists():
    """A list of many is built like a list of few."""
    assert structure([ROW] * 500, list[File]) == [PLAIN.structure(ROW, File)] * 500


def test_many_threads():
    """Threads that learn and build at the same time get what one gets."""
    rows = [{"id": str(n), f"field{n % 7}": n} for n in range(300)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda row: structure(row, Thing), rows))
    assert made == [PLAIN.structure(row, Thing) for row in rows]


def test_the_collector_is_left_as_it_was():
    """Inside, young objects are collected rarely; after it, as before, and never more often."""
    usual = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), undisturbed(), undisturbed():
        assert gc.get_threshold()[0] > usual[0]
        raise ZeroDivisionError
    assert gc.get_threshold() == usual
    try:
        for own in (0, 1_000_000):
            gc.set_threshold(own)
            with undisturbed():
                assert gc.get_threshold()[0] == own
    finally:
        gc.set_threshold(*usual)
