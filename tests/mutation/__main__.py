"""How many mutants of the library's hearts its tests kill: `python -m tests.mutation [NAME ...]`.

For a release; it takes minutes. Needs mutmut. Prints a table, and each survivor as it differs from
the source. Fails where less than 85 of a hundred die, or where a survivor was not looked at:
`equivalents.toml` says of each that was why it is as good as the source.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import tomllib
from pathlib import Path

from tests.mutation.subjects import SUBJECTS
from tests.mutation.tool import Outcome, Survivor, measure

_ENOUGH = 85.0
_EQUIVALENTS = Path(__file__).with_name("equivalents.toml")
_HEAD = """\
| Part | Mutants | Killed | Timed out | Survived | of them equivalent | Score | Seconds |
|---|--:|--:|--:|--:|--:|--:|--:|"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SUBJECTS))
    names = parser.parse_args().names or list(SUBJECTS)
    if unknown := set(names) - set(SUBJECTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: {', '.join(SUBJECTS)}")
    if importlib.util.find_spec("mutmut") is None:
        parser.error("mutmut is not installed: pip install 'mutmut>=3.8,<4'")
    known = equivalents()
    unmet = {one for one in known if any(one.module in SUBJECTS[name].modules for name in names)}
    lines, is_good = [], True
    for name in names:
        began = time.monotonic()
        outcome = measure(SUBJECTS[name])
        strange = [one for one in outcome.survivors if one not in known]
        lines.append(row(name, outcome, len(strange), time.monotonic() - began))
        print(lines[-1], flush=True)  # noqa: T201  # a program
        for one in outcome.survivors:
            print(shown(one, known.get(one)), flush=True)  # noqa: T201  # a program
        is_good &= outcome.score >= _ENOUGH and not strange
        unmet -= set(outcome.survivors)
    for one in unmet:
        print(shown(one, "IS LISTED, AND DOES NOT SURVIVE ANY MORE"))  # noqa: T201  # a program
    print("\n".join(["", _HEAD, *lines]))  # noqa: T201  # a program
    return 0 if is_good else 1


def equivalents() -> dict[Survivor, str]:
    """Return the survivors that were looked at, and why no test can tell each from the source."""
    tables = tomllib.loads(_EQUIVALENTS.read_text())["mutant"]
    return {Survivor(**{k: v for k, v in t.items() if k != "why"}): t["why"] for t in tables}


def row(name: str, outcome: Outcome, strange: int, seconds: float) -> str:
    survived = len(outcome.survivors)
    return (
        f"| {name} | {outcome.mutants} | {outcome.killed} | {outcome.timed_out} | {survived} "
        f"| {survived - strange} | {outcome.score:.1f} % | {seconds:.0f} |"
    )


def shown(one: Survivor, why: str | None) -> str:
    old = "\n".join(f"  - {line}" for line in one.old.splitlines())
    new = "\n".join(f"  + {line}" for line in one.new.splitlines())
    return f"{one.module}: {one.function}: {why or 'NOT LOOKED AT'}\n{old}\n{new}"


if __name__ == "__main__":
    sys.exit(main())
