"""Whose a destination is: a small file, or object, that names the state it belongs to.

    judge           what a name found there means; pure
    OwnerFile       the name in a folder

A state removes what it does not know from its destination, so two states must never share one.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import attrs

from paragon_async.disk import Disk
from paragon_async.errors import SinkError

try:
    import fcntl
except (
    ModuleNotFoundError
):  # pragma: no cover  # Windows: two first runs at once are not told apart
    fcntl = None  # type: ignore[assignment]  # Windows has none

OWNER = ".paragon-owner"
_SHORTEST = 8
_LONGEST = 1 << 10


def read(data: bytes) -> str | None:
    """Return the name in *data*, None where it was cut off while it was written."""
    name = data.decode(errors="replace")
    return name[:-1] if name.endswith("\n") and len(name) > _SHORTEST else None


def written(owner: str) -> bytes:
    """Return what `read` reads."""
    return f"{owner}\n".encode()


def judge(where: str, found: str | None, owner: str, *, is_new: bool, is_empty: bool) -> bool:
    """Tell whether *owner* has still to be written; raises `SinkError` where it must not be."""
    if found not in {None, owner}:
        raise SinkError(
            f"{where} belongs to another state: choose an empty destination, or the state folder "
            "that belongs to it"
        )
    if is_new and not is_empty:
        raise SinkError(
            f"{where} is not empty, and the state knows nothing of what is there: choose an empty "
            "destination, or the state folder that belongs to it"
        )
    return found is None


@attrs.frozen
class OwnerFile:
    """The name of the owner of *where*, in a file at *path*."""

    where: str
    path: Path
    disk: Disk

    def take(
        self, owner: str, *, is_new: bool, is_empty: Callable[[], bool], make: Callable[[], None]
    ) -> None:
        """Write *owner* durably, after *make* has made the folders; blocks, and raises `OSError`.

        Of several that do so at once one wins: the file is read and written under a lock of the
        kernel. One that was cut off while it was written names nobody. Raises `SinkError` as `judge`.
        """
        found, empty = self._found(), is_empty()
        pending = judge(self.where, found, owner, is_new=is_new, is_empty=empty)
        make()
        if not pending:
            return
        file = self.disk.append(self.path)
        try:
            _lock(file)
            if judge(self.where, self._found(), owner, is_new=is_new, is_empty=empty):
                self.disk.truncate(file, 0)
                self.disk.write(file, written(owner))
                self.disk.sync(file)
        finally:
            self.disk.close(file)
        self.disk.sync_folder(self.path.parent)

    def _found(self) -> str | None:
        try:
            if not stat.S_ISREG(self.path.lstat().st_mode):
                raise SinkError(f"{str(self.path)!r} is not a file, as it should be")
            with self.path.open("rb") as file:
                return read(file.read(_LONGEST))
        except FileNotFoundError:
            return None


def _lock(file: int) -> None:
    # Closing the file lets go of it. Where a file system has no locks, it is taken without.
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)


def path_of(folder: str | os.PathLike[str]) -> Path:
    """Return the one path by which an identity names *folder*: absolute, without `..`."""
    return Path(os.path.abspath(folder))  # noqa: PTH100  # resolving links would name another place
