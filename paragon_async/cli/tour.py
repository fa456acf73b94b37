"""The job that the demo does, in the order in which a program of a user's own would do it.

copy → enable → wait → ingest → compare → ask who may read → change → ingest again → compare → tell
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import attrs

from paragon_async import ConnectedUser, Limits, Paragon
from paragon_async.cli.compare import Compared, compare, rows
from paragon_async.cli.display import Display, Figures
from paragon_async.cli.figures import size
from paragon_async.cli.scratch import Changes, Scratch
from paragon_async.emulator import Emulator
from paragon_async.ingest import FolderSink, Ingest, Report
from paragon_async.threads import in_thread

READER = "reader@example.com"
STRANGER = "stranger@example.com"
OWNER = "owner@example.com"
_ASKED = 100


@attrs.define(kw_only=True)
class Tour:
    """One run of the demo."""

    source: Path
    target: Path
    at_once: int
    skip: tuple[str, ...] = ()
    figures: Figures = attrs.field(factory=Figures)
    failures: list[str] = attrs.field(factory=list)
    _display: Display = attrs.field(factory=Display, init=False)

    @property
    def is_good(self) -> bool:
        """Whether every file was verified, only changes moved, and permissions were as granted."""
        return not self.failures and self.figures.files == self.figures.verified > 0

    async def run(self) -> None:
        """Do the whole job; what is wrong with a single file is kept in *failures*.

        However it ends, the copy is removed.
        """
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="paragon-demo-") as place:
            scratch = Scratch(source=self.source, folder=Path(place), skip=frozenset(self.skip))
            await in_thread(scratch.copy)
            self.failures += scratch.failures
            await self._served(scratch)
        self.figures.seconds = time.perf_counter() - begun
        self._display.summary(self.figures, self.failures)

    async def _served(self, scratch: Scratch) -> None:
        """Serve the copy, and be its user."""
        async with (
            Emulator(scratch.folder, skip=self.skip, rescan=0, settle=0) as emulator,
            Paragon(
                project_id=emulator.project_id,
                signing_key=emulator.signing_key,
                base_url=emulator.url,
                limits=Limits(downloads=self.at_once),
                observe=self.figures.count_call,
            ) as paragon,
        ):
            emulator.grant(READER, "can_read")
            user = paragon.user("demo-user")
            self._display.line(f"emulator: a copy of {self.source} is served at {emulator.url}")
            sync_id = await self._synced(user)
            self.figures.first = await self._ingested(user, sync_id)
            first = await self._compared(emulator, sync_id, scratch, originals=True)
            self.figures.verified, self.figures.files = first.verified, first.files
            await self._asked(user, sync_id)
            if self.failures:
                return
            changes = await in_thread(scratch.change)
            self._display.line(
                f"change:   {changes.edited} edited, {changes.added} added, "
                f"{changes.deleted} deleted, {changes.renamed} renamed"
            )
            await emulator.refresh()
            fetched = self.figures.contents
            self.figures.second = await self._ingested(user, sync_id)
            self._moved(changes, self.figures.second, self.figures.contents - fetched)
            again = await self._compared(emulator, sync_id, scratch, originals=False)
            self.figures.verified_again, self.figures.files_again = again.verified, again.files

    async def _synced(self, user: ConnectedUser) -> str:
        sync = await user.syncs.enable("googledrive", "files", configuration={})
        self._display.line(f"enable:   sync {sync.id} is {sync.status}")
        state = await user.syncs.wait_until_idle(sync.id, timeout=300)
        self._display.line(
            f"wait:     {state.status}, {state.summary.total_records} records synced"
        )
        return sync.id

    async def _ingested(self, user: ConnectedUser, sync_id: str) -> Report:
        with self._display.watch() as watch:
            sink = FolderSink(self.target)
            report = await Ingest(
                user,
                sync_id,
                sink,
                self.target,
                concurrency=self.at_once,
                # Of a tiny source, two deleted files are a large share.
                fuse=None,
                on_progress=watch.tell,
            ).run()
        self._display.line(
            f"ingest:   {report.records:,} records, {report.files:,} files, {size(report.bytes)}, "
            f"{report.deleted:,} deleted, in {report.seconds:.2f} s"
        )
        if report.dead_letters:
            self.failures.append(f"{report.dead_letters} records became dead letters")
        return report

    async def _compared(
        self, emulator: Emulator, sync_id: str, scratch: Scratch, *, originals: bool
    ) -> Compared:
        """Hold the mirror against the folder that was copied, or against the copy."""
        sources = await in_thread(lambda: scratch.sources(originals=originals))
        places = {
            row["id"]: scratch.key(emulator.source_of(sync_id, row["id"]))
            for row in await in_thread(rows, self.target)
        }
        found = await in_thread(compare, self.target, sources, places.get)
        self.failures += found.failures
        self._display.line(
            f"compare:  {found.verified:,} of {found.files:,} files are equal to their sources "
            f"by SHA-256, {size(found.bytes)}"
        )
        return found

    def _moved(self, changes: Changes, report: Report, fetched: int) -> None:
        """Tell what moved the second time, and whether it was what had changed."""
        self._display.line(
            f"moved:    {report.records} records for {changes.records} changes, {report.files} files "
            f"for {changes.files} new contents, {report.deleted} deleted, {size(report.bytes)}"
        )
        expected = (changes.records, changes.files, changes.files, changes.deleted, changes.bytes)
        if (report.records, report.files, fetched, report.deleted, report.bytes) != expected:
            self.failures.append("the second ingest moved something else than what had changed")

    async def _asked(self, user: ConnectedUser, sync_id: str) -> None:
        """Ask who may read what; the answers must be the grants that were made."""
        found = await in_thread(rows, self.target)
        sample = [row["id"] for row in found if row.get("_file")][:_ASKED]
        if not sample:
            self.failures.append(f"there is no file in {self.source}")
            return
        answers = {
            who: await user.permissions.check(sync_id, object=sample[0], user=who)
            for who in (OWNER, READER, STRANGER)
        }
        users = await user.permissions.list_users(sync_id, object=sample[0])
        kept = await user.permissions.filter_allowed(sync_id, sample, user=READER)
        hidden = await user.permissions.filter_allowed(sync_id, sample, user=STRANGER)
        expected = {OWNER: True, READER: True, STRANGER: False}
        if answers != expected or set(users) != {OWNER, READER} or len(kept) != len(sample):
            self.failures.append("the permission graph does not answer as granted")
        if hidden:
            self.failures.append("a stranger may read what was never granted")
        self._display.line(
            f"ask:      {READER} may read {len(kept)} of {len(sample)} files, "
            f"{STRANGER} {len(hidden)}"
        )
