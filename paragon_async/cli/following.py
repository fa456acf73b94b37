"""What `paragon-async ingest --follow` does: runs, again and again, and a receiver beside them.

DIR/.paragon/inbox.db          events that were answered and are not worked on yet
DIR/.paragon/webhook-secret    the secret that was made, so that the URL stays the same
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NoReturn

import attrs

from paragon_async.cli import answers, output, receiving
from paragon_async.cli.address import Address
from paragon_async.cli.watch import Watch
from paragon_async.client import ConnectedUser
from paragon_async.disk import SystemDisk
from paragon_async.errors import DestinationError, ParagonError
from paragon_async.ingest import Ingest, Report
from paragon_async.ingest.state import HOME
from paragon_async.threads import in_thread
from paragon_async.webhooks import Event, Inbox, Router


@attrs.frozen
class Hook:
    """Where events are received, and the file of their secrets, if they are not to be made."""

    address: Address
    secret_file: str | None = None


@attrs.frozen(kw_only=True)
class Following:
    """Follows a sync into the folder *to*, a run at least *every* seconds, and one for its events."""

    every: float
    hook: Hook | None = None
    quiet: bool = False

    async def follow(self, ingest: Ingest, user: ConnectedUser, to: Path, watch: Watch) -> NoReturn:
        """Run again and again, saying what changed, until cancelled."""
        if self.hook is None:
            await self._runs(ingest, to, watch, None)
        await _known(user, ingest.feed.sync)
        home = await in_thread(_home, to)
        who = await in_thread(receiving.given, self.hook.secret_file)
        if who is None:
            who = await in_thread(receiving.kept, home / "webhook-secret")
        inbox = Inbox(home / "inbox.db")
        incoming, router, begun = Router(), Router(), asyncio.Event()

        async def take(event: Event) -> None:
            await begun.wait()
            await router.dispatch(event)

        incoming.on(Event)(take)
        async with receiving.receiving(incoming, inbox, self.hook.address, who, quiet=self.quiet):
            # What an earlier process left in the inbox waits until somebody hears it.
            begun.set()
            await self._runs(ingest, to, watch, router)

    async def _runs(
        self, ingest: Ingest, to: Path, watch: Watch, events: Router | None
    ) -> NoReturn:
        dead = 0

        def on_report(report: Report) -> None:
            nonlocal dead
            watch.end()
            if report.created or report.updated or report.deleted or report.files:
                answers.change(ingest.feed.sync, report)
            if report.dead_letters > dead:
                hint = f"try them again: paragon-async ingest retry {to}"
                output.warn(f"{report.dead_letters} dead letters; {hint}")
            dead = report.dead_letters

        def on_error(error: ParagonError, seconds: float) -> None:
            watch.end()
            output.warn(f"{error}; trying again in {seconds:.0f} s")

        await ingest.follow(every=self.every, events=events, on_report=on_report, on_error=on_error)


async def _known(user: ConnectedUser, sync: str) -> None:
    """Let a mistyped sync end here, before anything is made; passing trouble is met by the runs."""
    try:
        await user.syncs.status(sync)
    except ParagonError as error:
        if not error.retryable:
            raise


def _home(to: Path) -> Path:
    """Make the folder of the state, which is the inbox's too."""
    home = to / HOME
    try:
        to.mkdir(parents=True, exist_ok=True)
        SystemDisk().make_folder(home)
    except OSError as error:
        raise DestinationError(
            f"cannot use {str(to)!r} for a mirror: {error.strerror or error}", errno=error.errno
        ) from error
    return home
