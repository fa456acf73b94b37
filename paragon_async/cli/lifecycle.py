"""What `paragon-async syncs` does. What would change a sync looks at it first, and can stop there."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal, get_args

from paragon_async import ConnectedUser, Frequency, Sync, SyncStatus
from paragon_async.cli import connect, output
from paragon_async.cli.exits import Exit
from paragon_async.cli.outcome import stop
from paragon_async.cli.output import Column, Row
from paragon_async.cli.safe import plain

_AT_WORK = ("INITIALIZING", "ACTIVE", "RATE_LIMITED")
_LISTED = (
    Column("id", whole=True),
    Column("integration"),
    Column("pipeline"),
    Column("status", whole=True),
    Column("configuration_name", "name"),
)


async def listed(user: str | None, credential: str | None) -> int:
    """List the syncs of a user."""
    async with _user(user) as mine:
        found = await mine.syncs.list(credential_id=credential)
    output.rows([output.fields(one) for one in found], _LISTED, nothing="this user has no sync")
    return Exit.GOOD


async def enabled(
    user: str | None,
    integration: str,
    pipeline: str,
    *,
    name: str,
    configuration: dict[str, Any],
    credential: str | None,
    wait: bool,
    dry_run: bool,
) -> int:
    """Enable a sync, and wait for its first run if asked to."""
    async with _user(user) as mine:
        if dry_run:
            wanted = (integration, pipeline, name)
            there = await mine.syncs.list()
            same = (s for s in there if (s.integration, s.pipeline, s.configuration_name) == wanted)
            known = next(same, None)
            what = {"integration": integration, "pipeline": pipeline, "configuration_name": name}
            return _would("enable" if known is None else "show", known, what)
        sync = await mine.syncs.enable(
            integration,
            pipeline,
            configuration=configuration,
            configuration_name=name,
            credential_id=credential,
        )
        found = output.fields(sync)
        if wait:
            output.note(f"sync {sync.id} is {sync.status}; waiting for its first run")
            now = await mine.syncs.wait_until_idle(sync.id)
            found["status"] = now.status
    output.one(found)
    return Exit.GOOD


async def state(user: str | None, sync: str) -> int:
    """Show the state of a sync; what needs somebody's hands is status 1."""
    async with _user(user) as mine:
        found = await mine.syncs.status(sync)
    output.one(_state(sync, found))
    if found.status == "ERRORED":
        output.warn(
            f"sync {sync} is suspended: {found.reason or 'no reason is given'}",
            f"mend the cause, then `paragon-async syncs reenable {sync}`",
        )
        return Exit.NOT_ALL
    return Exit.GOOD


async def waited(user: str | None, sync: str, timeout: float | None) -> int:  # noqa: ASYNC109  # the API's own
    """Wait until a sync is idle, and show its state."""
    async with _user(user) as mine:
        before = await mine.syncs.status(sync)
        if before.status in _AT_WORK:
            output.note(f"sync {sync} is {before.status}; waiting until its run is complete")
        found = await mine.syncs.wait_until_idle(sync, timeout=timeout)
    output.one(_state(sync, found))
    return Exit.GOOD


async def updated(
    user: str | None, sync: str, credential: str | None, every: str | None, *, dry_run: bool
) -> int:
    """Change a sync."""
    frequency: Frequency | None = next((f for f in get_args(Frequency) if f == every), None)
    asked = {"credential_id": credential, "incremental_frequency": every}
    async with _user(user) as mine:
        before = await mine.syncs.status(sync)
        if dry_run:
            return _would("update", None, {**_state(sync, before), "to": asked})
        await mine.syncs.update(sync, credential_id=credential, incremental_frequency=frequency)
    output.one({"id": sync, "updated": True, **asked})
    output.note("the service carries it out with its next run")
    return Exit.GOOD


async def disabled(user: str | None, sync: str, *, dry_run: bool) -> int:
    """Pause a sync."""
    return await _switched("disable", user, sync, dry_run=dry_run)


async def reenabled(user: str | None, sync: str, *, dry_run: bool) -> int:
    """Resume a sync."""
    return await _switched("reenable", user, sync, dry_run=dry_run)


async def _switched(
    verb: Literal["disable", "reenable"], user: str | None, sync: str, *, dry_run: bool
) -> int:
    async with _user(user) as mine:
        before = await mine.syncs.status(sync)
        if dry_run:
            return _would(verb, None, _state(sync, before))
        await (mine.syncs.disable if verb == "disable" else mine.syncs.reenable)(sync)
    output.one({"id": sync, f"{verb}d": True, "was": before.status})
    return Exit.GOOD


async def deleted(user: str | None, sync: str, *, dry_run: bool, yes: bool) -> int:
    """Delete a sync, and on a terminal ask before."""
    async with _user(user) as mine:
        before = await mine.syncs.status(sync)
        if dry_run:
            return _would("delete", None, _state(sync, before))
        records = before.summary.total_records
        count = "its records" if records is None else f"its {records:,} records"
        if not yes and not await _confirmed(f"Delete sync {sync} and {count} for ever?"):
            stop("nothing was deleted: the answer was no", Exit.STOPPED)
        await mine.syncs.delete(sync)
    output.one({"id": sync, "deleted": True, "records": records})
    return Exit.GOOD


@asynccontextmanager
async def _user(user: str | None) -> AsyncGenerator[ConnectedUser]:
    async with connect.client() as paragon:
        yield connect.whose(paragon, user)


async def _confirmed(question: str) -> bool:
    """Ask a person; a program is taken at its word."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    print(f"{plain(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    loop, keyboard = asyncio.get_running_loop(), sys.stdin.fileno()
    typed: asyncio.Future[None] = loop.create_future()
    # Not `input()`: it would hold the loop, and with it Ctrl-C.
    loop.add_reader(keyboard, lambda: None if typed.done() else typed.set_result(None))
    answer = b""
    try:
        await typed
        answer = os.read(keyboard, 1024)
    finally:
        loop.remove_reader(keyboard)
        if not answer.endswith(b"\n"):
            print(file=sys.stderr)
    return answer.strip().lower() in {b"y", b"yes"}


def _would(action: str, sync: Sync | None, what: Row) -> int:
    output.one({"would": action, **what, **({} if sync is None else output.fields(sync))})
    output.note("nothing was done: this is a dry run")
    return Exit.GOOD


def _state(sync: str, found: SyncStatus) -> Row:
    """Return the keys of a state, one level deep."""
    summary = found.summary
    return {
        "id": sync,
        "status": found.status,
        "reason": found.reason,
        "integration": found.integration,
        "pipeline": found.pipeline,
        "records": summary.total_records,
        "synced_records": summary.synced_records_count,
        "completed_at": found.completed_at,
        "latest_cursor": summary.latest_cursor,
        "credential_id": found.credential_id,
        "incremental_frequency": found.incremental_accumulator_frequency,
        "rate_limit_backoff_ms": found.rate_limit_backoff_ms,
        "extra": found.extra,
    }
