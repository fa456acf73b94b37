"""Everything again and again, with two calls of a hundred going wrong: nothing grows.

    python -m tests.soak --minutes 60      before a release

Source: failures.md R9.
"""

from __future__ import annotations

import os
import sys
import time

import pytest

from tests.soak import judge
from tests.soak.leaks import LEAKS
from tests.soak.run import soaking

SECONDS = float(os.environ.get("PARAGON_SOAK", "30"))
WARM_UP = 4
JUDGED = 8
pytestmark = [
    pytest.mark.proof,
    pytest.mark.timeout(600 + 4 * SECONDS),
    pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read from /proc"),
]


async def test_nothing_grows(tmp_path, signing_key, capsys):
    """Pulls, downloads, ingests and webhooks, done and cancelled: no descriptor, task or thread more."""
    async with soaking(tmp_path, signing_key) as soak:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end or len(soak.samples) <= WARM_UP + JUDGED:
            await soak.turn()
        await soak.end()
    shown = judge.figures(soak.samples, WARM_UP)
    with capsys.disabled():
        print(f"\n{soak.calls} calls, {soak.faults} faults, {shown}")  # noqa: T201  # what is wanted
    assert judge.found(soak.samples, WARM_UP) == []
    assert soak.faults > soak.calls // 200


@pytest.mark.parametrize("leak", LEAKS)
async def test_a_leak_is_found(tmp_path, signing_key, leak):
    """One more file, connection, task, thread, buffer or list in each round: the judge names it."""
    async with soaking(tmp_path, signing_key, leak, steps="pulled") as soak:
        for _ in range(WARM_UP + JUDGED):
            await soak.turn()
    grown = judge.found(soak.samples, WARM_UP)
    kind = {
        "descriptor": "descriptors",
        "connection": "connections",
        "task": "tasks",
        "thread": "threads",
    }
    assert any(each.startswith(kind.get(leak, leak)) for each in grown), grown
