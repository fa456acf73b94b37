"""A soak: an emulator that answers badly now and then, and a process that works with it and is watched."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from paragon_async import Paragon
from paragon_async.emulator import Emulator
from tests.conftest import PROJECT
from tests.proofs import checker

FILES = 90
PROJECT_ROOT = Path(__file__).parents[2]
# Two calls of a hundred go wrong.
FAULTS = [
    {"status": 503},
    {"status": 429, "retry_after": 0.01},
    {"path": "*/content", "cut_after": 100},
    {"path": "*/content", "cut_after": 100, "reset": True},
    {"path": "*/records", "cut_after": 40, "reset": True},
]


def fill(source, dice):
    """Files of a few kilobytes, some empty, some of several hundred."""
    for number in range(FILES):
        folder = source / f"{number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        size = 0 if number % 15 == 0 else dice.randrange(1, 8_000)
        size = dice.randrange(300_000, 800_000) if number % 30 == 1 else size
        (folder / f"{number}.bin").write_bytes(dice.randbytes(size))


def change(source, dice):
    """Edit and rename a few files: the standing mirror has something to do."""
    for path in dice.sample(sorted(p for p in source.rglob("*") if p.is_file()), 4):
        if dice.random() < 0.5:
            path.write_bytes(dice.randbytes(dice.randrange(1, 8_000)))
        else:
            path.rename(path.with_name(f"{dice.getrandbits(60):x}"))


@attrs.define(eq=False)
class Soak:
    """One soak: `turn` does a round, `end` holds the mirror that stayed against its source."""

    drive: checker.Drive
    room: Path
    process: object
    dice: random.Random
    samples: list = attrs.field(factory=list)
    calls: int = 0
    faults: int = 0
    _begun: float = attrs.field(factory=time.monotonic)

    async def turn(self, word="go"):
        """Let the process do a round, and take its sample."""
        emulator = self.drive.emulator
        if word == "go" and len(self.samples) % 3 == 0:
            change(self.drive.source, self.dice)
            await emulator.refresh()
        if word:
            self.process.stdin.write(f"{word}\n".encode())
        line = await self.process.stdout.readline()
        assert line, "the process died"
        self.samples.append(json.loads(line) | {"at": time.monotonic() - self._begun})
        self.calls += len(emulator.requests)
        # What the emulator remembers of each call would be all that grows here.
        emulator.world.journal.clear()
        self.faults = sum(rule["hits"] for rule in emulator.faults.listed()) or self.faults

    async def end(self):
        """Let everything go right, and judge the mirror that stayed."""
        self.drive.emulator.faults.clear()
        await self.turn("last")
        self.samples.pop()
        await checker.whole(self.drive, self.room / "standing")


@asynccontextmanager
async def soaking(room, signing_key, leak="", steps=""):
    """Begin a soak in *room*; *leak* is a step that leaks on purpose, *steps* those done, by default all."""
    dice, source = random.Random(9), room / "drive"  # noqa: S311  # chance that can be repeated
    fill(source, dice)
    options = {"project_id": PROJECT, "signing_key": signing_key, "settle": 0, "rescan": 0}
    async with (
        Emulator(source, **options) as emulator,
        Paragon(project_id=PROJECT, signing_key=signing_key, base_url=emulator.url) as client,
    ):
        user = client.user("user-1")
        sync = await user.syncs.enable("googledrive", "files")
        await user.syncs.wait_until_idle(sync.id, timeout=120)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.soak.child", emulator.url, PROJECT, sync.id, str(room), steps, leak),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | emulator.environ,
            cwd=PROJECT_ROOT,
        )
        for seed, rule in enumerate(FAULTS):
            emulator.fault(times=None, probability=0.005, seed=seed, **rule)
        drive = checker.Drive(source, emulator, user, sync.id)
        soak = Soak(drive, room, process, dice)
        try:
            await soak.turn("")
            yield soak
        finally:
            process.stdin.close()
            await process.wait()
