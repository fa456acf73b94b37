from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragon_async.convert import dump, either, kind_of, moment, parse, structure
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
    ],
)
def test_dates(value):
    """A moment comes from ISO with and without zone, from seconds and from milliseconds."""
    assert moment(value) == NOON
    assert moment(value).tzinfo is not None


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
