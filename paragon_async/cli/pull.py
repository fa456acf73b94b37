"""`paragon-async pull`: the records of a sync as JSON lines, CSV, Parquet, or a table to look at."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from paragon_async.cli import output
from paragon_async.cli.connect import named, sync_argument, user_option
from paragon_async.cli.frame import command
from paragon_async.cli.outcome import perform
from paragon_async.cli.settings import now

if TYPE_CHECKING:
    from paragon_async import ConnectedUser, Page, Record
    from paragon_async.cli.formats import Format
    from paragon_async.cli.watch import Watch

_FORMATS = ("jsonl", "csv", "parquet")
_PAGE = 1000


def _fields(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    if value is None:
        return None
    names = [name.strip() for name in value.split(",")]
    if not all(names) or len(names) > len(set(names)):
        raise click.BadParameter(
            f"{value!r} names a field twice, or an empty one: say it like id,name,size",
            ctx=ctx,
            param=param,
        )
    return names


@attrs.frozen(kw_only=True)
class Wanted:
    """What of a sync is wanted, and where it goes. *target* None is standard output."""

    sync: str
    user: str | None
    form: str | None
    target: Path | None
    after: str | None
    book: Path | None
    limit: int | None
    fields: list[str] | None
    page_size: int
    force: bool


@command()
@sync_argument
@user_option
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    help="[default: by the file's suffix, or jsonl; a table on a terminal]",
)
@click.option(
    "-o", "--output", "target", metavar="FILE", callback=named, help="Instead of standard output."
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.option("--after", metavar="CURSOR", callback=named, help="Only what came after that cursor.")
@click.option(
    "--cursor", "book", metavar="FILE", callback=named,
    help="Begin after the cursor kept in FILE, and keep the last one there.",
)  # fmt: skip
@click.option("--limit", metavar="N", type=click.IntRange(1), help="At most so many records.")
@click.option(
    "--fields",
    metavar="A,B.C",
    callback=_fields,
    help="Only these fields, in this order; dots go deeper.",
)
@click.option("--page-size", type=click.IntRange(1), default=_PAGE, show_default=True)
def pull(*, target: str | None, book: str | None, **given: Any) -> int:
    """Pull the records of SYNC.

    The last cursor is told at the end: with --after, or kept by --cursor FILE, the next pull brings
    only what is new, changed or deleted since. A FILE has its name only once it is complete.

    \b
    paragon-async pull SYNC --user user-1 -o files.parquet
    paragon-async pull SYNC --user user-1 --cursor files.cursor >> files.jsonl
    paragon-async pull SYNC --user user-1 --fields id,name,size --format csv
    """  # noqa: D301  # the mark by which click leaves a paragraph as it is
    if book and given["after"]:
        raise click.UsageError("--after and --cursor both say where to begin: give one")
    return perform(
        _pull(
            Wanted(
                target=None if target in {None, "-"} else Path(str(target)),
                book=None if book is None else Path(book),
                **given,
            )
        )
    )


async def _pull(wanted: Wanted) -> int:
    from paragon_async.cli import connect, cursors, formats
    from paragon_async.cli.watch import Watch
    from paragon_async.errors import ParagonError

    after = wanted.after if wanted.book is None else cursors.read(wanted.book)
    form = formats.chosen(wanted.form, wanted.target, wanted.fields, force=wanted.force)
    is_seen = wanted.target is None and sys.stdout.isatty()
    console = None if now().quiet or is_seen else output.console(stderr=True)
    async with connect.client() as paragon:
        owner = connect.whose(paragon, wanted.user)
        with Watch(console) as watch, form:
            taken = _Taken(after)
            await _take(owner, wanted, taken, form, watch)
            form.finish()
    taken.is_whole = True
    if wanted.book is not None and taken.cursor is not None:
        try:
            cursors.write(wanted.book, taken.cursor)
        except ParagonError:
            output.warn(f"the cursor was not kept; what comes next: --after {taken.cursor}")
            raise
    for sentence in form.remarks():
        output.warn(sentence)
    _tell(taken, wanted)
    return 0


@attrs.define
class _Taken:
    """How far a pull has come: *cursor* stands behind the last page that was written whole."""

    cursor: str | None
    records: int = 0
    is_whole: bool = False


async def _take(
    owner: ConnectedUser, wanted: Wanted, taken: _Taken, form: Format, watch: Watch
) -> None:
    import time

    from paragon_async.ingest.values import Progress, Report

    begun = time.monotonic()
    pages = limited(owner, wanted.sync, taken.cursor, wanted.page_size, wanted.limit)
    try:
        async with aclosing(pages):
            async for page in pages:
                form.write(page.records)
                taken.cursor = page.cursor
                taken.records += len(page.records)
                report = Report(records=taken.records, seconds=time.monotonic() - begun)
                watch.tell(Progress(report=report, remaining=page.remaining, total=page.total))
    except BaseException:
        watch.end()
        if wanted.target is None and taken.records:
            # What stands on standard output is whole pages: the rest can be had by itself.
            _tell(taken, wanted)
        raise


async def limited(
    owner: ConnectedUser, sync: str, after: str | None, page_size: int, limit: int | None
) -> AsyncGenerator[Page[Record], None]:
    """Yield pages with *limit* records together, None for all; the last cursor stands at their end."""
    left = limit
    while left is None or left > 0:
        size = page_size if left is None else min(left, page_size)
        # The next page is asked for while this one is written, where it is certainly wanted.
        ahead = 1 if left is None or left >= 2 * size else 0
        pages = owner.records.pages(sync, after=after, page_size=size, pages_ahead=ahead)
        async with aclosing(pages):
            async for page in pages:
                if left is not None and len(page.records) > left:
                    # A service that gives more than was asked for: its cursor would skip some.
                    yield attrs.evolve(page, records=page.records[:left], cursor=after)
                    return
                yield page
                after = page.cursor
                left = None if left is None else left - len(page.records)
                if left is not None and left < size:
                    break
            else:
                return


def _tell(taken: _Taken, wanted: Wanted) -> None:
    count = f"{taken.records:,} record{'' if taken.records == 1 else 's'}"
    if wanted.target is not None and taken.is_whole:
        count += f" in {wanted.target}"
    if not taken.is_whole:
        count += " until then"
    if taken.cursor is None:
        output.note(count)
    elif wanted.book is not None and taken.is_whole:
        output.note(f"{count}; the cursor is kept in {wanted.book}")
    else:
        output.note(f"{count}; what comes next: --after {taken.cursor}")
