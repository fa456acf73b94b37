"""Record a command at a terminal as a picture: `python -m benchmarks.picture FILE.svg -- COMMAND`.

The command really runs, on a pseudo-terminal of its own; what stands on the screen at its end is drawn,
with its colours. README's picture of the demo is made by

    python -m benchmarks.picture benchmarks/plots/demo.svg -- paragon-async demo --to DIR

and paths of the machine that it ran on are shortened.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

_COLUMNS, _LINES = 100, 40
_BUFFER = 1 << 16
# Moves of the cursor and its clearing; colours stay in the text between.
_MOVE = re.compile(r"(\n|\r|\x1b\[(?:\d*[JKGABCD]|\?\d+[hl]))")
_UP = re.compile(r"\x1b\[(\d*)A")
_CONTROL = re.compile(r"\x1b\[(?:\d*[JKGBCD]|\?\d+[hl])")
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main(argv: list[str]) -> int:
    """Run the command and write the picture; its exit status is the command's."""
    if "--" not in argv or argv.index("--") != 1 or not argv[2:]:
        print("use: python -m benchmarks.picture FILE.svg -- COMMAND", file=sys.stderr)
        return 2
    target, command = Path(argv[0]), argv[2:]
    status, shown = run(command)
    target.write_text(draw(shown, command), encoding="utf-8")
    return status


def run(command: list[str]) -> tuple[int, str]:
    """Run *command* on a terminal; return its status and all that it wrote there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (_LINES, _COLUMNS))
    environ = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(_COLUMNS)}
    with subprocess.Popen(  # noqa: S603  # the command is the caller's own
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, close_fds=True
    ) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                data = os.read(ours, _BUFFER)
            except OSError:
                # On Linux the end of a terminal is an error.
                break
            if not data:
                break
            written += data
        os.close(ours)
    return process.returncode, written.decode(errors="replace")


def screen(written: str) -> str:
    """Return the lines as they stand at the end: a bar that was taken away is not among them."""
    lines, row, is_back = [""], 0, False
    for piece in _MOVE.split(written):
        if piece == "\n":
            row, is_back = row + 1, False
            lines += [""] * (row + 1 - len(lines))
        elif piece == "\r":
            is_back = True
        elif up := _UP.fullmatch(piece):
            row = max(0, row - int(up[1] or 1))
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif piece and not _CONTROL.fullmatch(piece):
            # What is written over a line replaces it as a whole: no bar leaves a part of the last one.
            lines[row] = piece if is_back else lines[row] + piece
            is_back = False
    return "\n".join(lines).strip("\n")


def draw(written: str, command: list[str]) -> str:
    """Draw what a command wrote as an SVG that loads nothing."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(width=_COLUMNS, record=True, file=nowhere, force_terminal=True)
        console.print(Text(f"$ {shlex.join(command)}", style="bold"))
        console.print(Text.from_ansi(_plain_paths(screen(written))))
        # The fonts that rich names would be fetched from elsewhere.
        return _FONT.sub("", console.export_svg(title="paragon-async"))


def _plain_paths(text: str) -> str:
    return text.replace(f"{sys.base_prefix}/", "/usr/").replace(f"{Path.home()}/", "~/")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
