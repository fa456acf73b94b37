"""A real folder as a user's account: looked at again and again, its changes become items.

A file that was written a moment ago is waited for: it is taken when it has rested for *settle*
seconds, and its older self stays until then. A folder's own date is that of its creation or
renaming, not of what happens inside it. Names that are not UTF-8 are shown with replacement
characters. A file's hash is SHA-256, type and value: the service's sub-fields are unknown.
"""

from __future__ import annotations

import asyncio
import mimetypes
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import attrs

from paragon_async.emulator import exports, ids
from paragon_async.emulator.folder import GRANTS, Known, Seen, above, digest, look, pair
from paragon_async.emulator.grants import Grants, read_grants
from paragon_async.emulator.items import ROOT, Item, Items

# A file that is changed again within the file system's clock tick keeps its time: hash it anew.
_TICK = 20_000_000
_LONGEST_GRANTS = 1 << 20
_AT_ONCE = 2000


@attrs.frozen(kw_only=True)
class Found:
    """What a look at a mount comes to."""

    items: list[Item]
    gone: list[str]
    grants: dict[str, Grants]
    complaints: list[str]
    settled: bool


class Mount:
    """A folder of this machine that is the account of one user, or of all."""

    def __init__(
        self, root: Path, account: str, items: Items, *, skip: frozenset[str], settle: float
    ) -> None:
        self.root = root
        self.account = account
        self.took = 0.0
        self._items = items
        self._skip = skip
        self._settle = settle
        self._lock = asyncio.Lock()
        self._stop = threading.Event()

    def stop(self) -> None:
        """End a look that goes on: a large file may take minutes to hash."""
        self._stop.set()

    async def scan(self) -> Found:
        """Look at the folder and store what changed since the last look.

        Raises OSError when the folder is gone.
        """
        async with self._lock:
            begun = time.monotonic()
            known = self._items.files(self.account)
            found = await asyncio.to_thread(self._look, known)
            for start in range(0, len(found.items), _AT_ONCE):
                self._items.put(self.account, "files", found.items[start : start + _AT_ONCE])
                await asyncio.sleep(0)
            self._items.remove(self.account, "files", found.gone)
            self.took = time.monotonic() - begun
            return found

    def _look(self, known: Mapping[bytes, Known]) -> Found:
        looked = look(self.root, self._skip)
        grants = [one for one in looked.seen if os.path.basename(one.path) == GRANTS]  # noqa: PTH119  # bytes
        seen = [one for one in looked.seen if os.path.basename(one.path) != GRANTS]  # noqa: PTH119  # bytes
        now = time.time_ns()
        young = {one.path for one in seen if not one.is_folder and self._is_young(one, now)}
        pairs = pair(known, seen)
        names = self._names(seen, pairs, known)
        items = []
        for one in seen:
            try:
                fresh = one.path not in young
                item = self._item(one, pairs.get(one.path), names, now) if fresh else None
            except OSError as error:
                looked.unread[one.path] = error.strerror or str(error)
                continue
            if item is None and not one.is_folder and self._is_stale(one, pairs.get(one.path)):
                young.add(one.path)
            elif item is not None and _differs(item, pairs.get(one.path)):
                items.append(item)
        there = {row["external"] for row in pairs.values()}
        gone = [
            row["external"]
            for path, row in known.items()
            if row["external"] not in there and not looked.is_unread(path)
        ]
        rules, complaints = self._grants(grants, names)
        for path, reason in looked.unread.items():
            complaints.append(f"{self.root / os.fsdecode(path)}: {reason}")
        return Found(items=items, gone=gone, grants=rules, complaints=complaints, settled=not young)

    def _is_young(self, one: Seen, now: int) -> bool:
        return 0 <= now - one.mtime < self._settle * 1e9

    @staticmethod
    def _is_stale(one: Seen, row: Known | None) -> bool:
        return row is None or (row["size"], row["mtime"]) != (one.size, one.mtime)

    @staticmethod
    def _names(
        seen: list[Seen], pairs: Mapping[bytes, Known], known: Mapping[bytes, Known]
    ) -> dict[bytes, str]:
        """Give every path its external id: the one it had, or one made of its path."""
        taken = {row["external"] for row in known.values()}
        names = {b"": ROOT}
        for one in seen:
            row = pairs.get(one.path)
            name = row["external"] if row else ids.external_id(os.fsdecode(one.path))
            again = 0
            while row is None and name in taken:
                # Something that bore this name was moved away and took its id along.
                again += 1
                name = ids.external_id(f"{os.fsdecode(one.path)}\x00{again}")
            taken.add(name)
            names[one.path] = name
        return names

    def _item(
        self, one: Seen, row: Known | None, names: Mapping[bytes, str], now: int
    ) -> Item | None:
        """Describe what lies at a path; None when it could not be read in peace."""
        name = os.path.basename(one.path).decode(errors="replace")  # noqa: PTH119  # bytes
        native = None if one.is_folder else exports.native_type(name)
        value, hashed = (None, None) if one.is_folder else self._hash(one, row, now)
        if value is None and not one.is_folder:
            return None
        return Item(
            external=names[one.path],
            kind="folder" if one.is_folder else "file",
            parent=names[above(one.path)],
            name=name.rpartition(".")[0] if native else name,
            mime=None if one.is_folder else native or _type(name),
            size=None if one.is_folder else one.size,
            created=row["created"] if row else min(one.changed, one.mtime) / 1e9,
            modified=_modified(one, row, names, now),
            digest=value,
            path=one.path,
            device=one.device,
            inode=one.inode,
            mtime=one.mtime,
            hashed=hashed,
        )

    def _hash(self, one: Seen, row: Known | None, now: int) -> tuple[str | None, int | None]:
        if row is not None and row["digest"] and not self._is_stale(one, row):
            hashed = row["hashed"] or 0
            if one.inode == row["inode"] and one.mtime < hashed - _TICK:
                return row["digest"], hashed
        return digest(self.root, one, self._stop), now

    def _grants(
        self, files: list[Seen], names: Mapping[bytes, str]
    ) -> tuple[dict[str, Grants], list[str]]:
        """Read the rules of every folder that has some."""
        rules: dict[str, Grants] = {}
        complaints = []
        for one in files:
            path = self.root / os.fsdecode(one.path)
            try:
                if one.size > _LONGEST_GRANTS:
                    raise ValueError("it is larger than 1 MiB")  # noqa: TRY301  # one way out
                rules[names[above(one.path)]] = read_grants(path.read_text())
            except (OSError, ValueError) as error:
                complaints.append(f"{path}: {error}")
        return rules, complaints


def _modified(one: Seen, row: Known | None, names: Mapping[bytes, str], now: int) -> float:
    if not one.is_folder:
        return one.mtime / 1e9
    if row is None:
        return one.mtime / 1e9
    is_renamed = row["path"] != one.path and (
        row["parent"] != names[above(one.path)]
        or os.path.basename(row["path"]) != os.path.basename(one.path)  # noqa: PTH119  # bytes
    )
    return float(now / 1e9 if is_renamed else row["modified"])


def _differs(item: Item, row: Known | None) -> bool:
    """Tell whether an item is worth storing again."""
    if row is None:
        return True
    watched = ("parent", "name", "size", "mtime", "digest", "path", "device", "inode", "hashed")
    return any(getattr(item, key) != row[key] for key in watched)


def _type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
