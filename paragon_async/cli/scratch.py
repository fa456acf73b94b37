"""A copy of a folder, to be changed at will: what the demo serves and then edits."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import attrs

from paragon_async.emulator.folder import GRANTS, look

_EDITED = 3
_DELETED = 2
_RENAMED = 2
_ADDED = 2
_LONGEST_END = 55


@attrs.frozen(kw_only=True)
class Changes:
    """What was changed in a copy: numbers of files, and the *bytes* of those with new contents."""

    edited: int
    added: int
    deleted: int
    renamed: int
    bytes: int

    @property
    def records(self) -> int:
        """How many records have news."""
        return self.edited + self.added + self.deleted + self.renamed

    @property
    def files(self) -> int:
        """How many contents are new."""
        return self.edited + self.added


def _real(path: Path) -> Path:
    return path.resolve()


@attrs.define(kw_only=True)
class Scratch:
    """The copy of *source* at *folder*. *failures* are files that could not be copied."""

    source: Path
    folder: Path = attrs.field(converter=_real)
    skip: frozenset[str] = frozenset()
    failures: list[str] = attrs.field(factory=list)

    def copy(self) -> None:
        """Copy what an emulator would serve; links become files. Raises `OSError` for a full disk."""
        found = look(self.source, self.skip)
        self.failures += [f"{os.fsdecode(path)}: {why}" for path, why in found.unread.items()]
        for seen in found.seen:
            relative = os.fsdecode(seen.path)
            place = self.folder / relative
            if seen.is_folder:
                place.mkdir()
                continue
            try:
                shutil.copyfile(self.source / relative, place)
            except (PermissionError, FileNotFoundError) as error:
                self.failures.append(f"{relative}: cannot be copied: {error.strerror}")
                continue
            os.utime(place, ns=(seen.mtime, seen.mtime))

    def sources(self, *, originals: bool) -> dict[str, Path]:
        """Return all files by their relative path: those of the copy, or what they are copies of."""
        root = self.source if originals else self.folder
        paths = [os.fsdecode(p.path) for p in look(self.folder).seen if not p.is_folder]
        grants = os.fsdecode(GRANTS)
        return {path: root / path for path in paths if Path(path).name != grants}

    def key(self, place: Path | None) -> str | None:
        """Return the relative path of a file of the copy."""
        return None if place is None else place.relative_to(self.folder).as_posix()

    def change(self) -> Changes:
        """Edit, rename, add and delete some files, as far as there are so many."""
        paths = list(self.sources(originals=False).values())
        # From everywhere in the tree, each file once.
        chosen = paths[:: max(1, len(paths) // (_EDITED + _DELETED + _RENAMED))]
        edited, rest = chosen[:_EDITED], chosen[_EDITED:]
        deleted, renamed = rest[:_DELETED], rest[_DELETED : _DELETED + _RENAMED]
        for path in edited:
            with path.open("ab") as file:
                file.write(b"\n# edited by the demo\n")
        for path in renamed:
            path.rename(_free(path.with_name(f"renamed-{_end(path)}")))
        added = [_free(self.folder / f"added-{number}.txt") for number in range(1, _ADDED + 1)]
        for path in added:
            path.write_text(f"{path.name} was added by the demo\n")
        # Last, for a new file on the inode of a deleted one would look like its renaming.
        for path in deleted:
            path.unlink()
        return Changes(
            edited=len(edited),
            added=len(added),
            deleted=len(deleted),
            renamed=len(renamed),
            bytes=sum(path.stat().st_size for path in [*edited, *added]),
        )


def _free(path: Path) -> Path:
    found, number = path, 0
    while os.path.lexists(found):
        number += 1
        found = path.with_name(f"{number}-{_end(path)}")
    return found


def _end(path: Path) -> str:
    """Return so much of a name that something may stand before it."""
    return path.name[-_LONGEST_END:]
