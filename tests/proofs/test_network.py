"""A bad network: slow, dark for a while, with connections that are reset. The mirror ends whole.

On real packets, with loss, for root: `python -m tests.soak.network`. Source: failures.md R10, A.5.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from paragon_async import Timeouts
from tests.soak.network import mirrored
from tests.soak.relay import Relay

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]
FILES = 400
LARGE = 6
# The darkness ends when so many have given up, however slow this machine is.
GIVEN_UP = 8


async def test_an_ingest_over_a_bad_network_ends_whole(tmp_path, signing_key, capsys):
    """20 Mbit/s, RST after 1 MB and at random, nothing at all for a while: 400 files, none wrong."""
    dice = random.Random(10)  # noqa: S311  # chance that can be repeated
    relay = Relay(dice=dice, cut=0.3)

    async def during(ingest):
        while ingest.progress.report.files < FILES // 4:  # noqa: ASYNC110  # a count, no event
            await asyncio.sleep(0.01)
        relay.darken()
        while relay.given_up < GIVEN_UP:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)
        relay.lighten()

    timeouts = Timeouts(headers=2, idle=2)
    report = await mirrored(tmp_path, signing_key, relay, during, timeouts)
    assert report.files == FILES
    # None of the large ones came in one piece.
    assert relay.resets + relay.cuts >= LARGE
    assert relay.cuts
    assert relay.given_up >= GIVEN_UP
    with capsys.disabled():
        print(  # noqa: T201  # the figures are what is wanted
            f"\n{relay.connections} connections, {relay.resets} reset after a megabyte, {relay.cuts} "
            f"sooner, {relay.given_up} given up in the dark"
        )
