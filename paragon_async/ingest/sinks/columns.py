"""Rows as columns: what is taken out of records for Parquet.

PROMOTED    the columns, how a value becomes one of theirs, and the keys that may hold it
values_of   the values of these keys in many records, by one pass of the decoder
one_by_one  a column as its rule says, value by value
column      the same, by passes over the whole column, where its values are as they mostly are
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from types import GenericAlias, NoneType
from typing import Any

import msgspec

from paragon_async import convert

_LARGEST = 1 << 63
# What reads the same as text of Arrow and as `convert.moment`: no rarer forms, and no year before 1000.
_PLAIN_MOMENT = (
    r"^[1-9]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{3}|\.\d{6})?Z$"
)


def _text(value: Any) -> str | None:
    return value if type(value) is str else None


def _integer(value: Any) -> int | None:
    return value if type(value) is int and -_LARGEST <= value < _LARGEST else None


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return convert.moment(value).astimezone(UTC)
    except (convert.Mismatch, ValueError, OverflowError):
        return None


Read = Callable[[Any], Any]
TEXT, INTEGER, MOMENT = _text, _integer, _moment
_USUAL: dict[Read, set[type]] = {
    _text: {str, NoneType},
    _integer: {int, NoneType},
    _moment: {str, NoneType},
}

# The columns taken out of a record, and the keys that may hold them: the first that is not null.
PROMOTED: dict[str, tuple[Read, tuple[str, ...]]] = {
    "external_id": (_text, ("externalId", "external_id")),
    "name": (_text, ("name", "fileName", "file_name")),
    "mime_type": (_text, ("mimeType", "mime_type")),
    "size": (_integer, ("size",)),
    "created_at": (_moment, ("createdAt", "created_at")),
    "updated_at": (_moment, ("updatedAt", "updated_at")),
    "synced_at": (_moment, ("syncedAt", "synced_at")),
    "parent_folder_id": (
        _text,
        ("parentFolderId", "parent_folder_id", "parentId", "parent_id"),
    ),
    "url": (_text, ("url",)),
}
# The decoder passes over all other keys without making anything of them.
_Promoted = msgspec.defstruct(
    "_Promoted", [(key, Any, None) for _, keys in PROMOTED.values() for key in keys], gc=False
)
_read = msgspec.json.Decoder(GenericAlias(list, (_Promoted,))).decode


def values_of(records: Sequence[bytes]) -> dict[str, list[Any]]:
    """Return the values for each of the columns, as they stand in *records*."""
    found = _read(b"[" + b",".join(records) + b"]")
    columns: dict[str, list[Any]] = {}
    for name, (_, keys) in PROMOTED.items():
        values = list(map(attrgetter(keys[0]), found))
        for key in keys[1:]:
            if None in values:
                others = map(attrgetter(key), found)
                values = [o if v is None else v for v, o in zip(values, others, strict=True)]
        columns[name] = values
    return columns


def one_by_one(pa: Any, kind: Any, read: Read, values: Sequence[Any]) -> Any:
    """Make a column of type *kind*: what does not fit is null, never converted."""
    return pa.array([read(value) for value in values], kind)


def column(pa: Any, kind: Any, read: Read, values: Sequence[Any]) -> Any:
    """Do what `one_by_one` does, as a whole, or else value by value."""
    if set(map(type, values)) <= _USUAL[read]:
        try:
            if read is not _moment:
                return pa.array(values, kind)
            text = pa.array(values, pa.string())
            are_plain = pa.compute.match_substring_regex(text, _PLAIN_MOMENT)
            if pa.compute.all(are_plain, min_count=0).as_py():
                return text.cast(kind)
        except (pa.ArrowException, OverflowError):
            # A number too large for its column, a day that its month does not have.
            pass
    return one_by_one(pa, kind, read, values)
