"""A SQLite file of our own: made whole or not at all, and looked at before it is touched.

A new file is made beside and renamed when it is whole, so an empty one is damage. Damaged, foreign and
newer files are told apart, and not one byte of theirs is changed. Source: failures.md finding 6, F116.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import attrs

from paragon_async.disk import Disk
from paragon_async.errors import ParagonError

Connect = Callable[[str], sqlite3.Connection]
_MAGIC = b"SQLite format 3\x00"
_HEADER = 100
_BLOCK = 1 << 20
# Ours have none, and what one does would be done in our name.
_FOREIGN = "SELECT 1 FROM sqlite_master WHERE type IN ('trigger', 'view') LIMIT 1"


def connect(path: str) -> sqlite3.Connection:
    """Open a database, statements committing only where they are told to."""
    return sqlite3.connect(path, isolation_level=None, uri=True, timeout=5)


def _distrust(database: sqlite3.Connection) -> None:
    """Let nothing that a schema from elsewhere says be run, and look at each page before it is used."""
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")


@attrs.frozen(kw_only=True)
class Kind:
    """What a file is for: *noun* and *mend* are for people, *mode* is the file's, *error* is raised."""

    noun: str
    application: int
    version: int
    tables: str
    mend: str
    mode: int
    error: type[ParagonError]

    def prepare(self, path: Path, disk: Disk, connect_: Connect) -> sqlite3.Connection:
        """Open the file to write to it, making it where there is none.

        Nothing is written to a file that is not a good one of this kind and version.
        """
        if not path.exists():
            self._make(path, disk, connect_)
        with contextlib.closing(self.reader(path, connect_)) as reader:
            self._check(reader, path)
        found = connect_(f"{path.absolute().as_uri()}?mode=rw")
        try:
            # WAL with FULL lost nothing in measured power cuts.
            found.execute("PRAGMA journal_mode = WAL").fetchone()
            found.execute("PRAGMA synchronous = FULL")
            found.execute("PRAGMA temp_store = MEMORY")
            _distrust(found)
        except BaseException:
            found.close()
            raise
        return found

    def reader(self, path: Path, connect_: Connect) -> sqlite3.Connection:
        """Open the file to look at it, so that not even closing it changes anything.

        Where nobody writes to it, it may be taken for unchanging: that leaves no files beside it, and
        works where nothing may be written.
        """
        self.examine(path)
        alone = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
        found = connect_(f"{path.absolute().as_uri()}?mode=ro{alone}")
        try:
            _distrust(found)
        except BaseException:
            found.close()
            raise
        return found

    def examine(self, path: Path) -> None:
        """Read the file's header, and raise for what is none of this kind."""
        if not (path.is_file() or path.is_dir()):
            # To open a pipe would be to wait for somebody who writes to it.
            path.stat()
            raise self.error(f"{str(path)!r} is no file: it was not made by this program")
        with path.open("rb") as file:
            header = file.read(_HEADER)
        if len(header) < _HEADER:
            raise self.error(self.damaged(path, "it is shorter than any database"))
        if not header.startswith(_MAGIC):
            raise self.error(f"{str(path)!r} is no database: it was not made by this program")
        version, application = struct.unpack_from(">I4xI", header, 60)
        if application != self.application:
            raise self.error(
                f"{str(path)!r} is no {self.noun} of this program but another program's, "
                "it was left alone"
            )
        if version > self.version:
            raise self.error(
                f"{str(path)!r} was written by a newer version of paragon-async ({self.noun} "
                f"{version}, this one knows {self.version}): upgrade paragon-async"
            )

    def damaged(self, path: Path, how: str) -> str:
        """Return the sentence for a file that is damaged: what to do about it."""
        return f"the {self.noun} {str(path)!r} is damaged ({how}): {self.mend}"

    def _check(self, database: sqlite3.Connection, path: Path) -> None:
        # All of it is looked at, page by page: brought into memory in one go, that takes a fifth.
        _warm(path)
        try:
            answer = database.execute("PRAGMA quick_check(1)").fetchone()
            foreign = database.execute(_FOREIGN).fetchone()
        except sqlite3.DatabaseError as error:
            raise self.error(self.damaged(path, str(error))) from error
        if answer != ("ok",):
            raise self.error(self.damaged(path, str(answer[0]).splitlines()[0]))
        if foreign:
            raise self.error(self.damaged(path, "somebody put a trigger or a view into it"))

    def _make(self, path: Path, disk: Disk, connect_: Connect) -> None:
        beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
            os.close(os.open(beside, flags, self.mode))
            with contextlib.closing(connect_(beside.absolute().as_uri())) as database:
                database.execute(f"PRAGMA application_id = {self.application}")
                database.execute(f"PRAGMA user_version = {self.version}")
                database.executescript(self.tables)
            disk.replace(beside, path)
            disk.sync_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                disk.unlink(beside)
            raise


def _warm(path: Path) -> None:
    """Read a file once, so that the system has it in memory."""
    block = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while file.readinto(block):
            pass
