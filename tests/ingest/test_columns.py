"""Columns of Parquet: what is done to a whole column comes to what is done value by value."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paragon_async.ingest.sinks.columns import (
    INTEGER,
    MOMENT,
    PROMOTED,
    TEXT,
    column,
    one_by_one,
    values_of,
)
from paragon_async.ingest.sinks.protocol import encoded

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pyarrow.compute")

KINDS = {TEXT: pa.string(), INTEGER: pa.int64(), MOMENT: pa.timestamp("us", tz="UTC")}
MOMENTS = st.sampled_from(
    [
        "2024-04-30T09:06:42.006Z",
        "2024-04-30T09:06:42Z",
        "2024-02-30T09:06:42Z",
        "2023-02-29T00:00:00.000000Z",
        "1969-12-31T23:59:59.999999Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999Z",
        "2016-12-31T23:59:60Z",
        "2024-04-30T24:00:00Z",
        "2024-04-30 09:06:42",
        "2024-04-30T09:06:42.1Z",
        "2024-04-30T09:06:42+02:00",
        "2024-04-30T09:06:42Z\n",
        "٢٠٢٤-04-30T09:06:42Z",
        "2024-04-30",
        "",
    ]
)
PLAIN = st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")
SCALARS = (
    st.none() | st.booleans() | st.integers(-(1 << 65), 1 << 65) | st.floats(allow_nan=False)
    | st.text()
)  # fmt: skip
VALUES = st.lists(SCALARS | MOMENTS | PLAIN | st.just([]) | st.just({}), max_size=6)
USUAL = (
    st.lists(st.none() | MOMENTS)
    | st.lists(st.none() | PLAIN)
    | st.lists(st.none() | st.integers())
)


@given(VALUES | USUAL, st.sampled_from(list(KINDS)))
@example([None, None], MOMENT)
@example([1 << 63, 1], INTEGER)
@example(["\ud800"], TEXT)
def test_a_column_at_once_is_a_column_one_by_one(values, read):
    """Whatever values stand in a column, usual or not, it holds what its rule makes of each, or fails alike."""
    outcomes = []
    for way in (column, one_by_one):
        try:
            outcomes.append(way(pa, KINDS[read], read, values))
        except UnicodeEncodeError as error:
            outcomes.append(str(error))
    fast, slow = outcomes
    assert fast == slow if isinstance(slow, str) else fast.equals(slow)


@given(st.lists(st.dictionaries(
    st.sampled_from([key for _, keys in PROMOTED.values() for key in keys] + ["other"]), SCALARS.filter(lambda v: not isinstance(v, float)), max_size=6,
)))  # fmt: skip
def test_values_are_the_first_that_is_not_null(records):
    """Each column takes the first of its keys that is not null, of every record in its order."""
    found = values_of([encoded(record) for record in records])
    for name, (_, keys) in PROMOTED.items():
        expected = [
            next((record[key] for key in keys if record.get(key) is not None), None)
            for record in records
        ]
        assert found[name] == expected
