"""Rows as Parquet, one file for each write. pyarrow comes with the extra `parquet`.

    ParquetSegments     places of rows, the counterpart of `LineSegments`
    ParquetSink         records without contents: a folder that any reader of Parquet takes whole

pyarrow writes through our own disk, and reads through files of its own: the few threads that it keeps
for reading, idle until the process ends, then never touch anything of Python's.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from paragon_async.disk import Disk
from paragon_async.errors import ConfigurationError
from paragon_async.ingest.sinks.changelog import RecordsOnly
from paragon_async.ingest.sinks.columns import INTEGER, MOMENT, PROMOTED, TEXT, column, values_of
from paragon_async.ingest.sinks.files import Beside, refusals, size_of
from paragon_async.ingest.sinks.held import Held
from paragon_async.ingest.sinks.lines import Places
from paragon_async.ingest.sinks.protocol import HASH_KEY, PATH_KEY, Index, Mark, Row
from paragon_async.threads import in_thread

_FULL = 64 << 20
_STEP = 1 << 20
_READ_ROWS = 1000
# So many that `tidying` does not count a file as small: it would write all of it once more.
_BATCH_ROWS = 10_000
_GROUP_ROWS = 5_000


class ParquetSegments(Places):
    """Files `<prefix>-000001.parquet` in *folder*, one for each write, compressed with zstd.

    Columns: `id`; from the record `external_id`, `name`, `mime_type`, `parent_folder_id` and `url`
    (string), `size` (int64), `created_at`, `updated_at` and `synced_at` (timestamp, microseconds,
    UTC); `_file` and `_sha256`, where its content lies and what it is, as in JSON lines; `record`, the
    whole record as JSON, as it came. A value that does not fit its column is null there,
    never converted.

    A file has its name only once it is complete. Raises `ConfigurationError` without pyarrow.
    """

    _suffix = ".parquet"

    def __init__(
        self,
        folder: Path,
        prefix: str,
        *,
        full: int = _FULL,
        disk: Disk | None = None,
        batch_rows: int = _BATCH_ROWS,
    ) -> None:
        super().__init__(folder, prefix, full=full, disk=disk)
        self.batch_rows = batch_rows
        self._arrow = _Arrow()

    async def write(self, rows: Sequence[Row]) -> Mark:
        """Write *rows* as one new place, durably; failed or cancelled, it leaves nothing."""
        place = self._next()
        copy = self._beside()
        try:
            with refusals(self._folder / place):
                await in_thread(self._store, copy, rows, self._folder / place)
        except BaseException:
            await in_thread(copy.discard)
            raise
        return Mark(place, copy.size, len(rows))

    def _store(self, copy: _Table, rows: Sequence[Row], path: Path) -> None:
        for start in range(0, len(rows), _READ_ROWS):
            copy.keep(self._arrow.batch(rows[start : start + _READ_ROWS]))
        copy.commit(path)
        self._arrow.release()

    def _is_whole(self, place: str, size: int) -> bool:
        path = self._folder / place
        try:
            return size_of(path) == size and self._arrow.reads(path)
        except (OSError, ValueError, self._arrow.error):
            return False

    def _survey(self, path: Path, size: int) -> dict[str, int]:  # noqa: ARG002  # a file is one whole
        last: dict[str, int] = {}
        number = 0
        for batch in self._arrow.batches(path, ["id"]):
            ids = batch.column(0).to_pylist()
            last.update(zip(ids, range(number, number + len(ids)), strict=True))
            number += len(ids)
        return last

    def _held(self, path: Path, size: int) -> Held:  # noqa: ARG002  # a file is one whole
        held = Held()
        for batch in self._arrow.batches(path):
            held.last.update(dict.fromkeys(batch.column("id").to_pylist()))
        return held

    def _beside(self) -> _Table:
        return _Table(
            self._folder, self._prefix, self._disk, self._arrow, max(self.batch_rows, _GROUP_ROWS)
        )


class ParquetSink(RecordsOnly[ParquetSegments]):
    """Records as Parquet: files `records-<feed>-000001.parquet`, columns as in `ParquetSegments`.

    After a run `*.parquet` holds each record of the mirror once, in its current form; during a run a
    changed record may stand in two files, and a deleted one still in its old one. Small files are
    merged, up to about *full* bytes.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        full: int = _FULL,
        batch_rows: int = _BATCH_ROWS,
        disk: Disk | None = None,
    ) -> None:
        super().__init__("parquet", folder, disk)
        _Arrow()
        self.batch_rows = batch_rows
        self._full = full

    async def open(self, feed: int, marks: Mapping[str, int]) -> None:
        """Drop the files of this feed that no commit knows of."""
        segments = ParquetSegments(
            self._folder,
            f"records-{feed:03d}",
            full=self._full,
            disk=self._disk,
            batch_rows=self.batch_rows,
        )
        await segments.open(marks)
        self._segments = segments

    async def write(
        self,
        rows: Sequence[Row],
        gone: Sequence[Mapping[str, Any]],  # noqa: ARG002  # their rows go with `tidy`
    ) -> Mark | None:
        """Write *rows* as one file; None when there are none. `tidy` drops what is *gone*."""
        return await self._ready().write(rows) if rows else None

    async def tidy(self, index: Index) -> None:
        """As `Places.tidy`: drop the rows that count no more, merge small files."""
        await self._ready().tidy(index)


