"""Tickets as they are downloaded: a ZIP with one Markdown file and attachments. Source: api.md 5.

The names in the ZIP and the form of the Markdown are ours. Comments and attachments are taken from the
record's `originalRecord`: `comments` of `author`, `createdAt` and `body`, `attachments` of `name` and
`text` or `base64`. Whatever else a record holds is shown as it is; a record that lacks something, or
has it in another form, has a shorter file.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.exports import pack

_APART = {"title", "description", "originalRecord"}
_BAD = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')
_LONGEST = 120


def ticket_zip(record: Mapping[str, Any]) -> bytes:
    """Return the content of a ticket; the same record always gives the same bytes."""
    original = record.get("originalRecord")
    original = original if isinstance(original, dict) else {}
    parts = [("ticket.md", _utf8(_markdown(record, _objects(original, "comments"))))]
    taken: dict[str, int] = {}
    for attachment in _objects(original, "attachments"):
        name = _free(_safe(attachment.get("name")), taken)
        parts.append((f"attachments/{name}", _bytes(attachment, name)))
    return pack(parts)


def _markdown(record: Mapping[str, Any], comments: list[dict[str, Any]]) -> str:
    return "\n".join(_sections(record, comments))


def _sections(record: Mapping[str, Any], comments: list[dict[str, Any]]) -> Iterator[str]:
    yield f"# {_cell(record.get('title')) or 'Ticket'}\n"
    yield "| Property | Value |\n| --- | --- |"
    for key, value in record.items():
        if key not in _APART:
            yield f"| {_cell(key)} | {_cell(value)} |"
    if record.get("description"):
        yield f"\n## Description\n\n{_shown(record['description'])}"
    if comments:
        yield "\n## Comments"
    for comment in comments:
        head = (_cell(comment.get(key)) for key in ("author", "createdAt"))
        body = comment.get("body", comment.get("text"))
        yield f"\n### {', '.join(filter(None, head)) or 'Comment'}\n\n{_shown(body)}"
    yield ""


def _shown(value: Any) -> str:
    """Write a value for people: an object by its name, a list by its elements."""
    if isinstance(value, list):
        return ", ".join(map(_one, value))
    return _one(value)


def _one(value: Any) -> str:
    if isinstance(value, dict):
        names = (value.get(key) for key in ("name", "label", "email", "id"))
        value = next((name for name in names if name and isinstance(name, str | int)), value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _cell(value: Any) -> str:
    return " ".join(_shown(value).split()).replace("|", "\\|")


def _objects(original: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = original.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _bytes(attachment: Mapping[str, Any], name: str) -> bytes:
    encoded, text = attachment.get("base64"), attachment.get("text")
    if not isinstance(encoded, str):
        return _utf8(_shown(text))
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(422, f"Attachment {name!r} is damaged: its base64 cannot be read") from None


def _safe(name: Any) -> str:
    """Return a name that is nothing but a name, on any system."""
    last = re.split(r"[/\\]", name)[-1] if isinstance(name, str) else ""
    plain = _BAD.sub("_", _utf8(last).decode()).strip(" .")
    if len(plain) > _LONGEST:
        stem, dot, end = plain.rpartition(".")
        is_short = dot and len(end) < _LONGEST // 4
        plain = f"{stem[: _LONGEST - len(end) - 1]}.{end}" if is_short else plain[:_LONGEST]
    return plain or "attachment"


def _free(name: str, taken: dict[str, int]) -> str:
    """Return a name that is not taken, and take it."""
    stem, dot, end = name.rpartition(".")
    found, number = name, taken.get(name.lower(), 0)
    while found.lower() in taken:
        number += 1
        found = f"{stem} ({number}).{end}" if dot else f"{name} ({number})"
    # Where a name's next number is looked for: thousands of the same name are no square of it.
    taken[name.lower()] = number or 1
    taken.setdefault(found.lower(), 1)
    return found


def _utf8(text: str) -> bytes:
    return text.encode(errors="replace")
