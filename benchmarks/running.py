"""Cases and how they are run: every contender as a process of its own, in interleaved rounds.

    Contender   a way to do the work, and what it needs on this machine
    Case        one task, its contenders, and what must have come of it
    run(case)   → Table of Rows: figures per round, or why there are none
    Setting     what a suite's `measure(setting)` gets; it returns its tables

Nobody wins by not doing the work: counts and bytes are held against what there is, every written file
against its size, and one of them, another in each round, against its hash.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from benchmarks.task import Figure, Item, Task

_HERE = Path(__file__).parent
ROUNDS = 5
_ID = len("00000000-0000-0000-0000-000000000000")
_LONGEST = 900.0


class WrongWorkError(Exception):
    """A contender did not do what it was asked."""


@attrs.frozen(kw_only=True)
class Contender:
    """A way to do the work: *name* as the table shows it, *argv* as it is started.

    *needs* are what must be there, `module:httpx` or `program:curl`, else the row says what is
    missing. *options* go over those of the task. *is_ours* marks this package's rows.
    """

    name: str
    argv: tuple[str, ...]
    needs: tuple[str, ...] = ()
    options: dict[str, object] = attrs.field(factory=dict)
    is_ours: bool = False

    def missing(self) -> str | None:
        """Say what this machine lacks, None when it lacks nothing."""
        for need in self.needs:
            kind, _, name = need.partition(":")
            if kind == "module" and importlib.util.find_spec(name) is None:
                return f"{name} is not installed"
            if kind == "program" and shutil.which(name) is None:
                return f"{name} is not on this machine"
        return None


def python(
    name: str,
    client: str,
    verb: str,
    *needs: str,
    is_ours: bool = False,
    **options: object,
) -> Contender:
    """Make a contender of a client written in Python: module *client* of `benchmarks.clients`."""
    argv = (sys.executable, "-m", f"benchmarks.clients.{client}", verb)
    return Contender(name=name, argv=argv, needs=needs, options=options, is_ours=is_ours)


@attrs.frozen(kw_only=True)
class Case:
    """One task for several contenders.

    *floor* is the name of the contender that the others are measured by, or *ideal* a number of
    seconds. *count* and *size* are what must come. With *room*, a folder, each run gets an empty folder
    there, whose files are checked, by *digest* too, and removed. *before* and *after* are called around
    each run with the contender's name: what *after* returns is added to the figure's own. *unit*
    names what is counted.
    """

    title: str
    task: Task
    contenders: Sequence[Contender]
    count: int | None
    size: int | None = None
    floor: str | None = None
    ideal: float | None = None
    room: Path | None = None
    digest: Callable[[Item], str | None] | None = None
    before: Callable[[str], None] | None = None
    after: Callable[[str], dict[str, float]] | None = None
    rounds: int = ROUNDS
    unit: str = "records"
    notes: Sequence[str] = ()


@attrs.define(kw_only=True)
class Row:
    """A contender's figures, one a round; or, in *missing*, why there are none."""

    name: str
    is_ours: bool = False
    figures: list[Figure] = attrs.field(factory=list)
    missing: str = ""

    def median(self, of: Callable[[Figure], float] = lambda figure: figure.wall) -> float:
        """Return the median over the rounds, of the wall seconds unless said."""
        return statistics.median(of(figure) for figure in self.figures)

    def least(self) -> float:
        """Return the shortest wall seconds."""
        return min(figure.wall for figure in self.figures)

    def more(self, name: str) -> float | None:
        """Return the median of a figure of the case's own."""
        found = [figure.more[name] for figure in self.figures if name in figure.more]
        return statistics.median(found) if found else None


@attrs.define(kw_only=True)
class Table:
    """What a case gave, in the order of its contenders."""

    title: str
    rows: list[Row]
    floor: str | None = None
    ideal: float | None = None
    unit: str = "records"
    notes: list[str] = attrs.field(factory=list)

    def row(self, name: str) -> Row | None:
        """Return a contender's row, None when there is none or it has no figures."""
        return next((row for row in self.rows if row.name == name and row.figures), None)

    def speed(self, name: str, of: str) -> float | None:
        """Return how many times as fast *name* is as *of*: the median of the rounds' ratios."""
        one, other = self.row(name), self.row(of)
        if one is None or other is None:
            return None
        pairs = zip(one.figures, other.figures, strict=True)
        return statistics.median(peer.wall / mine.wall for mine, peer in pairs)


