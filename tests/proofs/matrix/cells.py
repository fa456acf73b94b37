"""One cell: a fault in the way of a pull, a download or an ingest, and the outcome held against its word.

run(service, fault, column, case, room)
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack, asynccontextmanager

import attrs

from paragon_async import Paragon, ParagonError, SigningKey
from paragon_async.clock import SystemClock
from paragon_async.ingest import State
from paragon_async.transport.session import AiohttpSession
from tests.conftest import PROJECT
from tests.proofs import checker
from tests.proofs.matrix import columns, detours
from tests.proofs.matrix.faults import PATIENT
from tests.proofs.matrix.service import USER
from tests.proofs.matrix.wire import Plan

SPARE = 5  # attempts more, where a machine that is busy can spoil one
DEADLINE = 30  # of a run that never waits longer than a second or two


class Ahead(SystemClock):
    """A clock that is wrong."""

    def __init__(self, seconds):
        self._seconds = seconds

    def wall(self):
        return super().wall() + self._seconds


async def run(service, fault, column, case, room):
    """Try one way of a cell, and judge what came of it."""
    point = fault.points.get(column, {"pull": "page", "page": "page"}.get(column, "content"))
    before = checker.Standing.now()
    made = columns.COLUMNS[column](service, fault, point, room)
    await made.prepare()
    try:
        async with _laid(service, fault, point, case, made) as plan:
            error = await _tried(made, fault, plan)
            await _counted(plan, case.outcome)
        _is_declared(error, plan, case, fault)
        await checker.clean(before, room)
        if not fault.stays:
            service.served.mend()
        made.look(error)
        async with service.direct() as user:
            await made.judge(user, case.outcome, error)
            service.served.mend()
            await made.mended(user, error)
    finally:
        service.served.mend()
    await checker.clean(before, room)


@asynccontextmanager
async def _laid(service, fault, point, case, made):
    """Lay a wire with the fault in it, and give the operation its user."""
    plan = Plan(service.at(point), fault.script, case.lasting)
    options = {"ranges": fault.ranges, "fresh": fault.fresh}
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(service.laid(**options))
        made.wire = wire
        session = AiohttpSession(wire.url, fault.timeouts)
        used = session
        if fault.detour:
            place = detours.Place(made.room, wire, service.served, fault.timeouts)
            other = await stack.enter_async_context(fault.detour(place))
            front = Plan(service.at(point), (True,), case.lasting)
            used, plan = detours.Detour(session, other, front), plan if fault.script else front
        if not fault.detour or fault.script:
            wire.plan = plan
        if fault.rule:
            where = service.rules(point) | ({"skip": 0} if fault.primed else {})
            times = None if case.lasting else 1
            service.served.fault(**{**where, "times": times, **fault.rule})
        tokens = service.tokens
        if fault.ahead:
            tokens = SigningKey(PROJECT, service.key, clock=Ahead(fault.ahead))
        retry = fault.retry
        if _is_hasty(fault, case):
            retry = attrs.evolve(retry, attempts=retry.attempts + SPARE)
        paragon = Paragon(tokens=tokens, base_url=wire.url, session=used, retry=retry)
        made.user = paragon.user(USER)
        async with _homed(session, made, foreign=fault.foreign):
            if fault.held:
                await stack.enter_async_context(State(made.target))
            yield plan
            if session._session:
                assert not session._session.connector._acquired, "a connection is still in use"
        if fault.detour is None:
            assert not any("Authorization" in headers for headers in wire.strangers)


@asynccontextmanager
async def _homed(session, made, *, foreign):
    """Close the session at the end; a *foreign* one belongs to the loop of another thread."""
    if not foreign:
        try:
            yield
        finally:
            await session.aclose()
        return
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        work = made.user.syncs.status(made.service.sync_id)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))
        yield
    finally:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(session.aclose(), loop))
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)
        loop.close()


async def _tried(made, fault, plan):
    """Run the operation to its end, whatever that is; return what it raised."""
    task = asyncio.ensure_future(made.run())
    async with asyncio.timeout(DEADLINE):
        if fault.cancels:
            while not plan.hits and not task.done():  # noqa: ASYNC110  # a plan tells nobody
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            task.cancel()
        await asyncio.wait([task])
    if task.cancelled():
        return asyncio.CancelledError()
    return task.exception()


async def _counted(plan, outcome):
    """Wait until the wire has read what was sent: a request that was given up can be on its way."""
    for _ in range(500):
        if plan.attempts >= (outcome.attempts or 0):
            break
        await asyncio.sleep(0.01)


def _is_hasty(fault, case):
    """Tell whether a true answer can come too late, from a machine that is busy."""
    return fault.timeouts is not PATIENT and not case.lasting


def _is_declared(error, plan, case, fault):
    outcome = case.outcome
    if outcome.word == "cancelled":
        assert isinstance(error, asyncio.CancelledError), error
        return
    if isinstance(error, ParagonError):
        # Nothing of aiohttp hangs on to it: what that says can hold the token.
        assert isinstance(error.__cause__, ParagonError | OSError | None)
    word = type(error).__name__ if error else None
    assert outcome.word == word or (error is None and outcome.word[0].islower()), (
        f"{word or 'complete'}, where {outcome.word} is declared: {error}"
    )
    if outcome.attempts is None:
        return
    if _is_hasty(fault, case):
        assert plan.attempts >= outcome.attempts
    else:
        assert plan.attempts == outcome.attempts, (
            f"{plan.attempts} attempts, {outcome.attempts} declared"
        )
