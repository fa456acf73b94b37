"""Runs mutmut on a copy of the project, so that no mutated source ever stands in the tree.

Everything the tool must be told is written behind the copy's pyproject.toml. Hypothesis finds CI set
and draws the same examples every time: a mutant that dies, dies again.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

from tests.mutation.subjects import Subject

ROOT = Path(__file__).parents[2]
_COPIED = ("paragon_async", "tests", "pyproject.toml", "README.md")
# A mutant that loops may collect what it loops over.
_MOST_MEMORY = 4 << 30
_FACTOR = 4
_SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|JOIN|SET|VALUES|AND|ORDER BY)\b")


@attrs.frozen(kw_only=True)
class Survivor:
    """A mutant that every test accepted: the lines it takes away and puts in their place."""

    module: str
    function: str
    old: str
    new: str


@attrs.define(kw_only=True)
class Outcome:
    """What became of a subject's mutants; those that time out twice are killed.

    *void* are no mutants at all: SQL in other letters is the same statement.
    """

    killed: int = 0
    timed_out: int = 0
    void: int = 0
    survivors: list[Survivor] = attrs.field(factory=list)

    @property
    def mutants(self) -> int:
        return self.killed + self.timed_out + len(self.survivors)

    @property
    def score(self) -> float:
        return 100 * (self.killed + self.timed_out) / self.mutants if self.mutants else 0.0


def measure(subject: Subject) -> Outcome:
    """Make all mutants of a subject, and let its tests loose on each."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy = Path(folder)
        _copy(copy)
        _configure(copy, subject, factor=_FACTOR)
        _run(copy, *_patterns(subject))
        late = [name for name, status in _results(copy, subject) if status == "timeout"]
        if late:
            # A busy machine is late as well: who is late once gets twice the time.
            _configure(copy, subject, factor=2 * _FACTOR)
            _run(copy, *late)
        return _outcome(copy, subject)


def _copy(target: Path) -> None:
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target / name, ignore=ignored)
        else:
            shutil.copy2(source, target / name)


def _configure(copy: Path, subject: Subject, *, factor: int) -> None:
    options = {
        "source_paths": ["paragon_async"],
        "only_mutate": list(subject.sources),
        "pytest_add_cli_args_test_selection": list(subject.tests),
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-p", "no:xdist"],
        # Threads and loops of the tests must not stand in the process that forks.
        "process_isolation": "forkserver",
        "timeout_constant": 3.0,
        "timeout_multiplier": float(factor),
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
    project = (ROOT / "pyproject.toml").read_text()
    (copy / "pyproject.toml").write_text(
        "\n".join([project, "[tool.mutmut]", *lines, "use_git_change_detection = false", ""])
    )


def _patterns(subject: Subject) -> list[str]:
    names = subject.functions or ("*",)
    return [f"{module}.{name}__mutmut_*" for module in subject.modules for name in names]


def _mutmut(copy: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mutmut", *args],
        cwd=copy,
        env={**os.environ, "CI": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=_bound,
    )


def _bound() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))


def _run(copy: Path, *names: str) -> None:
    done = _mutmut(copy, "run", "--max-children", "1", *names)
    if done.returncode:
        raise SystemExit(f"mutmut failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


def _results(copy: Path, subject: Subject) -> list[tuple[str, str]]:
    """Return each mutant of the subject with what became of it."""
    shown = _mutmut(copy, "results", "--all", "true").stdout
    pairs = [line.strip().rsplit(": ", 1) for line in shown.splitlines() if "__mutmut_" in line]
    wanted = _patterns(subject)
    return [
        (name, status)
        for name, status in pairs
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)
    ]


def _outcome(copy: Path, subject: Subject) -> Outcome:
    outcome = Outcome()
    for name, status in _results(copy, subject):
        if status == "killed":
            outcome.killed += 1
        elif status == "timeout":
            outcome.timed_out += 1
        elif _is_void(survivor := _survivor(copy, name)):
            outcome.void += 1
        else:
            outcome.survivors.append(survivor)
    return outcome


def _is_void(one: Survivor) -> bool:
    return _SQL.search(one.old) is not None and one.old.casefold() == one.new.casefold()


def _survivor(copy: Path, name: str) -> Survivor:
    lines = _mutmut(copy, "show", name).stdout.splitlines()
    module, _, mangled = name.partition("__mutmut_")[0].rpartition(".")
    changed = [line for line in lines if line[:1] in "+-" and line[:3] not in {"+++", "---"}]

    def side(sign: str) -> str:
        return "\n".join(line[1:].strip() for line in changed if line.startswith(sign))

    return Survivor(
        module=module,
        function=mangled.removeprefix("x").replace("ǁ", ".").removeprefix("_").removeprefix("."),
        old=side("-"),
        new=side("+"),
    )
