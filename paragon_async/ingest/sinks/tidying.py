"""Which places of rows are worth rewriting, and together with which others. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from paragon_async.ingest.sinks.protocol import Place

_SMALL = 5
_MANY = 8
_MOST_ROWS = 50_000


def groups(
    places: Mapping[str, Place], full: int, open_place: str | None, most_rows: int = _MOST_ROWS
) -> list[list[str]]:
    """Return groups of places, each to be rewritten into one, in order.

    One is at most *full* bytes and *most_rows*, whose ids are held in memory, unless a place alone
    is more.

    A place with a stale row is always rewritten, so that afterwards each record stands once. Places
    below a fifth of both are merged once there are many, so that a mirror that follows a feed
    for years does not crumble; the one still being filled, *open_place*, only when it is stale.
    """
    stale = {name for name, place in places.items() if place.stale}
    small = {
        name
        for name, place in places.items()
        if place.size * _SMALL < full
        and place.rows * _SMALL < most_rows
        and name != open_place
        and name not in stale
    }
    chosen = stale | (small if len(small) > _MANY else set())
    found: list[list[str]] = []
    room = rows_left = 0
    for name in sorted(chosen):
        size = _living(places[name])
        rows = places[name].rows - places[name].stale
        if not found or size > room or rows > rows_left:
            found.append([])
            room, rows_left = full, most_rows
        found[-1].append(name)
        room -= size
        rows_left -= rows
    return found


def _living(place: Place) -> int:
    """Estimate the bytes that are left of a place once it is rewritten."""
    return place.size * (place.rows - place.stale) // max(1, place.rows)
