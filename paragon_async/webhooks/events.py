"""How the bytes of a webhook become one value. Pure. Source: api.md 6.2, 6.4 to 6.6.

The body comes from strangers, and an answer other than 2xx may make the vendor disable the webhook,
so the line between the two is drawn here, once:

- An id is what a caller acts on: one of the wrong kind, or a record's event without one, is refused.
- Any other field that is missing or odd is None in the attribute and stays as it came in *raw*.
- A probe is never refused, whatever else it holds: `webhook_verification`, `test`, `ping`, or `{}`.
- Of a type that is not known only the name is held to be text: an id of the wrong kind is None.
- An object that holds something but no event's name is no event.
- Of a key that comes twice the last counts, as everywhere in this package. Half of a surrogate pair
  is no text, so a body that holds one is no JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from paragon_async import convert
from paragon_async.errors import NotJsonError, WebhookError
from paragon_async.webhooks.kinds import (
    Event,
    RecordCreated,
    RecordDeleted,
    RecordErrored,
    RecordUpdated,
    SyncCompleted,
    SyncErrored,
    UnknownEvent,
    WebhookVerification,
)

__all__ = [
    "Event",
    "RecordCreated",
    "RecordDeleted",
    "RecordErrored",
    "RecordUpdated",
    "SyncCompleted",
    "SyncErrored",
    "UnknownEvent",
    "WebhookVerification",
    "parse_event",
]

LARGEST_BODY = 65_536
DEEPEST = 32
_LONGEST_ID = 1_024
_LONGEST_NAME = 200
_QUOTED = 100
# Possessive throughout, and an open string runs to the end: no body makes the scan turn back.
_MARKS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PIPELINES = {
    "File": "files",
    "Contact": "contacts",
    "Company": "companies",
    "Deal": "deals",
    "Ticket": "tickets",
    "CustomObject": "custom_objects",
}


def parse_event(
    body: bytes | bytearray | memoryview, *, limit: int = LARGEST_BODY, depth: int = DEEPEST
) -> Event:
    """Read one event from the body of a webhook.

    Accepts every variant that was seen of each event, at most *limit* bytes long and *depth*
    objects and arrays deep. Raises `WebhookError`, and nothing else, for a body that is no event,
    or no bytes; it says what is wrong and quotes at most 100 characters, all of them printable ASCII.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise WebhookError(f"a body is bytes, not {type(body).__name__}")
    raw = _decode(bytes(body), limit, depth)
    name = _name(raw)
    build = _BUILDERS.get(name)
    if build is None:
        return UnknownEvent(name=name, **_envelope(raw, strict=False))
    return build(raw)


def _decode(body: bytes, limit: int, depth: int) -> dict[str, Any]:
    if len(body) > limit:
        raise WebhookError(f"the body has {len(body)} bytes, more than the {limit} that are read")
    if not body.strip():
        raise WebhookError("the body is empty")
    if _is_deeper(body, depth):
        raise WebhookError(f"the body is nested more than {depth} levels deep")
    try:
        raw = convert.parse(body)
    except NotJsonError as error:
        start = _quoted(body[:_QUOTED].decode(errors="replace"))
        raise WebhookError(f"the body is {error.problem}; it begins with {start}") from None
    if type(raw) is not dict:
        raise WebhookError(f"$: an object is wanted, this is {convert.kind_of(raw)}")
    return raw


def _is_deeper(body: bytes, depth: int) -> bool:
    """Tell whether brackets outside of strings nest deeper, before a decoder descends into them."""
    if body.count(b"{") + body.count(b"[") <= depth:
        return False
    level = 0
    for mark in _MARKS.finditer(body):
        first = body[mark.start()]
        if first in b"{[":
            level += 1
            if level > depth:
                return True
        elif first in b"}]":
            level -= 1
    return False


def _quoted(text: str) -> str:
    return f"'{ascii(text)[1:-1][:_QUOTED]}'"


def _name(raw: dict[str, Any]) -> str:
    if not raw:
        return "webhook_verification"
    given = raw.get("event")
    if given is None:
        raise WebhookError("$.event: missing")
    if type(given) is not str:
        raise WebhookError(f"$.event: a string is wanted, this is {convert.kind_of(given)}")
    if not given.strip() or len(given) > _LONGEST_NAME:
        raise WebhookError(f"$.event: no name of an event: {_quoted(given)}")
    return _HUMP.sub("_", given).lower()


