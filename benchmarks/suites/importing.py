"""`import`: what it costs to begin, each time in a new process."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.running import Case, Contender, Setting, Table, python
from benchmarks.task import Task

TITLE = "Importing, whole processes"
NOTHING = "python -c pass"
AIOHTTP = "import aiohttp"
OURS = "import paragon_async; paragon_async.Paragon"
HELP = "paragon-async --help"
_ROUNDS = 15


def measure(setting: Setting) -> list[Table]:
    """Start each program, at least 15 times in turn."""
    command = Path(sys.executable).with_name("paragon-async")
    # Beside a script the package's own folder is found; `-m` says the same where none was installed.
    starts = [str(command)] if command.exists() else [sys.executable, "-m", "paragon_async"]
    case = Case(
        title=TITLE,
        task=Task(),
        contenders=[
            _program(NOTHING, sys.executable, "-c", "pass"),
            _program(AIOHTTP, sys.executable, "-c", AIOHTTP),
            _program(OURS, sys.executable, "-c", OURS, is_ours=True),
            _program(HELP, *starts, "--help", is_ours=True),
        ],
        count=1,
        floor=NOTHING,
        rounds=_ROUNDS,
        unit="starts",
    )
    return [setting.run(case)]


def _program(name: str, *argv: str, is_ours: bool = False) -> Contender:
    return python(name, "startup", "program", is_ours=is_ours, argv=list(argv))
