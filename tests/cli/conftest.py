"""What tests of the command share: it in this process, beside the emulator, and a sync with records."""

from __future__ import annotations

import asyncio

import pytest
from click.testing import CliRunner

from paragon_async.cli.root import cli

EVIL = "evil\x1b[31m\u202e\x9b.txt"


@pytest.fixture
def call(emulator):
    """Run the command in a thread, for the emulator answers from this loop."""
    nothing = {"PARAGON_USER_TOKEN": None, "PARAGON_LOG": None}

    async def call(*arguments, given=None, **environ):
        runner = CliRunner(env=emulator.environ | nothing | environ)
        return await asyncio.to_thread(runner.invoke, cli, list(map(str, arguments)), given)

    return call


@pytest.fixture
async def evil(folder, sync_id, emulator, user):
    """A record whose name would turn a terminal red, and the direction of writing."""
    (folder / EVIL).write_text("evil")
    await emulator.refresh()
    return next(
        r.id for r in [r async for r in user.records.pull(sync_id)] if r.data["name"] == EVIL
    )
