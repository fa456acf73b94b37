"""`paragon-async download`: contents of records into a folder; a second call brings what is missing."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from paragon_async.cli import output
from paragon_async.cli.connect import named, sync_argument, user_option
from paragon_async.cli.exits import Exit
from paragon_async.cli.figures import size
from paragon_async.cli.frame import command
from paragon_async.cli.matching import Matching, bytes_of
from paragon_async.cli.outcome import perform
from paragon_async.cli.settings import now

if TYPE_CHECKING:
    from paragon_async import ConnectedUser, ParagonError, Record, Saved
    from paragon_async.cli.watch import Watch

_SHOWN = 10
# What `part` calls a file on its way.
_PART = re.compile(r"\.paragon-[0-9a-f]{16}\.part")
_COLUMNS = (
    output.Column("id", whole=True),
    output.Column("name"),
    output.Column("size", show=size, whole=True),
    output.Column("path"),
)


@attrs.frozen(kw_only=True)
class Wanted:
    """What is wanted of a sync: records by their *ids*, or all that are *matching*."""

    sync: str
    ids: tuple[str, ...]
    user: str | None
    to: Path
    matching: Matching
    concurrency: int
    durability: Any
    again: bool
    dry_run: bool


@command()
@sync_argument
@click.argument("ids", metavar="[RECORD]...", nargs=-1)
@user_option
@click.option(
    "--to", required=True, metavar="DIR", callback=named, help="Made where there is none."
)
@click.option("--all", "every", is_flag=True, help="All files of the sync.")
@click.option("--name", "names", multiple=True, metavar="'*.pdf'", help="Those with such a name.")
@click.option("--mime", "mimes", multiple=True, metavar="'image/*'", help="Those of such a type.")
@click.option(
    "--larger", callback=bytes_of, metavar="SIZE", help="Those of more than 10MB, 1GiB, 500."
)
@click.option("--smaller", callback=bytes_of, metavar="SIZE", help="Those of less.")
@click.option("--concurrency", type=click.IntRange(1), default=16, show_default=True)
@click.option(
    "--durability",
    type=click.Choice(["file", "batch", "none"]),
    default="batch",
    show_default=True,
    help="Flush each file, many at once, or none.",
)
@click.option("--again", is_flag=True, help="Also what is there already.")
@click.option("-n", "--dry-run", is_flag=True, help="Only tell what would be downloaded.")
def download(
    *,
    every: bool,
    names: tuple[str, ...],
    mimes: tuple[str, ...],
    larger: int | None,
    smaller: int | None,
    to: str,
    **given: Any,
) -> int:
    """Download contents of SYNC: of records, of all that match, or of all.

    A file has its name only when it is complete and verified. What is there already, and agrees with
    its record in size and hash (without a hash: in size and date), is not fetched again: after an
    interruption, the same command goes on, with a file that was half there from its beginning.

    \b
    paragon-async download SYNC --user user-1 --to files --all
    paragon-async download SYNC --user user-1 --to pdfs --name '*.pdf' --larger 1MB
    paragon-async download SYNC RECORD RECORD --user user-1 --to .
    """  # noqa: D301  # the mark by which click leaves a paragraph as it is
    matching = Matching(names=names, mimes=mimes, larger=larger, smaller=smaller)
    if given["ids"] and (every or not matching.is_any):
        raise click.UsageError("records are named: leave --all, --name, --mime and sizes out")
    if not given["ids"] and matching.is_any and not every:
        raise click.UsageError(
            "which files? Name records, or say --name, --mime, --larger or --all"
        )
    return perform(_download(Wanted(matching=matching, to=Path(to), **given)))


async def _download(wanted: Wanted) -> int:
    from paragon_async.cli import connect
    from paragon_async.cli.leftovers import swept
    from paragon_async.cli.watch import Watch
    from paragon_async.threads import in_thread
    from paragon_async.transport.gate import Limits

    if not wanted.dry_run:
        await in_thread(_make, wanted.to)
        count, bytes_ = await in_thread(swept, wanted.to, _PART)
        if count:
            output.detail(f"removed parts of downloads that were killed: {count:,}, {size(bytes_)}")
    async with connect.client(limits=Limits(downloads=wanted.concurrency)) as paragon:
        work = _Work(connect.whose(paragon, wanted.user), wanted)
        with Watch(None if now().quiet else output.console(stderr=True)) as watch:
            work.watch = watch
            await (work.look() if wanted.dry_run else work.run())
    return work.told()


class _Work:
    """One download of many; what it counts is told at its end."""

    watch: Watch

    def __init__(self, user: ConnectedUser, wanted: Wanted) -> None:
        import time

        from paragon_async.ingest.values import Report

        self._user = user
        self._wanted = wanted
        self._report = Report()
        self._begun = time.monotonic()
        self._now = time.monotonic
        self._kept = 0
        self._failed: list[tuple[str, str]] = []
        self._names: dict[str, str | None] = {}
        self._remaining: int | None = None
        self._total: int | None = None

    async def run(self) -> None:
        """Download what is wanted and not there."""
        from paragon_async.api import subject

        wanted = self._wanted
        source = self._missing()
        made = self._user.records.download_all(
            wanted.sync,
            source,
            wanted.to,
            concurrency=wanted.concurrency,
            durability=wanted.durability,
            on_error=lambda record, error: self._miss(subject.of(record).id, error),
        )
        try:
            async with aclosing(source), aclosing(made):
                async for saved in made:
                    self._stored(saved)
        finally:
            self.watch.end()

    async def look(self) -> None:
        """Tell what would be downloaded."""
        from paragon_async.api import subject

        rows = []
        missing = self._missing()
        async with aclosing(missing):
            async for record in missing:
                item = subject.of(record)
                path = str(self._wanted.to / item.file_name)
                bytes_ = record.data.get("size")
                self._report.files += 1
                self._report.bytes += bytes_ if isinstance(bytes_, int) else 0
                rows.append({"id": item.id, "name": item.label, "size": bytes_, "path": path})
        self.watch.end()
        output.rows(rows, _COLUMNS, nothing="nothing is missing")

    async def _missing(self) -> AsyncGenerator[Record, None]:
        from paragon_async.api import subject
        from paragon_async.cli.present import is_present
        from paragon_async.threads import in_thread

        wanted = self._wanted
        records = self._named() if wanted.ids else self._all()
        async with aclosing(records):
            async for record in records:
                item = subject.of(record)
                if item.is_gone or item.is_folder:
                    if wanted.ids:
                        what = "a folder" if item.is_folder else "deleted at its source"
                        self._failed.append((item.label or item.id, f"it is {what}"))
                    continue
                path = wanted.to / item.file_name
                if not wanted.again and await in_thread(
                    is_present, path, item.evidence, record.updated_at
                ):
                    self._kept += 1
                    if now().for_program and not wanted.dry_run:
                        output.line({"record_id": item.id, "path": str(path), "status": "there"})
                    continue
                self._names[item.id] = item.label
                yield record

    async def _named(self) -> AsyncGenerator[Record, None]:
        from paragon_async.errors import NotFoundError

        for id_ in self._wanted.ids:
            try:
                yield await self._user.records.get(self._wanted.sync, id_)
            except NotFoundError as error:
                self._miss(id_, error)

    async def _all(self) -> AsyncGenerator[Record, None]:
        pages = self._user.records.pages(self._wanted.sync)
        async with aclosing(pages):
            async for page in pages:
                for record in page.records:
                    self._report.records += 1
                    if not record.deleted and self._wanted.matching(record):
                        yield record
                self._remaining, self._total = page.remaining, page.total
                self._tell()

    def _stored(self, saved: Saved) -> None:
        self._report.files += 1
        self._report.bytes += saved.size
        self._names.pop(saved.record_id or "", None)
        if now().for_program:
            told = attrs.asdict(saved)
            output.line({**told, "path": str(saved.path), "status": "downloaded"})
        self._tell()

    def _miss(self, id_: str, error: ParagonError) -> None:
        name = self._names.pop(id_, None)
        self._failed.append((name or id_, str(error)))
        if now().for_program:
            output.line({"record_id": id_, "name": name, "status": "failed", "error": str(error)})

    def _tell(self) -> None:
        from paragon_async.ingest.values import Progress

        self._report.seconds = self._now() - self._begun
        self.watch.tell(Progress(report=self._report, remaining=self._remaining, total=self._total))

    def told(self) -> int:
        """Tell how it ended; return the exit status."""
        report = self._report
        verb = "would be downloaded" if self._wanted.dry_run else "downloaded"
        count = (
            f"{report.files:,} file{'' if report.files == 1 else 's'} {verb}, {size(report.bytes)}"
        )
        output.note(f"{count}; {self._kept:,} were there" if self._kept else count)
        for name, why in self._failed[:_SHOWN]:
            output.warn(f"not downloaded: {name}: {why}")
        if len(self._failed) > _SHOWN:
            output.warn(f"and {len(self._failed) - _SHOWN} more")
        return Exit.NOT_ALL if self._failed else Exit.GOOD


def _make(folder: Path) -> None:
    from paragon_async.errors import DestinationError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationError(
            f"cannot make the folder {str(folder)!r}: {error.strerror}", errno=error.errno
        ) from error
