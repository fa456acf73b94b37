"""File names that are safe whatever a record is called. Pure. Source: failures.md F92 to F98.

Names from outside are labels: one component, never a path, the same on every platform, so that a
mirror made on Linux can be copied to Windows or to a file system that folds case.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

import attrs

LONGEST = 200
_LONGEST_SUFFIX = 20
_FORBIDDEN = frozenset('/\\:*?"<>|')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])\s*(\.|$)")
_OURS = ".paragon-"


def safe_name(label: str, fallback: str = "unnamed") -> str:
    """Return *label* as one harmless path component of at most `LONGEST` bytes.

    Separators, control, invisible and direction-changing characters and lone surrogates become `_`;
    names that mean something to an operating system get a `_` before them. Applying it twice
    changes nothing.
    """
    text = unicodedata.normalize("NFC", label)
    # Most names are plain, and looking at each of their characters is what takes time.
    if not (text.isascii() and text.isprintable() and _FORBIDDEN.isdisjoint(text)):
        text = "".join("_" if _is_harmful(c) else c for c in text)
    text = _shorten(text.lstrip(" ")).rstrip(". ")
    if not text.strip("."):
        return safe_name(fallback, "unnamed") if fallback != label else "unnamed"
    if _RESERVED.match(text) or text.casefold().startswith(_OURS):
        text = _shorten("_" + text).rstrip(". ")
    return text


def distinct_name(label: str, record_id: str) -> str:
    """Return a safe name that no other record can have: `report~1a2b3c4d5e6f.pdf`.

    The mark depends on the record alone, not on which of two namesakes came first.
    """
    name = safe_name(label, record_id)
    stem, suffix = _split(name)
    mark = "~" + hashlib.sha256(record_id.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    room = LONGEST - len((mark + suffix).encode())
    return _cut(stem, room).rstrip(". ") + mark + suffix


def collision_key(name: str) -> str:
    """Return what two names share when some file system takes them for the same."""
    folded = unicodedata.normalize("NFC", name).casefold()
    return unicodedata.normalize("NFC", folded)


@attrs.frozen(kw_only=True)
class Entry:
    """What `arrange` needs to know of a file or folder; the parent is an external id."""

    id: str
    external_id: str | None
    parent: str | None
    name: str | None


def arrange(entries: Iterable[Entry]) -> dict[str, PurePosixPath]:
    """Give every entry a relative path that repeats the tree of its folders.

    Namesakes in one folder are all made distinct, so the result does not depend on the order. An
    entry whose parent is unknown, or above itself, stands at the top.
    """
    known = {entry.id: entry for entry in entries}
    folders: dict[str | None, Entry] = {e.external_id: e for e in known.values() if e.external_id}
    plain = {e.id: safe_name(e.name or e.id, e.id) for e in known.values()}
    parents = {e.id: _home(e, folders) for e in known.values()}
    twins = Counter((parents[i], collision_key(plain[i])) for i in known)
    names = {
        i: plain[i]
        if twins[parents[i], collision_key(plain[i])] == 1
        else distinct_name(e.name or e.id, i)
        for i, e in known.items()
    }
    return {i: PurePosixPath(*(names[step] for step in _way(i, parents))) for i in known}


def _home(entry: Entry, folders: dict[str | None, Entry]) -> str | None:
    """Return the id of the entry's folder, None at the top or in a circle."""
    seen = {entry.id}
    above = folders.get(entry.parent)
    home = above.id if above else None
    while above is not None:
        if above.id in seen:
            return None
        seen.add(above.id)
        above = folders.get(above.parent)
    return home


def _way(start: str, parents: dict[str, str | None]) -> list[str]:
    way = [start]
    while (above := parents[way[-1]]) is not None:
        way.append(above)
    return way[::-1]


def _is_harmful(character: str) -> bool:
    return character in _FORBIDDEN or unicodedata.category(character)[0] == "C"


def _split(name: str) -> tuple[str, str]:
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix.encode()) > _LONGEST_SUFFIX:
        return name, ""
    return stem, dot + suffix


def _shorten(name: str) -> str:
    if len(name.encode()) <= LONGEST:
        return name
    stem, suffix = _split(name)
    return _cut(stem, LONGEST - len(suffix.encode())) + suffix


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")
