"""The command as a process: on a terminal of its own, as a person has it, or through pipes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from typing import NamedTuple

COMMAND = [sys.executable, "-W", "error", "-m", "paragon_async"]
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PATIENCE = 40


class Ended(NamedTuple):
    """How a command ended in pipes."""

    status: int
    out: str
    err: str


def environ(more):
    """Return the environment of a process: a usual terminal, and what *more* says; None unsets."""
    wanted = (
        os.environ | {"TERM": "xterm", "NO_COLOR": "", "PARAGON_LOG": "", "COLUMNS": None} | more
    )
    return {name: value for name, value in wanted.items() if value is not None}


async def piped(*arguments, env=None, given=b""):
    """Run the command through pipes, to its end."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *map(str, arguments), env=environ(env or {}), stdin=pipe, stdout=pipe, stderr=pipe
    )
    async with asyncio.timeout(_PATIENCE):
        out, err = await process.communicate(given)
    return Ended(process.returncode, out.decode(), err.decode())


class Terminal:
    """`async with Terminal("doctor") as it`: the command on a terminal of *columns*, its keyboard too."""

    def __init__(self, *arguments, env=None, columns=120):
        self._arguments = [*COMMAND, *map(str, arguments)]
        self._env = environ(env or {})
        self._columns = columns
        self.shown = ""

    async def __aenter__(self):
        self._mine, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, self._columns, 0, 0))
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments, env=self._env, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
            # Its own terminal, so that Ctrl-C is a key and not a call.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(theirs)
        self._news = asyncio.Event()
        self._is_over = False
        asyncio.get_running_loop().add_reader(self._mine, self._read)
        return self

    async def __aexit__(self, *_):
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        asyncio.get_running_loop().remove_reader(self._mine)
        os.close(self._mine)

    def _read(self):
        try:
            piece = os.read(self._mine, 65_536)
        except OSError:  # that is how a terminal on Linux ends
            piece = b""
        self._is_over = not piece
        if self._is_over:
            asyncio.get_running_loop().remove_reader(self._mine)
        self.shown += piece.decode(errors="backslashreplace")
        self._news.set()

    async def shows(self, text):
        """Wait until *text* was shown."""
        async with asyncio.timeout(_PATIENCE):
            while text not in self.plain:
                assert not self._is_over, self.shown
                self._news.clear()
                await self._news.wait()

    def type(self, keys):
        """Press keys."""
        os.write(self._mine, keys.encode())

    async def ends(self):
        """Wait for the end; return the status."""
        async with asyncio.timeout(_PATIENCE):
            while not self._is_over:
                self._news.clear()
                await self._news.wait()
            return await self._process.wait()

    @property
    def plain(self):
        """What was shown, without colours."""
        return COLOURS.sub("", self.shown)


async def on_terminal(*arguments, env=None, columns=120):
    """Run the command on a terminal to its end; return the status and what was shown."""
    async with Terminal(*arguments, env=env, columns=columns) as it:
        status = await it.ends()
        return status, it.shown
