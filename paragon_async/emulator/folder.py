"""A real folder as the source of a `googledrive` / `files` sync. Source: api.md 4.1.

Every file and folder below the mount is a record. Links to files are followed while they stay
inside; links to folders are not, they could run in circles. Names that are not UTF-8 are shown with
replacement characters. A file's hash is SHA-256, type and value: the service's sub-fields are unknown.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paragon_async.emulator import ids
from paragon_async.emulator.store import Row

FOLDER_TYPE = "application/vnd.google-apps.folder"
_VIEW = "https://drive.google.com"


def scan(
    root: Path, sync_id: str, below: str = "", skip: frozenset[str] = frozenset()
) -> list[Row]:
    """Read the folder, or the part *below* a relative path, as records; parents come first.

    Folders with a name in *skip* are left out with all they hold.
    """
    start = root / below
    rows: list[Row] = []
    for folder, folders, files in os.walk(start, followlinks=False):
        folders[:] = sorted(
            f for f in folders if f not in skip and not (Path(folder) / f).is_symlink()
        )
        for name in folders:
            rows.extend(_row(root, Path(folder) / name, sync_id))
        for name in sorted(files):
            rows.extend(_row(root, Path(folder) / name, sync_id))
    return rows


def locate(root: Path, relative: bytes) -> Path | None:
    """Return the regular file behind a record, None if it is gone or leads out of the mount."""
    path = root / os.fsdecode(relative)
    try:
        inside = path.resolve(strict=True).is_relative_to(root.resolve())
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return None
    return path if inside and regular else None


def _row(root: Path, path: Path, sync_id: str) -> Iterator[Row]:
    relative = path.relative_to(root).as_posix()
    try:
        info = path.stat()
        is_folder = stat.S_ISDIR(info.st_mode)
        if not is_folder and locate(root, os.fsencode(relative)) is None:
            return
        digest = None if is_folder else _digest(path)
    except OSError:
        # It vanished, or may not be read: then the integration does not see it either.
        return
    above = relative.rpartition("/")[0]
    external = ids.external_id(relative)
    name = os.fsencode(path.name).decode(errors="replace")
    body: dict[str, Any] = {
        "id": ids.record_id(sync_id, external),
        "externalId": external,
        "name": name,
        "mimeType": FOLDER_TYPE if is_folder else _type(name),
        "url": f"{_VIEW}/{'drive/folders' if is_folder else 'file/d'}/{external}",
        "createdAt": _date(min(info.st_ctime, info.st_mtime)),
        "updatedAt": _date(info.st_mtime),
        "parentFolderId": ids.external_id(above),
    }
    if digest is not None:
        body |= {"size": info.st_size, "hash": {"type": "SHA256", "value": digest}}
    yield Row(
        id=body["id"],
        body=json.dumps(body, separators=(",", ":")),
        external=external,
        parent=body["parentFolderId"],
        path=os.fsencode(relative),
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _date(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
