"""What the ingest commands answer: tables for a person, one line of JSON for a program.

Results go to standard output; what is wrong with them, and what to do, to standard error.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from rich.table import Table
from rich.text import Text

from paragon_async.cli.figures import bar, rate, size, span
from paragon_async.cli.outcome import plain
from paragon_async.cli.output import console, line, warn
from paragon_async.cli.settings import now

if TYPE_CHECKING:
    from paragon_async.ingest.overview import Overview, Ran
    from paragon_async.ingest.preview import Preview
    from paragon_async.ingest.refresh import Verified
    from paragon_async.ingest.values import DeadLetter, Report

SHOWN = 10
Rows = Sequence[tuple[str, str]]


def has_reader() -> bool:
    """Tell whether a person reads the results, and not a program."""
    return not now().for_program


def report(sync: str, found: Report) -> None:
    """Answer with what a run came to."""
    if not has_reader():
        _line({"sync": sync, **attrs.asdict(found)})
        return
    speed = f"{size(rate(found.bytes, found.seconds))}/s"
    table(
        [
            ("sync", sync + (f", {found.status}" if found.status else "")),
            ("records", f"{found.records:,}"),
            ("created", f"{found.created:,}"),
            ("updated", f"{found.updated:,}"),
            ("deleted", f"{found.deleted:,}"),
            ("unchanged", f"{found.unchanged:,}"),
            ("files", f"{found.files:,}"),
            ("bytes", size(found.bytes)),
            ("dead letters", f"{found.dead_letters:,}"),
            ("seconds", f"{found.seconds:.1f}"),
            (
                "rate",
                speed if found.bytes else f"{rate(found.records, found.seconds):,.0f} records/s",
            ),
        ]
    )


def change(sync: str, found: Report) -> None:
    """Answer with one line for a run that changed something."""
    if not has_reader():
        _line({"sync": sync, **attrs.asdict(found)})
        return
    counted = {
        "created": found.created,
        "updated": found.updated,
        "deleted": found.deleted,
        "files": found.files,
        "dead letters": found.dead_letters,
    }
    parts = [f"{count:,} {name}" for name, count in counted.items() if count]
    print(f"{time.strftime('%H:%M:%S')}  {', '.join([*parts, size(found.bytes)])}", flush=True)


def verified(sync: str, found: Verified, left: Collection[str]) -> None:
    """Answer with what was found to be there; what was not is listed on standard error.

    Of what was damaged, contents whose ids are in *left* still are.
    """
    mended = len(found.places) if found.is_mended else 0
    if not has_reader():
        told = {**attrs.asdict(found), "places_mended": mended, "is_good": found.is_good}
        _line({"sync": sync, **told})
    else:
        table(
            [
                ("sync", sync),
                ("contents", f"{found.contents:,}"),
                ("bytes", size(found.bytes)),
                ("damaged", f"{len(found.damaged):,}"),
                ("mended", f"{found.restored:,}"),
                ("files of rows damaged", f"{len(found.places):,}"),
                ("files of rows mended", f"{mended:,}"),
                ("dead letters", f"{found.dead_letters:,}"),
            ]
        )
    bad = [(id_ in left, path) for id_, path in found.damaged.items()]
    bad += [(not found.is_mended, place) for place in found.places]
    # What still is to be looked after comes first.
    bad.sort(key=lambda one: not one[0])
    for is_left, path in bad[:SHOWN]:
        warn(f"{'gone or altered' if is_left else 'mended'}: {path}")
    _more(len(bad))


def letters(found: Sequence[DeadLetter], count: int, folder: Path) -> None:
    """List dead letters on standard error, and say how they are taken up again."""
    for letter in found[:SHOWN]:
        reason = f"{letter.name or letter.id} ({letter.kind}): {letter.reason}"
        warn(f"dead letter: {reason}")
    _more(count)
    warn(f"try them again: paragon-async ingest retry {folder}")


def preview(sync: str, found: Preview) -> None:
    """Answer with what a run would do."""
    if not has_reader():
        _line({"sync": sync, **attrs.asdict(found)})
        return
    share = f", {found.share:.1%} of the mirror" if found.deleted else ""
    table(
        [
            ("sync", sync),
            ("records in the feed", f"{found.records:,}"),
            ("would be created", f"{found.created:,}"),
            ("would be updated", f"{found.updated:,}"),
            ("would be deleted", f"{found.deleted:,}{share}"),
            ("unchanged", f"{found.unchanged:,}"),
            ("contents to fetch", f"{found.files:,}, {size(found.bytes)}"),
        ]
    )


def status(found: Overview) -> None:
    """Answer with what a mirror holds of one feed."""
    if not has_reader():
        told = attrs.asdict(found)
        _line({**told.pop("feed"), **told})
        return
    feed = found.feed
    dead = ", ".join(f"{count:,} {kind}" for kind, count in found.dead.items())
    last = [("last runs" if not n else "", line) for n, line in enumerate(_ran(found.runs))]
    rows = [
        ("sync", feed.sync),
        ("user", feed.user or "the one of the token"),
        ("project", feed.project or "the one of the token"),
        ("destination", found.sink + (f", rows as {found.format}" if found.format else "")),
        ("cursor", _age(found)),
        ("records", f"{found.records:,}, and {found.deleted:,} deleted"),
        ("contents", f"{found.contents:,}, {size(found.bytes)}"),
        ("dead letters", dead or "none"),
        ("to be deleted", f"{found.doomed:,}" if found.doomed else "none"),
        *last,
        ("now", _now(found)),
    ]
    table(rows)


def table(rows: Rows) -> None:
    """Print names and values; text from outside is never taken for markup or control."""
    grid = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(name), Text(plain(value)))
    console().print(grid)


def _ran(runs: Sequence[Ran]) -> list[str]:
    """Return a line for each run, its rate as a bar beside the others'."""
    rates = [rate(ran.report.records, ran.report.seconds) for ran in runs]
    most = max(rates, default=0.0)
    lines = []
    for ran, each in zip(runs, rates, strict=True):
        found = ran.report
        counted = f"{found.records:,} records, {found.files:,} files, {size(found.bytes)}"
        when = f"{span(time.time() - ran.started_at)} ago"
        told = f"{when}: {ran.kind}, {ran.outcome}, {counted} in {found.seconds:.1f} s"
        lines.append(f"{bar(each, most):12} {each:>9,.0f}/s  {told}")
    return lines


def _age(found: Overview) -> str:
    """Tell the cursor, and when a run last went through to its end."""
    if found.cursor is None:
        return "none yet"
    done = [r for r in found.runs if r.outcome == "done" and r.kind in {"run", "reconcile"}]
    if not done:
        return f"{found.cursor}, of a run that did not come to its end"
    ended = done[0].started_at + done[0].report.seconds
    return f"{found.cursor}, {span(time.time() - ended)} old"


def _now(found: Overview) -> str:
    if found.held_by:
        return f"at work: {found.held_by}"
    if found.is_cut_off:
        return "nobody works on it; the last run did not come to its end, the next one goes on"
    return "nobody works on it"


def _more(count: int) -> None:
    if count > SHOWN:
        warn(f"and {count - SHOWN} more")


def _line(values: dict[str, Any]) -> None:
    line(values)
    sys.stdout.flush()
