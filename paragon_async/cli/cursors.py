"""A cursor kept in a file between two pulls."""

from __future__ import annotations

import contextlib
from pathlib import Path

from paragon_async.errors import ConfigurationError

_LONGEST = 4096


def read(path: Path) -> str | None:
    """Return the cursor in *path*, or None without a file. `ConfigurationError` for what is none."""
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""
    text = text.strip()
    if not text or len(text) > _LONGEST or not text.isprintable() or " " in text:
        raise ConfigurationError(
            f"{str(path)!r} holds no cursor: remove it to begin anew, or name another file"
        )
    return text


def write(path: Path, cursor: str) -> None:
    """Keep *cursor* in *path*: the old one stays until the new one is there, durably."""
    from paragon_async.cli.whole import Whole

    with contextlib.closing(Whole(path, replaces=True)) as file:
        file.write(f"{cursor}\n".encode("ascii", "backslashreplace"))
        file.commit()
