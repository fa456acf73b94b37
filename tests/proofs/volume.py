"""A file system of its own that can lose its power: ext4 on a loop device, for root on Linux.

`cut` is EXT4_IOC_SHUTDOWN without a flush of the log: what was not flushed by then is gone, and every
later write is refused. After `restore` the journal was replayed, as after a real power cut.
Source: failures.md A.4.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import sys
from contextlib import contextmanager

_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = struct.pack("I", 2)
_SIZE = 192 << 20
# The journal is written each second: names are then there soon, and bytes nobody flushed are not.
_OPTIONS = "loop,commit=1"


class Volume:
    """A mounted file system at *root*."""

    def __init__(self, room):
        self._image, self.root = room / "image", room / "volume"
        self.root.mkdir()
        with self._image.open("wb") as file:
            file.truncate(_SIZE)
        _run("mkfs.ext4", "-q", "-F", self._image)

    def mount(self):
        _run("mount", "-o", _OPTIONS, self._image, self.root)

    def unmount(self, *options):
        _run("umount", *options, self.root)

    def cut(self):
        """Lose the power, at this instant."""
        root = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.ioctl(root, _SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(root)

    def restore(self):
        """Come up again. Nobody may have anything open there any more."""
        self.unmount()
        self.mount()


def _run(*command):
    subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)


@contextmanager
def mounted(room):
    """Make a volume in *room*, and leave nothing mounted whatever happens."""
    volume = Volume(room)
    volume.mount()
    try:
        yield volume
    finally:
        # Also where something is still open, and where mounting it anew had failed.
        if os.path.ismount(volume.root):
            volume.unmount("--lazy")


def refusal(room):
    """Return why there can be no volume here, or None where there can."""
    if sys.platform != "linux":
        return "power cuts need ext4, and Linux"
    if os.geteuid():
        return "power cuts need root, who may mount"
    if not all(map(shutil.which, ("mkfs.ext4", "mount", "umount"))):
        return "power cuts need mkfs.ext4 and mount"
    try:
        with mounted(room) as volume:
            volume.cut()
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", None) or str(error)
        return f"power cuts need a loop device that can be mounted: {why.splitlines()[0]}"
    return None