class _Arrow:
    """pyarrow, and our schema in it."""

    def __init__(self) -> None:
        try:
            self.pa: Any = importlib.import_module("pyarrow")
            self.pq: Any = importlib.import_module("pyarrow.parquet")
            importlib.import_module("pyarrow.compute")
        except ImportError:
            raise ConfigurationError(
                "Parquet needs pyarrow: pip install paragon-async[parquet]"
            ) from None
        self.error: type[Exception] = self.pa.ArrowException
        self.schema = self._schema()

    def _schema(self) -> Any:
        text, when = self.pa.string(), self.pa.timestamp("us", tz="UTC")
        kinds: dict[Any, Any] = {TEXT: text, INTEGER: self.pa.int64(), MOMENT: when}
        fields = [self.pa.field("id", text, nullable=False)]
        fields += [self.pa.field(name, kinds[read]) for name, (read, _) in PROMOTED.items()]
        fields += [self.pa.field(name, text) for name in (PATH_KEY, HASH_KEY, "record")]
        return self.pa.schema(fields)

    def batch(self, rows: Sequence[Row]) -> Any:
        """Make a batch of *rows*."""
        records = [row.record for row in rows]
        columns = {
            name: column(self.pa, self.schema.field(name).type, PROMOTED[name][0], values)
            for name, values in values_of(records).items()
        }
        columns["id"] = self.pa.array([row.id for row in rows], self.pa.string())
        columns[PATH_KEY] = self.pa.array([row.path for row in rows], self.pa.string())
        columns[HASH_KEY] = self.pa.array([row.sha256 for row in rows], self.pa.string())
        columns["record"] = self.pa.array(records, self.pa.binary()).cast(self.pa.string())
        return self.pa.RecordBatch.from_arrays(
            [columns[n] for n in self.schema.names], schema=self.schema
        )

    def writer(self, output: _Output) -> Any:
        """Open a writer to *output*; only columns whose values repeat get a dictionary."""
        return self.pq.ParquetWriter(
            output,
            self.schema,
            compression="zstd",
            use_dictionary=["mime_type", "parent_folder_id"],
            write_page_checksum=True,
        )

    def release(self) -> None:
        """Give back what pyarrow keeps for later: it would keep as much for each of our threads."""
        self.pa.default_memory_pool().release_unused()

    def reads(self, path: Path) -> bool:
        """Tell whether *path* is Parquet with our columns."""
        with self.pa.OSFile(os.fspath(path)) as file, self.pq.ParquetFile(file) as parquet:
            return bool(parquet.schema_arrow.equals(self.schema))

    def batches(self, path: Path, columns: list[str] | None = None) -> Iterator[Any]:
        """Yield the rows of *path* in small batches, all columns or some, checked by checksums."""
        try:
            with (
                self.pa.OSFile(os.fspath(path)) as file,
                self.pq.ParquetFile(file, page_checksum_verification=True) as parquet,
            ):
                yield from parquet.iter_batches(_READ_ROWS, columns=columns, use_threads=False)
        except self.error as error:
            raise ValueError(str(error)) from error


class _Output(io.RawIOBase):
    """What pyarrow writes to. Once *given_up* it swallows what a writer still has to say."""

    def __init__(self, beside: Beside) -> None:
        super().__init__()
        self.given_up = False
        self._beside = beside

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self.given_up:
            self._beside.write(bytes(data))
        return len(data)


class _Table(Beside):
    """Rows on their way into one file, in row groups of a few MiB."""

    def __init__(
        self, folder: Path, prefix: str, disk: Disk, arrow: _Arrow, group_rows: int
    ) -> None:
        super().__init__(folder, prefix, disk)
        self._arrow = arrow
        self._group_rows = group_rows
        self._output = _Output(self)
        self._writer: Any = None
        self._waiting: list[Any] = []

    def take(self, path: Path, size: int, numbers: set[int]) -> None:  # noqa: ARG002  # a file is one whole
        number = 0
        for batch in self._arrow.batches(path):
            kept = [n for n in range(batch.num_rows) if number + n in numbers]
            number += batch.num_rows
            if kept:
                self.keep(batch.take(self._arrow.pa.array(kept)))

    def keep(self, batch: Any) -> None:
        """Take *batch*; it is written with others once they are many."""
        self._waiting.append(batch)
        rows = sum(waiting.num_rows for waiting in self._waiting)
        if rows >= self._group_rows or sum(w.nbytes for w in self._waiting) >= _STEP:
            self._flush()

    def commit(self, target: Path) -> None:
        self._flush()
        self._writer.close()
        super().commit(target)

    def discard(self) -> None:
        # An open writer would write its footer, to nowhere by then, when it is collected.
        self._output.given_up = True
        with contextlib.suppress(Exception):
            if self._writer is not None:
                self._writer.close()
        super().discard()

    def _flush(self) -> None:
        if self._waiting:
            if self._writer is None:
                self._writer = self._arrow.writer(self._output)
            table = self._arrow.pa.Table.from_batches(self._waiting, schema=self._arrow.schema)
            self._writer.write_table(table)
            del table  # before its memory is given back
            self._waiting = []
            self._arrow.release()
