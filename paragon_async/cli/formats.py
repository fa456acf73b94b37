"""How records are written: JSON lines, CSV, Parquet, or a table for a person.

    chosen(…)    the format that was asked for, or that suits where it goes
    Format       write(records), again and again; finish(); remarks() about what did not fit

A field is named as it stands in the record; `a.b` is the field b of the object a.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from paragon_async.cli import output
from paragon_async.cli.figures import size
from paragon_async.cli.safe import plain
from paragon_async.cli.settings import now
from paragon_async.cli.whole import Whole
from paragon_async.convert import dump
from paragon_async.errors import ConfigurationError
from paragon_async.models import Record

_NAMES = ("name", "fileName", "title", "fullName", "email")
# What a moment has below its seconds.
_FRACTION = re.compile(r"\.\d+")
_SUFFIXES = {".csv": "csv", ".parquet": "parquet"}
_MISSING = object()


class Sink(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> Any:
        """Append *data*."""


class Format(ABC):
    """Writes pages of records to *target*, or to standard output."""

    def __init__(self, target: Whole | None, fields: Sequence[str] | None) -> None:
        self._target = target
        self._sink: Sink = target or sys.stdout.buffer
        self._fields = fields
        self._unseen = set(fields or ())
        self._names: set[str] = set()

    @abstractmethod
    def write(self, records: Sequence[Record]) -> None:
        """Write one page."""

    def finish(self) -> None:
        """Complete what was written: a file gets its name."""
        if self._target is not None:
            self._target.commit()
        else:
            sys.stdout.flush()

    def remarks(self) -> Iterable[str]:
        """Return what there is to say about fields that no record had."""
        for field in self._fields or ():
            if field in self._unseen and self._names:
                near = difflib.get_close_matches(field, self._names, n=1)
                hint = f": did you mean {near[0]}?" if near else ""
                yield f"no record has the field {field!r}{hint}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._target is not None:
            self._target.close()

    def _picked(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the fields that are wanted, those that a record lacks as nulls."""
        if self._fields is None:
            return data
        if self._unseen:
            self._names |= data.keys()
        found = {}
        for field in self._fields:
            value = at(data, field)
            if value is not _MISSING:
                self._unseen.discard(field)
            found[field] = None if value is _MISSING else value
        return found


class JsonLines(Format):
    """A record a line, as it came."""

    def write(self, records: Sequence[Record]) -> None:
        """Write one page."""
        lines = [dump(self._picked(record.data)) for record in records]
        if self._target is None:
            # Wherever a pipe leads, a terminal can only show ASCII, not obey it.
            lines = [line if line.isascii() else _ascii(line) for line in lines]
        if lines:
            self._sink.write(b"\n".join(lines) + b"\n")
        if self._target is None:
            sys.stdout.flush()


class Csv(Format):
    """A header and a row for each record; what is no text, number or truth is JSON in its cell.

    Without fields that were asked for, the columns are those of the first page, and `deleted`. Keys
    that come later have no column, and are told at the end.
    """

    def __init__(self, target: Whole | None, fields: Sequence[str] | None) -> None:
        super().__init__(target, fields)
        self._columns = list(fields or ())
        self._is_begun = False
        self._left_out: set[str] = set()

    def write(self, records: Sequence[Record]) -> None:
        """Write one page."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        if not self._is_begun and (records or self._fields):
            self._is_begun = True
            if self._fields is None:
                self._columns = columns_of(records)
            writer.writerow(self._columns)
        for record in records:
            data = self._picked(record.data)
            if self._fields is None:
                self._left_out |= data.keys() - {*self._columns}
            writer.writerow([cell(data.get(name)) for name in self._columns])
        lines = text.getvalue()
        if self._target is None and sys.stdout.isatty():
            lines = "".join(f"{plain(line)}\n" for line in lines.splitlines())
        self._sink.write(lines.encode("utf-8", "backslashreplace"))
        if self._target is None:
            sys.stdout.flush()

    def remarks(self) -> Iterable[str]:
        """Return what did not fit."""
        yield from super().remarks()
        if self._left_out:
            names = ", ".join(sorted(self._left_out))
            yield f"not in the first page, so without a column: {names}; name them with --fields"


class Table(Format):
    """A table for a person: some columns of each record, or those asked for."""

    def write(self, records: Sequence[Record]) -> None:
        """Show one page."""
        if not records:
            return
        if self._fields is not None:
            shown = [self._picked(record.data) for record in records]
            output.rows(shown, [output.Column(field) for field in self._fields], nothing="")
            return
        output.rows([_row(record) for record in records], _COLUMNS, nothing="")


_COLUMNS = (
    output.Column("id", whole=True),
    output.Column("name"),
    output.Column("kind", spare=True),
    output.Column("size", show=size, whole=True),
    output.Column("updated", show=lambda text: _FRACTION.sub("", text), whole=True),
)


def chosen(
    form: str | None, target: Path | None, fields: Sequence[str] | None, *, force: bool
) -> Format:
    """Return the format to write with. Raises `ConfigurationError` for what cannot be."""
    if form is None and target is not None:
        form = _SUFFIXES.get(target.suffix.lower(), "jsonl")
    if form is None and not now().for_program:
        return Table(None, fields)
    if form == "parquet":
        if target is None:
            raise ConfigurationError("Parquet is no text: name a file, -o FILE.parquet")
        from paragon_async.cli.parquet import Parquet

        return Parquet(Whole(target, replaces=force), fields)
    kind: Callable[..., Format] = Csv if form == "csv" else JsonLines
    return kind(None if target is None else Whole(target, replaces=force), fields)


def at(data: Mapping[str, Any], field: str) -> Any:
    """Return the value of *field*; a name with dots is looked up as it is, then step by step."""
    if field in data:
        return data[field]
    value: Any = data
    for step in field.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return _MISSING
        value = value[step]
    return value


def columns_of(records: Sequence[Record]) -> list[str]:
    """Return the keys of *records* in the order in which they come, and `deleted`."""
    found = dict.fromkeys(key for record in records for key in record.data)
    return [*found] if "deleted" in found else [*found, "deleted"]


def cell(value: Any) -> str:
    """Return a value as a cell holds it; nothing is an empty one."""
    if value is None:
        return ""
    return value if isinstance(value, str) else dump(value).decode()


def _ascii(line: bytes) -> bytes:
    return json.dumps(json.loads(line), separators=(",", ":")).encode()


def _row(record: Record) -> dict[str, Any]:
    data = record.data
    parts = [data[k] for k in ("firstName", "lastName") if isinstance(data.get(k), str)]
    name = next((data[k] for k in _NAMES if data.get(k)), " ".join(parts) or None)
    kind = next((data[k] for k in ("mimeType", "mime_type", "objectType") if data.get(k)), None)
    found, moment = data.get("size"), data.get("updatedAt") or data.get("updated_at")
    return {
        "id": record.id,
        "name": name if isinstance(name, str) else None,
        "kind": "deleted" if record.deleted else kind,
        "size": found if isinstance(found, int) else None,
        "updated": moment if isinstance(moment, str) else None,
    }