def _envelope(raw: dict[str, Any], *, strict: bool = True) -> dict[str, Any]:
    def identity(found: Any, place: str) -> str | None:
        try:
            return _id(found, place)
        except WebhookError:
            if strict:
                raise
            return None

    user = raw.get("user")
    if type(user) is not dict:
        if user is not None and strict:
            raise _not_an_object("$.user", user)
        user = {}
    instance = convert.either(raw, "syncInstanceId", "sync_instance_id")
    credential = convert.either(raw, "credentialId", "credential_id")
    return {
        "integration": _text(raw.get("sync")),
        "sync_id": identity(instance, "$.syncInstanceId"),
        "user_id": identity(user.get("id"), "$.user.id"),
        "credential_id": identity(credential, "$.credentialId"),
        "timestamp": _moment(raw.get("timestamp")),
        "raw": raw,
    }


def _id(found: Any, place: str) -> str | None:
    """Return an id; an empty one says as little as none."""
    if found is None or found == "":
        return None
    if type(found) is not str:
        raise WebhookError(f"{place}: a string is wanted, this is {convert.kind_of(found)}")
    if len(found) > _LONGEST_ID:
        raise WebhookError(f"{place}: too long for an id: {len(found)} characters")
    return found


def _not_an_object(place: str, found: Any) -> WebhookError:
    return WebhookError(f"{place}: an object is wanted, this is {convert.kind_of(found)}")


def _text(found: Any) -> str | None:
    return found if type(found) is str else None


def _code(found: Any) -> str | int | None:
    return found if type(found) in {str, int} else None


def _count(found: Any) -> int | None:
    return found if type(found) is int and found >= 0 else None


def _moment(found: Any) -> datetime | None:
    try:
        return None if found is None else convert.moment(found)
    except convert.Mismatch:
        return None


def _model(found: Any) -> str | None:
    """Return the pipeline, also where it came under the older name of its objects."""
    name = _text(found)
    return None if name is None else _PIPELINES.get(name, name)


def _parts(raw: dict[str, Any], first: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what stands under `data` and `error`, that of *first* before the other."""
    keys = ("data", "error") if first == "data" else ("error", "data")
    return [(key, raw[key]) for key in keys if type(raw.get(key)) is dict]


def _find(raw: dict[str, Any], first: str, camel: str, snake: str) -> tuple[str, Any]:
    """Return the place and value of a field, wherever and however it is spelled."""
    for part, fields in _parts(raw, first):
        found = convert.either(fields, camel, snake)
        if found is not None:
            return f"$.{part}.{camel}", found
    return f"$.{first}.{camel}", None


def _subject(raw: dict[str, Any], first: str) -> dict[str, Any]:
    """Return which record an event is about."""
    place, found = _find(raw, first, "recordId", "record_id")
    record_id = _id(found, place)
    if record_id is None:
        part = raw.get(first)
        if part is not None and type(part) is not dict:
            raise _not_an_object(f"$.{first}", part)
        raise WebhookError(f"{place}: missing")
    return {"record_id": record_id, "model": _model(_find(raw, first, "model", "model")[1])}


def _complaint(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "message": _text(_find(raw, "error", "message", "message")[1]),
        "code": _code(_find(raw, "error", "code", "code")[1]),
    }


def _sync_completed(raw: dict[str, Any]) -> Event:
    return SyncCompleted(
        model=_model(_find(raw, "data", "model", "model")[1]),
        synced_at=_moment(_find(raw, "data", "syncedAt", "synced_at")[1]),
        records=_count(_find(raw, "data", "numRecords", "num_records")[1]),
        **_envelope(raw),
    )


def _probe(raw: dict[str, Any]) -> Event:
    return WebhookVerification(**_envelope(raw, strict=False))


_BUILDERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "sync_complete": _sync_completed,
    "sync_completed": _sync_completed,
    "sync_errored": lambda raw: SyncErrored(**_complaint(raw), **_envelope(raw)),
    "record_created": lambda raw: RecordCreated(**_subject(raw, "data"), **_envelope(raw)),
    "record_updated": lambda raw: RecordUpdated(**_subject(raw, "data"), **_envelope(raw)),
    "record_deleted": lambda raw: RecordDeleted(**_subject(raw, "data"), **_envelope(raw)),
    "record_errored": lambda raw: RecordErrored(
        **_subject(raw, "error"), **_complaint(raw), **_envelope(raw)
    ),
    "webhook_verification": _probe,
    "test": _probe,
    "ping": _probe,
}
