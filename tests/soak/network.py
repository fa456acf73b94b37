"""An ingest of 400 files over a network that is bad in every way at once.

    python -m tests.soak.network        for root, with ip, tc and nft: 3 % of packets lost, 20 Mbit/s,
                                        five seconds of nothing, RST after each megabyte

It works in a network of its own, which ends with it. The relay alone, in the gate: `test_network`.
Source: failures.md R10, A.5.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from paragon_async import Paragon, Retry, Timeouts
from paragon_async.emulator import Emulator
from paragon_async.emulator.auth import new_signing_key
from paragon_async.ingest import FolderSink, Ingest
from tests.conftest import PROJECT
from tests.proofs import checker
from tests.proofs.test_kill import fill
from tests.soak.relay import Relay

PATIENT = Retry(attempts=20, first_wait=0.05, longest_wait=1.0, budget=1_000_000)
_INSIDE = "--inside"
_LOSSY = (
    # A packet as on a real line: else a body is a handful of them, and none is lost.
    "ip link set lo mtu 1500 gso_max_size 1500 gso_max_segs 1 up",
    "tc qdisc add dev lo root tbf rate 20mbit burst 100kb latency 400ms",
    "nft add table ip bad",
    "nft add chain ip bad in { type filter hook input priority 0 ; }",
    "nft add rule ip bad in numgen random mod 100 < 3 counter drop",
)
_DARK = "nft insert rule ip bad in drop"
_LIGHT = "nft delete rule ip bad in handle {}"


async def mirrored(room, key, relay, during, timeouts):
    """Mirror 400 files through *relay* while `during(ingest)` goes on; return the report.

    The mirror is held against its source, which is asked without the relay.
    """
    source, mirror = room / "drive", room / "mirror"
    fill(source)
    options = {"project_id": PROJECT, "signing_key": key}
    async with (
        Emulator(source, settle=0, rescan=0, **options) as emulator,
        relay.before(emulator.url) as url,
        Paragon(base_url=emulator.url, **options) as near,
        Paragon(base_url=url, retry=PATIENT, timeouts=timeouts, **options) as far,
    ):
        user = near.user("user-1")
        sync = await user.syncs.enable("googledrive", "files")
        await user.syncs.wait_until_idle(sync.id, timeout=120)
        sink = FolderSink(mirror)
        ingest = Ingest(far.user("user-1"), sync.id, sink, mirror, concurrency=8, page_size=40)
        trouble = asyncio.create_task(during(ingest))
        report = await ingest.run()
        await trouble
        assert not report.dead_letters, report
        await checker.whole(checker.Drive(source, emulator, user, sync.id), mirror)
    return report


async def _dark_for_a_while(ingest):
    """Lose everything for five seconds, once a quarter is there."""
    while ingest.progress.report.files < 100:  # noqa: ASYNC110  # a count, no event
        await asyncio.sleep(0.05)
    await asyncio.to_thread(_shell, _DARK)
    await asyncio.sleep(5)
    shown = await asyncio.to_thread(_shell, "nft -a list chain ip bad in")
    rules = [line for line in shown.splitlines() if "drop" in line and "numgen" not in line]
    await asyncio.to_thread(_shell, _LIGHT.format(rules[0].split()[-1]))


def _shell(command):
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout


def main():
    """Make a network, spoil it, and mirror."""
    if _INSIDE not in sys.argv:
        here = [sys.executable, "-m", "tests.soak.network", _INSIDE]
        os.execvp("unshare", ["unshare", "--net", *here])  # noqa: S606, S607  # it must be on the path
    for command in _LOSSY:
        _shell(command)
    relay, begun = Relay(dice=random.Random(10), rate=1e9), time.monotonic()  # noqa: S311  # can be repeated
    with tempfile.TemporaryDirectory() as room:
        made = mirrored(
            Path(room), new_signing_key(), relay, _dark_for_a_while, Timeouts(idle=2, headers=4)
        )
        report = asyncio.run(made)
    lost = next(
        line for line in _shell("nft list chain ip bad in").splitlines() if "numgen" in line
    )
    seconds = time.monotonic() - begun
    print(  # noqa: T201  # a program
        f"{report.files} files, {report.bytes:,} bytes in {seconds:.1f} s; {relay.connections} connections, "
        f"{relay.resets} reset after a megabyte; {lost.strip()}"
    )


if __name__ == "__main__":
    main()
