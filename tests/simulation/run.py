"""One seed from its beginning to its end: lives of the engine, each broken off, judged after every act.

After every act, however it ended, `checker.midway` holds the mirror against the feed. At the end the
faults cease, the sync comes to rest, a last run must complete, and `checker.whole` holds the mirror
against the drive itself, byte for byte.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import attrs

from paragon_async import Limits, Paragon
from paragon_async.errors import ConfigurationError, ParagonError, StateError
from paragon_async.ingest import FolderSink, Ingest, State
from tests.simulation.database import SimDatabase, connecting
from tests.simulation.disk import SimDisk
from tests.simulation.judge import Drive, look, look_at_all
from tests.simulation.loop import Loop
from tests.simulation.plan import plan
from tests.simulation.session import SYNC, SimSession, SimTokens, Weather
from tests.simulation.source import Source
from tests.simulation.world import TAIL, SimClock, World

_SHM = Path("/dev/shm")  # noqa: S108  # memory where there is some, else the machine's own folder


class SimulationError(AssertionError):
    """A seed failed: which, how to repeat it, and the end of its trace."""


@attrs.frozen(kw_only=True)
class Parts:
    """What the engine is made of; a test gives it a part that is wrong."""

    disk: type = SimDisk
    sink: type = FolderSink
    database: type = SimDatabase
    user: Callable = attrs.field(default=lambda user: user)


@attrs.frozen(kw_only=True)
class Outcome:
    """What a seed came to: the hash of its trace, and figures."""

    seed: int
    digest: str
    events: int
    lives: int
    simulated: float
    seconds: float
    ends: tuple
    kinds: dict


class Life:
    """One process: its loop, its client, and what it holds of the world."""

    def __init__(self, world, part):
        plan_, dice = world.plan, world.dice(f"threads {world.events}")
        slowness = plan_.slowness

        def delay():
            return dice.uniform(1, 40) if dice.random() < 0.001 else dice.expovariate(1 / slowness)

        self.loop = world.loop = Loop(world.now, delay)
        self.disk, self._world, self._parts = world.disk, world, part
        self.session = SimSession(world, world.source, world.weather, world.tokens)
        self.clock = SimClock(world, self.loop)
        self.client = Paragon(
            tokens=world.tokens,
            base_url="https://simulated.example.com",
            session=self.session,
            clock=self.clock,
            limits=Limits(calls=4, downloads=4),
        )

    def ingest(self, *, fuse):
        world, plan_ = self._world, self._world.plan
        state = State(
            self.disk.root,
            disk=self.disk,
            connect=connecting(world),
            clock=self.clock,
            database=self._parts.database,
        )
        sink = self._parts.sink(
            self.disk.root, durability=plan_.durability, disk=self.disk, clock=self.clock
        )
        return Ingest(
            self._parts.user(self.client.user("user-1")),
            SYNC,
            sink,
            state,
            concurrency=plan_.concurrency,
            bytes_at_once=plan_.bytes_at_once,
            page_size=plan_.page_size,
            fuse=fuse,
            clock=self.clock,
        )

    def nothing_left(self):
        """Assert that an act that ended by itself left nothing behind."""
        assert not self.loop.left(), self.loop.left()
        assert not self.session.open_now, "an answer was left open"
        assert not self.disk.open_now, "a file was left open"
        assert not self.loop.complaints, self.loop.complaints


class Simulation:
    """One world and its lives."""

    def __init__(self, seed, parts, folder, tail):
        world = self.world = World(seed, tail)
        self._parts = parts
        self._folder = folder
        self._ends = []
        self._lives = 0
        world.power_cuts = 0
        world.plan = plan(seed)
        world.source = Source(world, world.plan)
        world.weather = Weather(world, world.plan.errors)
        world.tokens = SimTokens()
        root = folder / "mirror"
        root.mkdir()
        self._grumbles = world.dice("grumbles")
        world.disk = parts.disk(world, root, self._spell)
        self._disk_errors = world.plan.disk_errors
        self.drive = Drive(world.source, folder / "drive")
        self._life = self._begin()

    def play(self):
        """Do what the plan says, then bring the world to rest, and look at everything."""
        for act in self.world.plan.acts:
            self._act(act)
            look(self.world, self.drive)
        self._rest()

    def outcome(self, seconds):
        world = self.world
        return Outcome(
            seed=world.seed,
            digest=world.digest,
            events=world.events,
            lives=self._lives,
            simulated=world.now,
            seconds=seconds,
            ends=tuple(self._ends),
            kinds=dict(world.kinds),
        )

    def _begin(self):
        self._lives += 1
        return Life(self.world, self._parts)

    def _spell(self, kind):
        """Refuse now and then; to close and to look cannot fail here."""
        if kind in {"close", "names"} or self._grumbles.random() >= self._disk_errors:
            return None
        return self._grumbles.choice((5, 28))  # EIO, ENOSPC

    def _act(self, act):
        world, life = self.world, self._life
        world.note("act", act.kind, act.end, act.at)
        work = self._work(act)
        if act.end in {"kill", "power"}:
            world.arrange(act.at, lambda: self._die(act.end))
        end = self._run(work, act)
        world.arrange(0, None)
        if not world.dead:
            life.nothing_left()
            if act.end == "power":
                # It came to its end first: then the power goes while nobody works.
                end = f"{end}, power"
                self._die("power")
        if world.dead:
            self._begin_again()
        self._ends.append((act.kind, end))
        world.note("end", end)

    def _begin_again(self):
        """Let a new process find what the dead one left."""
        world = self.world
        how, world.dead = world.dead, None
        world.power_cuts += how == "power"
        world.disk.restore(power=how == "power")
        self._life = self._begin()

    async def _work(self, act):
        world = self.world
        await asyncio.sleep(act.pause)
        ingest = self._life.ingest(fuse=world.plan.fuse)
        if act.end == "cancel":
            task = asyncio.current_task()
            world.arrange(act.at, lambda: world.loop.call_soon(task.cancel))
        doing = ingest.follow(every=60.0) if act.kind == "follow" else getattr(ingest, act.kind)()
        if act.end != "timeout":
            return await doing
        async with asyncio.timeout(act.at):
            return await doing

    def _run(self, work, act):
        """Run, and say how it ended; whatever was not declared is a failure."""
        world = self.world
        task = self._life.loop.run(work, lambda: world.dead is not None)
        world.now = self._life.loop.now
        if world.dead:
            return world.dead
        if task.cancelled():
            assert act.end == "cancel", "it was cancelled, and nobody did"
            return "cancelled"
        error = task.exception()
        if error is None:
            return "done"
        if isinstance(error, TimeoutError) and act.end == "timeout":
            return "timeout"
        if not isinstance(error, ParagonError) or isinstance(
            error, StateError | ConfigurationError
        ):
            raise error
        return type(error).__name__

    def _die(self, how):
        self.world.note("dies", how)
        self.world.disk.freeze()
        self.world.dead = how

    def _rest(self):
        world = self.world
        world.weather.calm_down()
        self._disk_errors = 0.0
        world.source.settle(world.now)
        world.note("rest")

        async def last():
            ingest = self._life.ingest(fuse=None)
            await ingest.run()
            await ingest.retry()

        task = self._life.loop.run(last(), lambda: False)
        world.now = self._life.loop.now
        task.result()
        self._life.nothing_left()
        self.drive.write()
        look_at_all(world, self.drive)
        assert world.is_full, "SQLite was not told to flush its commits"
        self._die("power")
        self._begin_again()
        look_at_all(world, self.drive, swept=False)


def simulate(seed, parts=None, tail=TAIL):
    """Play one seed; raises `SimulationError` with all that is needed to play it again."""
    begun = time.perf_counter()
    home = _SHM if _SHM.is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="paragon-simulation-", dir=home))
    simulation = None
    try:
        simulation = Simulation(seed, parts or Parts(), folder, tail)
        simulation.play()
        return simulation.outcome(time.perf_counter() - begun)
    except Exception as error:
        tail = "\n".join(simulation.world.tail) if simulation else ""
        why = "".join(traceback.format_exception(error))
        raise SimulationError(
            f"seed {seed} failed\n{tail}\n\n{why}\n"
            f"play it again: python -m tests.simulation --seeds {seed}"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
