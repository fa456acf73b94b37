"""What `paragon-async ingest` does, as a program of a user's own would: the engine, and its figures.

run                        from the saved cursor to the end, or again and again
each                       one action for every feed that a mirror holds
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import attrs

from paragon_async import Limits, Paragon
from paragon_async.auth import Rejection, Secret
from paragon_async.cli import answers, output
from paragon_async.cli.connect import client, whose
from paragon_async.cli.watch import Watch
from paragon_async.client import BASE_URL, ConnectedUser
from paragon_async.errors import ConfigurationError
from paragon_async.ingest import FolderSink, Ingest, Report
from paragon_async.ingest.overview import Overview, is_mirror, lacking, look
from paragon_async.ingest.preview import preview

if TYPE_CHECKING:
    from paragon_async.cli.following import Following

Durability = Literal["file", "batch"]
_FOLDER = "folder:"
_AT_WORK = ("INITIALIZING", "ACTIVE")


@attrs.frozen(kw_only=True)
class Manner:
    """How contents are brought. *content* None leaves it to what the mirror holds."""

    content: bool | None = None
    concurrency: int = 16
    durability: Durability = "file"
    fuse: float = 0.5
    quiet: bool = False

    def client(self) -> Paragon:
        """Return a client with credentials from the environment."""
        return client(limits=Limits(downloads=self.concurrency))

    def watch(self) -> Watch:
        """Return what shows progress, on standard error."""
        return Watch(None if self.quiet else output.console(stderr=True))


async def run(
    sync: str,
    user: str | None,
    to: Path,
    *,
    parquet: bool,
    following: Following | None,
    manner: Manner,
) -> int:
    """Mirror a sync into *to*, with *following* again and again; return the exit status."""
    known = await asyncio.to_thread(look, to) if is_mirror(to) else []
    with manner.watch() as watch:
        sink = FolderSink(to, durability=manner.durability, records=_format(known, to, parquet))
        async with manner.client() as paragon:
            owner = whose(paragon, user)
            _fits(known, owner, sync, to)
            ingest = Ingest(
                owner,
                sync,
                sink,
                to,
                contents=manner.content is not False,
                concurrency=manner.concurrency,
                fuse=manner.fuse,
                on_progress=watch.tell,
            )
            if following is not None:
                await following.follow(ingest, owner, to, watch)
            report = await ingest.run()
        watch.end()
    answers.report(sync, report)
    if report.status in _AT_WORK:
        output.note(
            f"the sync is still {report.status}: more will come; run again later or use --follow",
        )
    return await _letters(report, to, sync)


async def look_ahead(sync: str, user: str | None, to: Path, *, content: bool) -> int:
    """Tell what a run into *to* would do; return the exit status."""
    async with client() as paragon:
        owner = whose(paragon, user)
        known = await asyncio.to_thread(look, to) if is_mirror(to) else []
        _fits(known, owner, sync, to)
        answers.preview(sync, await preview(owner, sync, to, contents=content))
    return 0


async def look_over(folder: Path, *, content: bool | None) -> int:
    """Tell what `reconcile` would do to each feed of a mirror; return the exit status."""
    async with client() as paragon:
        for one in await _feeds(folder):
            owner = whose(paragon, one.feed.user or None)
            wants = one.wants_contents if content is None else content
            found = await preview(owner, one.feed.sync, folder, contents=wants, complete=True)
            answers.preview(one.feed.sync, found)
    return 0


async def status(folder: Path) -> int:
    """Tell what every feed of a mirror holds; return the exit status."""
    found = await _feeds(folder)
    for one in found:
        answers.status(one)
        if one.dead and answers.has_reader():
            answers.letters(one.letters, sum(one.dead.values()), folder)
    return 0 if all(one.is_good for one in found) else 1


async def retry(folder: Path, *, manner: Manner) -> int:
    """Try the dead letters of every feed once more; return the exit status."""
    return await each(folder, Ingest.retry, manner=manner)


async def reconcile(folder: Path, *, manner: Manner) -> int:
    """Reconcile every feed; return the exit status."""
    return await each(folder, Ingest.reconcile, manner=manner)


async def verify(folder: Path, *, offline: bool, manner: Manner) -> int:
    """Verify every feed, mending it unless *offline*; return the exit status."""

    async def one(ingest: Ingest, watch: Watch) -> int:
        found = await ingest.verify(fetch=not offline)
        watch.end()
        left = set(found.damaged)
        if found.is_mended:
            left = await asyncio.to_thread(lacking, folder, ingest.feed, list(found.damaged))
        answers.verified(ingest.feed.sync, found, left)
        dead = await _letters(Report(dead_letters=found.dead_letters), folder, ingest.feed.sync)
        return dead or int(not found.is_good)

    client = _nobody() if offline else manner.client()
    return await _each(folder, one, client, manner, fetches=not offline)


async def each(
    folder: Path, action: Callable[[Ingest], Awaitable[Report]], *, manner: Manner
) -> int:
    """Do *action* for every feed of a mirror; return the highest exit status."""

    async def one(ingest: Ingest, watch: Watch) -> int:
        report = await action(ingest)
        watch.end()
        answers.report(ingest.feed.sync, report)
        return await _letters(report, folder, ingest.feed.sync)

    return await _each(folder, one, manner.client(), manner)


async def _each(
    folder: Path,
    one: Callable[[Ingest, Watch], Awaitable[int]],
    client: AbstractAsyncContextManager[Paragon],
    manner: Manner,
    *,
    fetches: bool = True,
) -> int:
    status = 0
    async with client as paragon:
        for found in await _feeds(folder):
            with manner.watch() as watch:
                if fetches and found.is_filtered and manner.content is None:
                    raise ConfigurationError(
                        f"a program chooses the contents of {found.feed} with a function: let it do "
                        "this, or say --content for all, --no-content for none"
                    )
                content = found.wants_contents if manner.content is None else manner.content
                ingest = Ingest(
                    _user(paragon, found),
                    found.feed.sync,
                    _sink(found, folder, manner.durability),
                    folder,
                    contents=content,
                    concurrency=manner.concurrency,
                    fuse=manner.fuse,
                    on_progress=watch.tell,
                )
                status = max(status, await one(ingest, watch))
    return status


async def _letters(report: Report, folder: Path, sync: str) -> int:
    """List the dead letters there are; return the exit status."""
    if not report.dead_letters:
        return 0
    for found in await asyncio.to_thread(look, folder, letters=answers.SHOWN):
        if found.feed.sync == sync:
            answers.letters(found.letters, report.dead_letters, folder)
    return 1


async def _feeds(folder: Path) -> list[Overview]:
    """Return what a mirror holds, which is one feed at least."""
    found = await asyncio.to_thread(look, folder, letters=answers.SHOWN)
    if not found:
        raise ConfigurationError(f"no sync is mirrored in {str(folder)!r}")
    return found


def _fits(known: list[Overview], user: ConnectedUser, sync: str, to: Path) -> None:
    """Refuse another user or project than the one whose sync the mirror holds."""
    for found in known:
        feed = found.feed
        is_same = (feed.user, feed.project) == (user.id or "", user.project_id or "")
        holds = found.records or found.deleted or found.contents or found.dead
        if feed.sync != sync or is_same or not holds:
            continue
        if feed.user != (user.id or ""):
            mine = user.id or "the one of the token"
            raise ConfigurationError(f"the mirror in {str(to)!r} is of {feed}, not of {mine}")
        raise ConfigurationError(
            f"the mirror in {str(to)!r} is of {feed} in project {feed.project or '(of the token)'}, "
            f"the credentials are of {user.project_id or 'a token that names none'}"
        )


def _format(known: list[Overview], to: Path, parquet: bool) -> Literal["jsonl", "parquet"]:  # noqa: FBT001  # an option
    """Return the format of rows: the one that is there already, or else the one asked for."""
    there = next((found.format for found in known if found.sink == f"{_FOLDER}."), None)
    if parquet and there == "jsonl":
        raise ConfigurationError(
            f"the mirror in {str(to)!r} keeps its rows as JSON lines: --parquet needs a new folder"
        )
    return "parquet" if parquet or there == "parquet" else "jsonl"


def _sink(found: Overview, folder: Path, durability: Durability) -> FolderSink:
    """Return the sink that a feed goes to, which its state notes relative to itself."""
    kind, _, place = found.sink.partition(":")
    if f"{kind}:" != _FOLDER:
        raise ConfigurationError(
            f"{found.feed} goes to {found.sink}, not to a folder: use `Ingest` in a program"
        )
    return FolderSink(
        folder / place,
        durability=durability,
        records="parquet" if found.format == "parquet" else "jsonl",
    )


def _user(paragon: Paragon, found: Overview) -> ConnectedUser:
    """Return the user of a feed; the credentials must be of its project."""
    feed = found.feed
    user = paragon.user(feed.user or None)
    if feed.project and user.project_id and feed.project != user.project_id:
        raise ConfigurationError(
            f"{feed} is of project {feed.project}, the credentials are of {user.project_id}"
        )
    return attrs.evolve(user, id=feed.user or None, project_id=feed.project or None)


class _NoTokens:
    """Credentials for what asks nothing of the service."""

    async def token(self, user_id: str | None, *, rejected: Rejection | None = None) -> Secret:
        raise ConfigurationError(f"there are no credentials for {user_id or rejected}")


def _nobody() -> Paragon:
    return Paragon(tokens=_NoTokens(), base_url=BASE_URL)
