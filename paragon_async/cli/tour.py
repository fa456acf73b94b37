"""The job that the demo does, in the order in which a program of a user's own would do it.

enable → wait → pull → arrange → download → compare → ask who may read → tell
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

import attrs

from paragon_async import ConnectedUser, File, Limits, Paragon, ParagonError
from paragon_async.cli.display import Display, Figures
from paragon_async.emulator import Emulator
from paragon_async.names import Entry, arrange

READER = "reader@example.com"
STRANGER = "stranger@example.com"
OWNER = "owner@example.com"


@attrs.define(kw_only=True)
class Tour:
    """One run of the demo."""

    source: Path
    target: Path
    at_once: int
    skip: tuple[str, ...] = ()
    figures: Figures = attrs.field(factory=Figures)
    failures: list[str] = attrs.field(factory=list)

    @property
    def is_good(self) -> bool:
        """Whether every file was verified, and the permissions were as granted."""
        return not self.failures and self.figures.files == self.figures.verified > 0

    async def run(self) -> None:
        """Do the whole job; what is wrong with a single file is kept in *failures*."""
        display = Display()
        begun = time.perf_counter()
        async with (
            Emulator(self.source, skip=self.skip) as emulator,
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
            display.line(f"emulator: {self.source} is served at {emulator.url}")
            sync_id = await self._synced(user, display)
            files = await self._pulled(user, sync_id, display)
            sources = {file.id: emulator.source_of(sync_id, file.id) for file in files}
            await self._downloaded(user, sync_id, files, sources, display)
            await self._asked(user, sync_id, files, display)
        self.figures.seconds = time.perf_counter() - begun
        display.summary(self.figures, self.failures)

    async def _synced(self, user: ConnectedUser, display: Display) -> str:
        sync = await user.syncs.enable("googledrive", "files", configuration={})
        display.line(f"enable:   sync {sync.id} is {sync.status}")
        state = await user.syncs.wait_until_idle(sync.id, timeout=300)
        display.line(f"wait:     {state.status}, {state.summary.total_records} records synced")
        return sync.id

    async def _pulled(self, user: ConnectedUser, sync_id: str, display: Display) -> list[File]:
        begun = time.perf_counter()
        files = [file async for file in user.records.pull(sync_id, File)]
        self.figures.records = len(files)
        self.figures.pull_seconds = time.perf_counter() - begun
        folders = sum(file.is_folder for file in files)
        display.line(f"pull:     {len(files)} records by cursor, {folders} of them folders")
        return files

    async def _downloaded(
        self,
        user: ConnectedUser,
        sync_id: str,
        files: list[File],
        sources: Mapping[str, Path | None],
        display: Display,
    ) -> None:
        """Download everything, *at_once* files at a time, into the same tree as the source's."""
        places = self._places(files)
        queue = iter([file for file in files if not file.is_folder])
        begun = time.perf_counter()
        total = sum(file.size or 0 for file in files)
        with display.progress(total) as progress:

            async def work() -> None:
                for file in queue:
                    try:
                        await self._one(user, sync_id, file, places[file.id], sources[file.id])
                    except (ParagonError, OSError) as error:
                        self.failures.append(f"{file.name}: {error}")
                    progress.advance(file.size or 0)

            async with asyncio.TaskGroup() as group:
                for _ in range(self.at_once):
                    group.create_task(work())
        self.figures.download_seconds = time.perf_counter() - begun
        display.line(f"download: {self.figures.verified} of {self.figures.files} files verified")

    def _places(self, files: list[File]) -> dict[str, Path]:
        entries = [
            Entry(id=f.id, external_id=f.external_id, parent=f.parent_folder_id, name=f.name)
            for f in files
        ]
        places = {i: self.target / path for i, path in arrange(entries).items()}
        for file in files:
            folder = places[file.id] if file.is_folder else places[file.id].parent
            folder.mkdir(parents=True, exist_ok=True)
        return places

    async def _one(
        self, user: ConnectedUser, sync_id: str, file: File, place: Path, source: Path | None
    ) -> None:
        self.figures.files += 1
        saved = await user.records.download(sync_id, file, place)
        self.figures.bytes += saved.size
        # The hash is taken anew from the disk, and held against the source, not against the record.
        stored = await asyncio.to_thread(_sha256, saved.path)
        original = await asyncio.to_thread(_sha256, source) if source else None
        if stored == original == saved.sha256 and saved.verified:
            self.figures.verified += 1
        else:
            self.failures.append(f"{file.name}: differs from its source")

    async def _asked(
        self, user: ConnectedUser, sync_id: str, files: list[File], display: Display
    ) -> None:
        """Ask who may read what; the answers must be the grants that were made."""
        sample = [file for file in files if not file.is_folder][:100]
        if not sample:
            self.failures.append(f"there is no file in {self.source}")
            return
        one = sample[0]
        answers = {
            who: await user.permissions.check(sync_id, object=one.id, user=who)
            for who in (OWNER, READER, STRANGER)
        }
        users = await user.permissions.list_users(sync_id, object=one.id)
        kept = await user.permissions.filter_allowed(sync_id, sample, user=READER)
        hidden = await user.permissions.filter_allowed(sync_id, sample, user=STRANGER)
        expected = {OWNER: True, READER: True, STRANGER: False}
        if answers != expected or set(users) != {OWNER, READER} or len(kept) != len(sample):
            self.failures.append("the permission graph does not answer as granted")
        if hidden:
            self.failures.append("a stranger may read what was never granted")
        display.line(
            f"ask:      {READER} may read {len(kept)} of {len(sample)} files, "
            f"{STRANGER} {len(hidden)}"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
