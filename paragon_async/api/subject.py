"""What a download is told about its record, in whichever form the caller holds it. Pure."""

from __future__ import annotations

import attrs

from paragon_async.download import Evidence
from paragon_async.errors import ConfigurationError
from paragon_async.models import File, Record
from paragon_async.models.objects import Ticket
from paragon_async.models.records import EXPORTED
from paragon_async.names import distinct_name

# Fields that no file has: a record with one of them is no folder, however little it says.
_NO_FILE = ("title", "originalRecord", "original_record", "objectType", "object_type")


@attrs.frozen(kw_only=True)
class Subject:
    """The record of a download; *is_gone* for a tombstone."""

    id: str
    label: str | None = None
    is_folder: bool = False
    is_gone: bool = False
    evidence: Evidence = attrs.field(factory=Evidence)

    @property
    def file_name(self) -> str:
        """A safe name that no other record has."""
        return distinct_name(self.label or self.id, self.id)


def of(record: object) -> Subject:
    """Read an id, a thin `Record`, a `File` or a `Ticket`."""
    match record:
        case str():
            return Subject(id=record)
        case Record():
            return _thin(record)
        case File():
            return _file(record)
        case Ticket():
            return Subject(id=record.id, label=_zip(record.title), is_gone=record.deleted)
        case _:
            kind = type(record).__name__
            raise ConfigurationError(
                f"a {kind} has no content: pass an id, a Record, a File or a Ticket"
            )


def _thin(record: Record) -> Subject:
    data = record.data
    if any(key in data for key in _NO_FILE):
        title = data.get("title")
        label = _zip(title if isinstance(title, str) else None)
        return Subject(id=record.id, label=label, is_gone=record.deleted)
    return _file(record.into(File))


def _file(file: File) -> Subject:
    known_content = file.mime_type and not file.mime_type.startswith(EXPORTED)
    evidence = Evidence()
    if known_content:
        hash_ = file.hash
        evidence = Evidence.of(
            file.size, hash_.type if hash_ else None, hash_.value if hash_ else None
        )
    bare = file.name is None and file.mime_type is None
    return Subject(
        id=file.id,
        label=file.name,
        is_folder=file.is_folder and not bare,
        is_gone=file.deleted,
        evidence=evidence,
    )


def _zip(title: str | None) -> str | None:
    return f"{title}.zip" if title else None
