"""python -m tests.soak --minutes 60: everything, again and again, for a release.

Ends with 1 where a process holds more than it did, or where the mirror is not its source.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from paragon_async.emulator.auth import new_signing_key
from tests.soak import judge
from tests.soak.leaks import LEAKS
from tests.soak.run import soaking

_EVERY = 20


async def soak(minutes, warm_up, leak):
    """Go round for so many minutes; return what has grown."""
    with tempfile.TemporaryDirectory() as room:
        async with soaking(Path(room), new_signing_key(), leak) as made:
            end = time.monotonic() + minutes * 60
            while time.monotonic() < end or len(made.samples) < warm_up + 6:
                await made.turn()
                if len(made.samples) % _EVERY == 0:
                    _say(made.samples[-1])
            await made.end()
            _say(
                judge.figures(made.samples, warm_up) | {"calls": made.calls, "faults": made.faults}
            )
            return judge.found(made.samples, warm_up)


def _say(figures):
    shown = (f"{name} {value:,.6g}" for name, value in figures.items())
    print(", ".join(shown), flush=True)  # noqa: T201  # a program


def main():
    """Soak as long as is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--warm-up", type=int, default=10, help="rounds that are not judged")
    parser.add_argument("--leak", choices=LEAKS, default="", help="leak on purpose")
    chosen = parser.parse_args()
    grown = asyncio.run(soak(chosen.minutes, chosen.warm_up, chosen.leak))
    for each in grown:
        print(f"grown: {each}")  # noqa: T201  # a program
    return int(bool(grown))


if __name__ == "__main__":
    sys.exit(main())