Tell = Callable[[str], None]


@attrs.frozen(kw_only=True)
class Setting:
    """How a suite is to be measured: *is_quick* for small sizes and one round; *tell* hears of it."""

    is_quick: bool
    tell: Tell

    def run(self, case: Case) -> Table:
        """Run one case of a suite."""
        return run(case, self.tell, is_quick=self.is_quick)


def run(case: Case, tell: Tell, *, is_quick: bool = False) -> Table:
    """Run a case and return its table; *tell* hears of the progress."""
    rows = [
        Row(name=each.name, is_ours=each.is_ours, missing=each.missing() or "")
        for each in case.contenders
    ]
    entries = [pair for pair in zip(case.contenders, rows, strict=True) if not pair[1].missing]
    rounds = 1 if is_quick else case.rounds
    for number in range(rounds):
        # Each round begins with another one: nobody is always first, or always after the same.
        first = number % len(entries) if entries else 0
        for contender, row in entries[first:] + entries[:first]:
            if row.missing:
                continue
            tell(f"{case.title}: {contender.name}, round {number + 1} of {rounds}")
            try:
                row.figures.append(_once(case, contender, number))
            except WrongWorkError as error:
                row.figures, row.missing = [], f"failed: {error}"
                tell(f"{contender.name} failed: {error}")
    return Table(
        title=case.title,
        rows=rows,
        floor=case.floor,
        ideal=case.ideal,
        unit=case.unit,
        notes=list(case.notes),
    )


def _once(case: Case, contender: Contender, number: int) -> Figure:
    options = case.task.options | contender.options
    task = attrs.evolve(case.task, options=options)
    if case.room is None:
        return _measured(case, contender, task)
    folder = Path(tempfile.mkdtemp(prefix="out-", dir=case.room))
    try:
        task = attrs.evolve(task, folder=str(folder))
        figure = _measured(case, contender, task)
        _check_files(case, folder, number)
    finally:
        shutil.rmtree(folder)
    return figure


def _measured(case: Case, contender: Contender, task: Task) -> Figure:
    if case.before:
        case.before(contender.name)
    env = os.environ | ({"SSL_CERT_FILE": task.ca_file} if task.ca_file else {})
    env["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(_HERE.parent), os.environ.get("PYTHONPATH")))
    )
    try:
        done = subprocess.run(  # noqa: S603  # a client of ours
            contender.argv,
            input=task.written(),
            capture_output=True,
            text=True,
            check=False,
            env=env,
            timeout=_LONGEST,
        )
    except subprocess.TimeoutExpired:
        raise WrongWorkError(f"not done in {_LONGEST:.0f} seconds") from None
    if done.returncode:
        last = done.stderr.strip().splitlines() or [f"no word, exit status {done.returncode}"]
        raise WrongWorkError(last[-1][:200])
    figure = Figure.read(done.stdout.strip().splitlines()[-1])
    if case.count is not None and figure.count != case.count:
        raise WrongWorkError(f"{figure.count} {case.unit} came, not {case.count}")
    if case.size is not None and figure.bytes != case.size:
        raise WrongWorkError(f"{figure.bytes} bytes came, not {case.size}")
    if case.after:
        figure = attrs.evolve(figure, more=figure.more | case.after(contender.name))
    return figure


def _check_files(case: Case, folder: Path, number: int) -> None:
    """Hold every file against its size, and one against its hash.

    Names are the contenders' own: a file's name, or that of its folder, begins with the record's id.
    """
    written: dict[str, Path] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            written[path.name[:_ID]] = written[path.parent.name[:_ID]] = path
    chosen = case.task.items[number % len(case.task.items)] if case.task.items else None
    for item in case.task.items:
        found = written.get(item.id)
        if found is None:
            raise WrongWorkError(f"the file of record {item.id} is not there")
        if found.stat().st_size != item.size:
            raise WrongWorkError(f"a file has {found.stat().st_size} bytes, not {item.size}")
        if case.digest and item is chosen:
            _check_content(found, case.digest(item))


def _check_content(path: Path, wanted: str | None) -> None:
    if wanted is None:
        return
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != wanted:
            raise WrongWorkError("the content of a file is wrong")
