from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from paragon_async.ingest.sinks.protocol import Place
from paragon_async.ingest.sinks.tidying import groups

FULL = 1000


def named(*places):
    return {f"r-{n:06d}.jsonl": place for n, place in enumerate(places, 1)}


def living(place):
    return place.size * (place.rows - place.stale) // max(1, place.rows)


@st.composite
def worlds(draw):
    rows = st.integers(0, 50)
    pairs = draw(st.lists(st.tuples(rows, rows, st.integers(0, 1500)), max_size=30))
    return named(*(Place(size, a, min(a, b)) for a, b, size in pairs))


@given(worlds(), st.booleans())
def test_every_stale_place_is_rewritten_once(places, last_is_open):
    """A place with a stale row is in exactly one group; no place is in two; all are known, in order."""
    open_place = max(places, default=None) if last_is_open else None
    chosen = [name for group in groups(places, FULL, open_place) for name in group]
    assert {name for name, place in places.items() if place.stale} <= set(chosen) <= set(places)
    assert chosen == sorted(set(chosen))


@given(worlds())
def test_a_group_fits_one_place(places):
    """What is left of a group is at most *full* bytes, unless one place alone is more."""
    for group in groups(places, FULL, None):
        assert (
            sum(living(places[name]) for name in group) <= FULL or living(places[group[0]]) > FULL
        )


def test_what_is_in_order_is_left_alone():
    """Large places without stale rows, and a few small ones, are not touched."""
    places = named(*[Place(1000, 10, 0)] * 20, *[Place(10, 1, 0)] * 8)
    assert groups(places, FULL, None) == []


def test_many_small_places_are_merged():
    """Nine small places become one; large ones between them stay."""
    places = named(*[Place(10, 1, 0)] * 4, Place(900, 9, 0), *[Place(10, 1, 0)] * 5)
    (group,) = groups(places, FULL, None)
    assert len(group) == 9 and "r-000005.jsonl" not in group


def test_the_open_place_is_merged_only_when_stale():
    """The place that still grows does not count as small, but is rewritten when a row is stale."""
    places = named(*[Place(10, 1, 0)] * 9)
    assert groups(places, FULL, "r-000009.jsonl") == []
    places["r-000009.jsonl"] = Place(10, 2, 1)
    assert groups(places, FULL, "r-000009.jsonl") == [["r-000009.jsonl"]]


def test_a_place_of_nothing_but_stale_rows_takes_no_room():
    """A place whose rows are all stale is in a group, and counts for nothing there."""
    places = named(Place(1000, 5, 5), Place(1000, 10, 1), Place(100, 1, 1))
    assert groups(places, FULL, None) == [list(places)]


@given(st.integers(0, 200))
def test_merging_comes_to_rest(count):
    """A mirror of any number of small places is merged, and after that nothing is left to do."""
    places = named(*[Place(90, 1, 0)] * count)
    merged = groups(places, FULL, None)
    after = {n: p for n, p in places.items() if not any(n in group for group in merged)}
    after |= {f"s-{n:06d}": Place(90 * len(g), len(g), 0) for n, g in enumerate(merged)}
    assert groups(after, FULL, None) == []


@given(worlds(), st.integers(1, 60))
def test_a_group_has_so_many_rows_at_most(places, most):
    """Of a group at most *most_rows* rows are left, unless one place alone has more."""
    for group in groups(places, FULL, None, most):
        rows = [places[name].rows - places[name].stale for name in group]
        assert sum(rows) <= most or rows[0] > most


@given(st.integers(0, 200))
def test_merging_by_rows_comes_to_rest(count):
    """Places of small rows are merged up to the number of rows, and then left alone."""
    places = named(*[Place(9, 9, 0)] * count)
    merged = groups(places, 10_000, None, 90)
    after = {n: p for n, p in places.items() if not any(n in group for group in merged)}
    after |= {f"s-{n:06d}": Place(9 * len(g), 9 * len(g), 0) for n, g in enumerate(merged)}
    assert groups(after, 10_000, None, 90) == []
