"""Tables as text and as Markdown, the machine they come from, and the page that keeps them.

RESULTS.md has a section for each suite, between two marks; measuring a suite replaces its section and
leaves everything else, such as what was tried and did not pay, as it is.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.running import Row, Table
from benchmarks.serving import server_name
from benchmarks.targets import Verdict, verdicts

SUITES = ("pull", "decode", "download", "many", "ingest", "import", "emulator")
_PACKAGES = (
    *("paragon-async", "aiohttp", "msgspec", "cattrs", "attrs", "anyio", "uvloop", "pyarrow"),
    *("httpx", "pydantic", "niquests", "obstore"),
)
_PROGRAMS = {"curl": "--version", "aria2c": "--version", "wget": "--version", "node": "--version"}
_MIB = 1 << 20
_PREFACE = """\
# Results

Written by `python -m benchmarks`. In each table all contenders did the same work in interleaved rounds,
each time in a new process, on one machine that the server shares. Wall and CPU seconds are those of the
client, without its start and its imports; programs such as curl are measured whole. Walls are medians,
with the shortest in brackets; ratios are the median of the rounds' own ratios, and above 1 is faster.
Memory is the most that a process ever held. Counts, sizes and hashes of what came are always checked.
"""
_TAIL = """
## What did not pay

Nothing is noted yet.
"""


def rate(table: Table, row: Row) -> tuple[str, str]:
    """Return a row's rate with its unit, and the unit alone; a single start has none but its time."""
    figure = row.figures[0]
    if figure.bytes and figure.bytes / figure.count >= _MIB:
        return f"{figure.bytes / _MIB / row.median():,.0f} MiB/s", "MiB/s"
    if figure.count == 1:
        return f"{row.median() * 1000:,.0f} ms", "ms"
    return f"{figure.count / row.median():,.0f} {table.unit}/s", f"{table.unit}/s"


def cells(table: Table) -> list[list[str]]:
    """Lay a table out: its head, then a list of cells a row."""
    against = "of the floor" if table.floor else "of the ideal" if table.ideal else ""
    extras = sorted({name for row in table.rows for each in row.figures for name in each.more})
    head = ["", "wall s (min)", "rate", against, "CPU s", "memory MB"]
    head += [name.replace("_", " ") for name in extras]
    return [head, *(_cells(table, row, extras) for row in table.rows)]


def _cells(table: Table, row: Row, extras: Sequence[str]) -> list[str]:
    if not row.figures:
        return [row.name, row.missing or "no figures", *[""] * (4 + len(extras))]
    ratio = table.speed(row.name, table.floor) if table.floor else None
    if table.ideal:
        ratio = table.ideal / row.median()
    more = [row.more(name) for name in extras]
    return [
        row.name,
        f"{row.median():.3f} ({row.least():.3f})",
        rate(table, row)[0],
        "" if ratio is None else f"{ratio:.2f}",
        f"{row.median(lambda figure: figure.cpu):.3f}",
        f"{row.median(lambda figure: figure.memory_mb):.0f}",
        *("" if value is None else f"{value:.2f}" for value in more),
    ]


def as_text(table: Table) -> str:
    """Show a table in a terminal."""
    rows = cells(table)
    # Why somebody is missing may be long: it does not make a column wide.
    told = [row for row in rows if row[2]]
    widths = [max(len(row[0]) for row in rows)]
    widths += [max(len(row[n]) for row in told) for n in range(1, len(rows[0]))]
    lines = [table.title, *(f"  {note}" for note in table.notes)]
    for row in rows:
        rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        rest = rest if row[2] else [row[1]]
        lines.append("  ".join([row[0].ljust(widths[0]), *rest]).rstrip())
    return "\n".join(lines) + "\n"


def as_markdown(table: Table) -> str:
    """Write a table for the page; our own rows are bold."""
    ours = {row.name for row in table.rows if row.is_ours}
    head, *rows = cells(table)
    lines = [f"### {table.title}", ""]
    lines += ["\n".join(table.notes), ""] if table.notes else []
    lines += [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for name, *rest in rows:
        lines.append(_line([f"**{name}**" if name in ours else name, *rest]))
    return "\n".join(lines) + "\n"


def judged(found: Sequence[Verdict]) -> str:
    """Write what was asked beside what was reached."""
    if not found:
        return ""
    lines = [_line(["asked", "wanted", "reached", ""]), _line(["---", "---:", "---:", "---"])]
    lines += [_line([each.what, each.wanted, each.reached, each.outcome]) for each in found]
    return "\n".join(lines) + "\n"


def section(suite: str, tables: Sequence[Table]) -> str:
    """Write a suite's section, with the machine and the versions of all who took part."""
    parts = [f"## {suite}", machine(), judged(verdicts(suite, tables)), *map(as_markdown, tables)]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def page(before: str, sections: Mapping[str, str]) -> str:
    """Put new sections into the page as it was, an empty text where there was none."""
    text = before or _PREFACE + _TAIL
    kept = {suite: found[0] for suite in SUITES if (found := _marked(suite).search(text))}
    first = min((text.index(found) for found in kept.values()), default=None)
    for old in kept.values():
        text = text.replace(old, "")
    where = text.index(_TAIL.split("\n")[1]) if first is None else first
    made = kept | {name: _marks(name, new) for name, new in sections.items()}
    return text[:where] + "".join(made[suite] for suite in SUITES if suite in made) + text[where:]


def machine() -> str:
    """Describe the machine, the server and all versions, without naming the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    found = [
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}: {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB",
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        f"server {server_name()}",
    ]
    packages = [f"{name} {_version(name)}" for name in _PACKAGES]
    programs = [f"{name} {_said(name, option)}" for name, option in _PROGRAMS.items()]
    return "; ".join([*found, ", ".join(packages + programs)]) + "."


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found[1] if found else platform.machine()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _said(program: str, option: str) -> str:
    path = shutil.which(program)
    if path is None:
        return "missing"
    said = subprocess.run([path, option], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r"\d+(\.\d+)+", said.stdout)
    return found[0] if found else "of unknown version"


def _marks(suite: str, text: str) -> str:
    return f"<!-- {suite} -->\n{text}<!-- end of {suite} -->\n\n"


def _marked(suite: str) -> re.Pattern[str]:
    return re.compile(rf"<!-- {suite} -->\n.*?<!-- end of {suite} -->\n\n", re.DOTALL)


def _line(values: Sequence[str]) -> str:
    return "| " + " | ".join(value.replace("|", "\\|") for value in values) + " |"
