from __future__ import annotations

import pytest
from hypothesis import given

from paragon_async import DecodeError
from paragon_async.api import shapes
from tests.test_convert import JSON


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ([], "$"), (None, "$"), ({"data": None}, "$.data"), ({"data": [], "paging": 5}, "$.paging"),
        ({"data": [], "paging": {"cursor": 5}}, "$.paging.cursor"),
        ({"data": [], "paging": {"remainingRecords": "5"}}, "$.paging.remainingRecords"),
        ({"data": [], "paging": {"total_records": 5.5}}, "$.paging.totalRecords"),
    ],
)  # fmt: skip
def test_pages_of_another_shape(value, place):
    """A page that is not one names the place where it goes wrong."""
    with pytest.raises(DecodeError) as caught:
        shapes.envelope(value)
    assert caught.value.place == place


def test_a_page_without_paging():
    """A page may come without paging, or with null."""
    assert shapes.envelope({"data": []}).cursor is None
    assert shapes.envelope({"data": [], "paging": None}).remaining is None


def test_records_and_lists_of_another_shape():
    """Neither a record nor a list of syncs is made of anything else."""
    for read in (shapes.record, shapes.syncs, shapes.access, shapes.tree):
        with pytest.raises(DecodeError):
            read(5)
    with pytest.raises(DecodeError):
        shapes.names({"users": [5]}, "users")


@given(JSON)
def test_any_json_is_read_or_refused(value):
    """Whatever JSON comes, every reader gives a value or a DecodeError."""
    readers = (
        shapes.envelope, shapes.record, shapes.syncs, shapes.access, shapes.tree,
        lambda v: shapes.names(v, "objects"), lambda v: shapes.verdicts(v, []),
    )  # fmt: skip
    for read in readers:
        try:
            read(value)
        except DecodeError as error:
            assert error.place.startswith("$")


def test_prefixes():
    """Prefixes are added and dropped where they stand, and an id with a colon of its own is kept."""
    assert shapes.prefixed_user("a@b.c") == "user:a@b.c"
    assert shapes.prefixed_user("user:a@b.c") == "user:a@b.c"
    assert shapes.prefixed_user("group:g") == "group:g"
    assert shapes.bare_object("file:1-2") == "1-2"
    assert shapes.bare_object("1-2") == "1-2"
