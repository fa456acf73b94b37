"""The whole engine in a simulated world, a thousand times: what one seed finds, it finds again (R5).

More of them, before a release: `python -m tests.simulation --seeds 0-99999`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.loop import HangError, Loop
from tests.simulation.run import SimulationError, simulate
from tests.simulation.wrong import WRONG

pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]
SEEDS = int(os.environ.get("PARAGON_SEEDS", "1000"))
FIRST = int(os.environ.get("PARAGON_FIRST_SEED", "0"))
BLOCK = 25
AGAIN = range(12)
ENOUGH = 150


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, BLOCK))
def test_whatever_a_seed_brings_the_mirror_is_true(first):
    """Faults, kills, power cuts, cancels: never a false promise, and in the end the drive, byte for byte."""
    ends, kinds = Counter(), Counter()
    for seed in range(first, min(first + BLOCK, FIRST + SEEDS)):
        found = simulate(seed)
        ends.update(found.ends)
        kinds.update(found.kinds)
    assert kinds["commit"] and kinds["sync folder"] and kinds["answer"], "nothing was simulated"
    assert len(ends) > 1, "one thing alone was done"


def test_the_seeds_reach_what_they_are_for():
    """Sixty seeds kill, cut the power, cancel and refuse, in every kind of act, over many hours."""
    found = [simulate(seed) for seed in range(60)]
    ends = Counter(end for one in found for end in one.ends)
    for kind in ("run", "reconcile", "verify", "retry", "follow"):
        assert ends[kind, "kill"] and ends[kind, "power"] and ends[kind, "cancelled"], kind
    errors = {end for _, end in ends if end.endswith("Error")}
    assert len(errors) >= 4, "too few runs meet an error that stops them"
    assert sum(one.simulated for one in found) > 24 * 3600
    assert sum(one.lives for one in found) > 150


def test_a_seed_is_played_again_exactly():
    """The same seed gives the same trace: here, and in a process whose hashes of strings are others."""
    here = {seed: simulate(seed) for seed in AGAIN}
    for seed, one in here.items():
        again = simulate(seed)
        assert (again.digest, again.events, again.ends) == (one.digest, one.events, one.ends), seed
    assert len({one.digest for one in here.values()}) == len(AGAIN)
    seeds = f"{AGAIN[0]}-{AGAIN[-1]}"
    program = [sys.executable, "-m", "tests.simulation", "--seeds", seeds, "--hashes"]
    for hashes in ("1", "2"):
        ran = subprocess.run(
            [*program, "--processes", "1"],
            cwd=Path(__file__).parents[2],
            env=os.environ | {"PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        )
        there = dict(re.findall(r"^(\d+) ([0-9a-f]{64}) \d+$", ran.stdout, re.MULTILINE))
        assert there == {str(seed): one.digest for seed, one in here.items()}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_part_that_promises_too_early_is_found(wrong):
    """A part of the engine that lies is found soon; the failure names its seed, and repeats with it."""
    parts = WRONG[wrong]
    for seed in range(ENOUGH):
        try:
            simulate(seed, parts)
        except SimulationError as error:
            told = str(error)
            break
    else:
        pytest.fail(f"{ENOUGH} seeds found nothing")
    assert told.startswith(f"seed {seed} failed\n")
    assert f"python -m tests.simulation --seeds {seed}" in told
    assert "tests/proofs/checker.py" in told, "it was not the judge who found it"
    with pytest.raises(SimulationError) as again:
        simulate(seed, parts)
    assert _trace(str(again.value)) == _trace(told)


def test_what_waits_for_ever_is_an_error():
    """A wait that nothing will end is found at once, and so is a loop that never comes to rest."""

    async def spin():
        for _ in itertools.count():
            await asyncio.sleep(0)

    for work in (asyncio.Event().wait, spin):
        loop = Loop(0.0, lambda: 0.0)
        with pytest.raises(HangError):
            loop.run(work(), lambda: False)
        loop.abandon()


def _trace(told):
    """Return the lines of the trace, in which random names are numbered."""
    return [line for line in told.splitlines() if re.match(r"\d+\.\d{6} ", line)]
