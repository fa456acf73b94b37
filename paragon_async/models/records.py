"""Records: what a sync holds. Source: api.md 4, in the older shape of 4.8 too.

    Record          thin: the record as it came, with its common fields at hand
    ├── File, Contact  Company  Deal  Ticket  CustomObject     by `record.into(File)` or `pull(…, File)`

Everything but an id is optional in all of them: a tombstone has little else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Generic, TypeVar, cast

import attrs

from paragon_async import convert
from paragon_async.errors import DecodeError
from paragon_async.models.base import extras, value

M = TypeVar("M")
FOLDER = "application/vnd.google-apps.folder"
EXPORTED = "application/vnd.google-apps."
_ID = itemgetter("id")


@attrs.define(slots=True, on_setattr=attrs.setters.frozen)
class Record:
    """A record as it came, uncopied, in *data*; common fields are read when they are asked for."""

    data: dict[str, Any]

    @property
    def id(self) -> str:
        """Paragon's id of the record, a UUID."""
        found: str = self.data["id"]
        return found

    @property
    def external_id(self) -> str | None:
        """The id in the integration."""
        found: str | None = convert.either(self.data, "externalId", "external_id")
        return found

    @property
    def created_at(self) -> datetime | None:
        """When the record was made in the integration, as an aware datetime."""
        return self._moment("createdAt", "created_at")

    @property
    def updated_at(self) -> datetime | None:
        """When the record last changed in the integration, as an aware datetime."""
        return self._moment("updatedAt", "updated_at")

    @property
    def deleted(self) -> bool:
        """Whether this is a tombstone: the record is gone at its source."""
        return self.data.get("deleted") is True

    def into(self, model: type[M]) -> M:
        """Build a typed object, such as `File`, from this record; raises `DecodeError`."""
        return build(self.data, model)

    def _moment(self, camel: str, snake: str) -> datetime | None:
        found = convert.either(self.data, camel, snake)
        if found is None:
            return None
        return convert.structure(found, datetime, f"$.{camel}")


@value
class FileHash:
    """A checksum that the integration gave: *type* is its algorithm, *value* its hex digits."""

    type: str | None = None
    value: str | None = attrs.field(default=None, metadata={"aliases": ("hash", "checksum")})
    extra: dict[str, Any] = extras()


@value
class File:
    """A file or folder of pipeline `files`. *size* is bytes; *parent_folder_id* an external id."""

    id: str
    external_id: str | None = None
    name: str | None = attrs.field(default=None, metadata={"aliases": ("fileName", "file_name")})
    mime_type: str | None = None
    size: int | None = None
    url: str | None = None
    thumbnail_url: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    hash: FileHash | None = None
    parent_folder_id: str | None = attrs.field(
        default=None, metadata={"aliases": ("parentId", "parent_id")}
    )
    custom_fields: dict[str, Any] = attrs.field(factory=dict)
    synced_at: datetime | None = None
    deleted: bool = False
    extra: dict[str, Any] = extras()

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder: no content to download."""
        return is_folder(self.mime_type, self.size)


@attrs.define(slots=True, on_setattr=attrs.setters.frozen)
class Page(Generic[M]):
    """Some records and the place after them.

    *cursor* stands for the last record of the page: save it, and pull `after` it next time. It is
    never empty on a page that holds records, unless the service gave none. *remaining* counts the
    records after this page, *total* all that the sync knows, both None where the service is silent.
    """

    records: Sequence[M]
    cursor: str | None
    remaining: int | None
    total: int | None


def build(data: Any, model: type[M], place: str = "$") -> M:
    """Make one record of *model* from decoded JSON; the thin `Record` costs next to nothing."""
    if model is not Record:
        return convert.structure(data, model, place)
    if type(data) is not dict:
        raise DecodeError(place, f"an object is wanted, this is {convert.kind_of(data)}")
    if type(data.get("id")) is not str:
        kind = convert.kind_of(data.get("id"))
        raise DecodeError(f"{place}.id", f"a string is wanted, this is {kind}")
    return cast("M", Record(data))


def build_all(items: list[Any], model: type[M], place: str = "$") -> list[M]:
    """Make the records of a page; the place of a mismatch has its index, as in `$.data[3].id`."""
    if model is Record:
        return cast("list[M]", list(thin(items, place)))
    return convert.structure(items, list[model], place)  # type: ignore[valid-type]  # a class when it runs


def thin(items: list[Any], place: str = "$") -> Iterator[Record]:
    """Look at all *items* first, as `build` does, then make the records as they are wanted."""
    doubtful = [] if _have_ids(items) else items
    for n, item in enumerate(doubtful):
        build(item, Record, f"{place}[{n}]")
    # What `__init__` does, without its calls: these lines are most of the price of a thin record.
    new, store = object.__new__, vars(Record)["data"].__set__
    for item in items:
        record = new(Record)
        store(record, item)
        yield record


def _have_ids(items: list[Any]) -> bool:
    """Say whether all are objects with an id, by passes over the page that run in C."""
    try:
        return {*map(type, items)} <= {dict} and {*map(type, map(_ID, items))} <= {str}
    except KeyError:
        return False


def is_folder(mime_type: str | None, size: int | None) -> bool:
    """Tell folders from files: a special type in Drive, no type and no size in SharePoint."""
    return mime_type == FOLDER or (not mime_type and not size)
