"""What a name must be to be a file everywhere, said a second time and in other words than `names`.

The standard library knows Windows' rules on every platform; POSIX has few, and terminals have some.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

from paragon_async.names import LONGEST, collision_key, safe_name

_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{port}{n}" for port in ("COM", "LPT") for n in "123456789¹²³"
}


def posix(name: str) -> None:
    """One component of at most 255 bytes that is neither here nor above."""
    assert name not in {"", ".", ".."}, name
    raw = os.fsencode(name)
    assert b"/" not in raw, name
    assert b"\0" not in raw, name
    assert len(raw) <= LONGEST < 255, name
    assert PurePosixPath("/root", name).parent == PurePosixPath("/root"), name


def windows(name: str) -> None:
    """No device, no stream, no drive, none of the forbidden characters, no end that is dropped."""
    path = PureWindowsPath("C:/root", name)
    assert path.parent == PureWindowsPath("C:/root"), name
    assert path.name == name, name
    assert not set(name) & set('<>:"/\\|?*'), name
    assert not any(ord(c) < 32 for c in name), name
    assert not name.endswith((" ", ".")), name
    assert name.partition(".")[0].rstrip(" ").upper() not in _DEVICES, name
    assert not PureWindowsPath(name).is_reserved(), name
    assert len(name.encode("utf-16-le")) // 2 <= 255, name


def shown(name: str) -> None:
    """Nothing that a terminal obeys, that is not seen, or that turns the direction around."""
    assert not any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn"} for c in name), name


def harmless(name: str) -> None:
    """All of these, and a name that is safe already stays as it is, as does its key."""
    posix(name)
    windows(name)
    shown(name)
    assert safe_name(name) == name, name
    assert collision_key(collision_key(name)) == collision_key(name), name
    assert not collision_key(name).startswith(".paragon-"), name
