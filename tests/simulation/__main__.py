"""python -m tests.simulation --seeds 0-9999: more seeds than the gate plays, for a release."""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import functools
import os
import sys
import time

from tests.simulation.run import SimulationError, simulate
from tests.simulation.world import TAIL


def played(seed, tail):
    """Play one seed in a process of its own; return what came of it, or the text of the failure."""
    try:
        return simulate(seed, tail=tail)
    except SimulationError as error:
        return str(error)


def main():
    """Play the seeds that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument(
        "--seeds", required=True, help="one seed, or the first and the last: 0-9999"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--hashes", action="store_true", help="print the hash of each trace")
    parser.add_argument("--tail", type=int, default=TAIL, help="lines of the trace of a failure")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    begun, failed = time.perf_counter(), 0
    total, ends = collections.Counter(), collections.Counter()
    play = functools.partial(played, tail=given.tail)
    with concurrent.futures.ProcessPoolExecutor(given.processes) as crew:
        for found in crew.map(play, seeds, chunksize=max(1, min(20, len(seeds) // 8))):
            if isinstance(found, str):
                failed += 1
                print(found, end="\n\n")  # noqa: T201  # a program
                continue
            if given.hashes:
                print(found.seed, found.digest, found.events)  # noqa: T201  # a program
            ends.update(f"{kind} {end}" for kind, end in found.ends)
            total.update(events=found.events, lives=found.lives, simulated=found.simulated)
    seconds = time.perf_counter() - begun
    print(  # noqa: T201  # a program
        f"{len(seeds)} seeds, {failed} failed, {seconds:.1f} s; {total['events']:,} events, "
        f"{total['lives']} lives, {total['simulated'] / 3600:,.0f} simulated hours, "
        f"{total['simulated'] / seconds:,.0f} simulated seconds a second"
    )
    for name, count in ends.most_common():
        print(f"  {count:6} {name}")  # noqa: T201  # a program
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
