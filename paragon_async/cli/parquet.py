"""Records as one Parquet file: columns as in a mirror, or the fields that were asked for."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from paragon_async.cli.formats import Format, cell
from paragon_async.cli.whole import Whole
from paragon_async.convert import dump
from paragon_async.errors import ConfigurationError
from paragon_async.ingest.sinks.columns import INTEGER, MOMENT, PROMOTED, TEXT, column, values_of
from paragon_async.models import Record

_GROUP_ROWS = 10_000
# What a mirror calls a column is what a field may be asked for under, and so is the key in a record.
_KNOWN = {key: name for name, (_, keys) in PROMOTED.items() for key in (name, *keys)}


class Parquet(Format):
    """Row groups of some thousand records, compressed with zstd.

    Columns: `id`, those that `ParquetSegments` takes out of a record, `deleted`, and `record`,
    all of it as JSON. Of fields that were asked for, those keep their type; any other is text, and JSON
    where it is none.
    """

    def __init__(self, target: Whole, fields: Sequence[str] | None) -> None:
        try:
            self._pa: Any = importlib.import_module("pyarrow")
            self._pq: Any = importlib.import_module("pyarrow.parquet")
            importlib.import_module("pyarrow.compute")
        except ImportError:
            target.close()
            raise ConfigurationError(
                'Parquet needs pyarrow: pip install "paragon-async[parquet]"'
            ) from None
        super().__init__(target, fields)
        self._schema = self._made()
        self._writer = self._pq.ParquetWriter(target, self._schema, compression="zstd")
        self._waiting: list[Any] = []

    def write(self, records: Sequence[Record]) -> None:
        """Write one page, together with others."""
        if not records:
            return
        make = self._whole if self._fields is None else self._some
        arrays = make([record.data for record in records])
        self._waiting.append(self._pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        if sum(batch.num_rows for batch in self._waiting) >= _GROUP_ROWS:
            self._flush()

    def finish(self) -> None:
        """Write what waits, and the footer; the file gets its name."""
        self._flush()
        self._writer.close()
        super().finish()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of a file that is not complete.

        pyarrow would write its footer when it is collected, and tell on standard error that it cannot.
        """
        with contextlib.suppress(Exception):
            self._writer.close()
        self._writer.is_open = False
        super().__exit__(kind, error, trace)

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(self._pa.Table.from_batches(self._waiting, self._schema))
            self._waiting = []

    def _made(self) -> Any:
        pa = self._pa
        kinds: dict[Any, Any] = {
            TEXT: pa.string(),
            INTEGER: pa.int64(),
            MOMENT: pa.timestamp("us", tz="UTC"),
        }
        promoted = {name: kinds[read] for name, (read, _) in PROMOTED.items()}
        if self._fields is None:
            fields = [("id", pa.string()), *promoted.items()]
            fields += [("deleted", pa.bool_()), ("record", pa.string())]
            return pa.schema(fields)
        return pa.schema(
            [(field, promoted.get(_KNOWN.get(field, ""), pa.string())) for field in self._fields]
        )

    def _whole(self, records: list[dict[str, Any]]) -> list[Any]:
        pa = self._pa
        lines = [dump(data) for data in records]
        found = {
            name: column(pa, self._schema.field(name).type, PROMOTED[name][0], values)
            for name, values in values_of(lines).items()
        }
        found["id"] = pa.array([data["id"] for data in records], pa.string())
        found["deleted"] = pa.array([data.get("deleted") is True for data in records])
        found["record"] = pa.array(lines, pa.binary()).cast(pa.string())
        return [found[name] for name in self._schema.names]

    def _some(self, records: list[dict[str, Any]]) -> list[Any]:
        picked = [self._picked(data) for data in records]
        arrays = []
        for field in self._schema:
            values = [data[field.name] for data in picked]
            name = _KNOWN.get(field.name)
            if name is not None:
                arrays.append(column(self._pa, field.type, PROMOTED[name][0], values))
            else:
                texts = [None if value is None else cell(value) for value in values]
                arrays.append(self._pa.array(texts, field.type))
        return arrays
