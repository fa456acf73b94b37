"""F90 to F101: disks that refuse, names that are traps, and what lies there already."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
import zlib

from paragon_async.disk import SystemDisk
from tests.ingest.fakes import ScriptedDisk
from tests.proofs.matrix.faults import Fault

VICTIM = b"not to be touched"
NAMES = {
    "F92": ["../a", "/etc/passwd", "C:\\a", "C:", "\\\\?\\a", "a/b", "a\\b", ".", "..", ""],
    "F93": ["\U0001f600" * 100, "x" * 5000, "y" * 300 + ".pdf", "é" * 200 + ".docx"],
    "F94": ["a\x00b", "\x00", "b\x00.pdf", "c\x00\x00"],
    "F95": ["a\nb", "\x1b[31mred", "txt\u202efdp.exe", "a\u200bb", "\x7f"],
    "F96": ["CON", "NUL.txt", "com1", "LPT9.log", "x.", "x ", "aux.h"],
    "F97": ["A", "a", "Straße", "STRASSE", "e\u0301", "\u00e9"],
    "F98": ["report.pdf"],
}


class HastyDisk(SystemDisk):
    """The machine's disk, which flushes nothing: what a power cut leaves is proved elsewhere."""

    def sync(self, file):
        """Nothing."""

    sync_folder = sync_all = sync


class Hasty(sqlite3.Connection):
    """A SQLite that flushes nothing either."""

    def execute(self, text, *args):
        return super().execute(text.replace("synchronous = FULL", "synchronous = OFF"), *args)


def hasty(path):
    return sqlite3.connect(path, isolation_level=None, uri=True, timeout=5, factory=Hasty)


class SlowDisk(HastyDisk):
    """A disk whose first write takes *seconds*."""

    def __init__(self, seconds):
        self._seconds, self._lock = seconds, threading.Lock()

    def write(self, file, data):
        with self._lock:
            seconds, self._seconds = self._seconds, 0
        time.sleep(seconds)
        super().write(file, data)


def _refuses(method, number):
    """Return what makes disks that refuse *method* on parts."""
    return lambda: ScriptedDisk(
        lambda called, path: called == method and path.name.endswith(".part"), number
    )


def _renamed(names):
    """Give every file a name of these, the same each time it is asked for."""

    def change(body):
        for record in body["data"]:
            if record.get("size"):
                record["name"] = names[zlib.crc32(record["id"].encode()) % len(names)]
        return body

    return Fault(
        rule={"edit": change, "path": "*/records", "skip": 0},
        points={"download": "page"},
        stays=True,
    )


def _plant(make):
    """Put something in the way: of a file, or of the folder `files` of a mirror."""

    def plant(room, target):
        victim = room / f"victim of {target.name}"
        victim.mkdir()
        (victim / "file").write_bytes(VICTIM)
        place = target / "files" if target.name.startswith("mirror") else target
        place.parent.mkdir(exist_ok=True)
        make(victim, place)

        def unhurt():
            assert [path.name for path in victim.iterdir()] == ["file"]
            assert (victim / "file").read_bytes() == VICTIM
            return place

        return unhurt

    return plant


def _links(victim, place):
    place.symlink_to(victim if place.name == "files" else victim / "file")


def _pipes(_, place):
    os.mkfifo(place)


def _belongs_to_others(_, place):
    if place.name != "files":
        place.write_bytes(b"an older file")
        return
    place.mkdir()
    (place / "theirs").mkdir()


def _killed(_, place):
    if place.name != "files":
        place.with_name(".paragon-dead.part").write_bytes(b"half")
        return
    spool = place.parent / ".paragon" / "tmp"
    spool.mkdir(parents=True)
    (spool / "dead").write_bytes(b"half")


FAULTS = {
    "F90": [Fault(disk=_refuses(method, errno.ENOSPC)) for method in ("write", "close")],
    "F91": [
        Fault(disk=_refuses("create", getattr(errno, name)))
        for name in ("EROFS", "EIO", "EDQUOT", "ESTALE")
    ],
    "F91b": [Fault(disk=_refuses("create", errno.EACCES))],
    **{id_: [_renamed(names)] for id_, names in NAMES.items()},
    "F99": [Fault(plants=_plant(_links))],
    "F99b": [Fault(plants=_plant(_pipes))],
    "F100": [Fault(plants=_plant(_belongs_to_others))],
    "F101": [Fault(plants=_plant(_killed))],
}
