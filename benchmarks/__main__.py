"""`python -m benchmarks [SUITE] [--quick] [--out FOLDER]`: ours, the floor and the peers, side by side.

Prints tables; a full run also writes RESULTS.md and the plots, beside this file.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import plots, results
from benchmarks.running import Setting, Table
from benchmarks.targets import verdicts

_HERE = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> list[Table]:
    """Measure what was asked for, print it, and keep it; return all tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", nargs="?", choices=results.SUITES, help="all of them without one")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: does it run")
    parser.add_argument("--out", type=Path, help="where RESULTS.md and plots go, also when quick")
    chosen = parser.parse_args(arguments)
    out = chosen.out or (None if chosen.quick else _HERE)
    made: list[Table] = []
    for suite in [chosen.suite] if chosen.suite else results.SUITES:
        tables = measured(suite, is_quick=chosen.quick)
        made += tables
        for table in tables:
            print(results.as_text(table), flush=True)
        if not chosen.quick:
            for each in verdicts(suite, tables):
                print(f"{each.what}: asked {each.wanted}, reached {each.reached}, {each.outcome}")
        if out:
            keep(out, suite, tables)
    return made


def measured(suite: str, *, is_quick: bool) -> list[Table]:
    """Run a suite; its progress goes to the standard error."""
    # `import` is no name for a file.
    name = "importing" if suite == "import" else suite
    begun = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - begun:6.1f} s] {suite}: {text}", file=sys.stderr, flush=True)

    module = importlib.import_module(f"benchmarks.suites.{name}")
    tables: list[Table] = module.measure(Setting(is_quick=is_quick, tell=tell))
    return tables


def keep(out: Path, suite: str, tables: Sequence[Table]) -> None:
    """Write a suite's plots, and its section of RESULTS.md."""
    folder = out / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        drawn = plots.bars(table)
        if drawn is not None:
            (folder / plots.file_name(suite, table)).write_text(drawn)
    path = out / "RESULTS.md"
    before = path.read_text() if path.exists() else ""
    path.write_text(results.page(before, {suite: results.section(suite, tables)}))


if __name__ == "__main__":
    main()
