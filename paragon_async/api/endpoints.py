"""Every endpoint of Managed Sync, one function each: the whole API on one screen.

Each returns a `Request` that knows what its answer becomes. Source: api.md 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from paragon_async import models
from paragon_async.api import shapes
from paragon_async.api.shapes import Envelope
from paragon_async.convert import parse, structure
from paragon_async.errors import ConfigurationError
from paragon_async.transport.wire import Request

if TYPE_CHECKING:
    from paragon_async.models import Check, Sync, SyncStatus, Tree, Verdict

_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]+")


def enable_sync(body: Mapping[str, Any]) -> Request[Sync]:
    """Create and start a sync. Whether a second POST is harmless is inferred, so it is not repeated."""
    return Request(
        method="POST", path="/api/syncs", body=body, reads=_as(models.Sync), repeatable=False
    )


def list_syncs(credential_id: str | None) -> Request[list[Sync]]:
    """List the user's syncs."""
    query = {"credentialId": credential_id} if credential_id else {}
    return Request(method="GET", path="/api/syncs", query=query, reads=shapes.syncs)


def sync_status(sync_id: str) -> Request[SyncStatus]:
    """Read the state of a sync."""
    return Request(method="GET", path=_sync(sync_id), reads=_as(models.SyncStatus))


def update_sync(sync_id: str, body: Mapping[str, Any]) -> Request[None]:
    """Change the credential or the frequency."""
    return Request(method="PATCH", path=_sync(sync_id), body=body, reads=shapes.nothing)


def disable_sync(sync_id: str) -> Request[None]:
    """Pause a sync."""
    return Request(method="POST", path=_sync(sync_id) + "/disable", reads=shapes.nothing)


def reenable_sync(sync_id: str) -> Request[None]:
    """Resume a sync."""
    return Request(method="POST", path=_sync(sync_id) + "/reenable", reads=shapes.nothing)


def delete_sync(sync_id: str) -> Request[None]:
    """Delete a sync with all its records."""
    return Request(method="DELETE", path=_sync(sync_id), reads=shapes.nothing)


def pull_records(
    sync_id: str, cursor: str | None, page_size: int, parses: Callable[[bytes], Any] = parse
) -> Request[Envelope]:
    """Read the page of records after *cursor*."""
    query = {"pageSize": str(page_size)} | ({"cursor": cursor} if cursor else {})
    return Request(
        method="GET",
        path=_sync(sync_id) + "/records",
        query=query,
        reads=shapes.envelope,
        parses=parses,
    )


def get_record(sync_id: str, record_id: str) -> Request[dict[str, Any]]:
    """Read one record."""
    return Request(method="GET", path=_record(sync_id, record_id), reads=shapes.record)


def record_content(
    sync_id: str, record_id: str, headers: Mapping[str, str] | None = None
) -> Request[None]:
    """Stream the content of a file or ticket."""
    path = _record(sync_id, record_id) + "/content"
    return Request(
        method="GET",
        path=path,
        headers=headers or {},
        reads=shapes.nothing,
        streams=True,
        download=True,
    )


def check_access(sync_id: str, check: Check) -> Request[bool]:
    """Ask one question; the user goes as a bare e-mail address."""
    body = {"object": check.object, "user": shapes.bare_user(check.user), "role": check.role}
    return _permission(sync_id, "check", body, shapes.access)


def batch_check(sync_id: str, checks: Sequence[Check]) -> Request[list[Verdict]]:
    """Ask many questions; here the user goes with its `user:` prefix."""
    items = [
        {"object": c.object, "user": shapes.prefixed_user(c.user), "role": c.role} for c in checks
    ]
    return _permission(
        sync_id, "batch-check", {"checks": items}, lambda value: shapes.verdicts(value, checks)
    )


def list_users(sync_id: str, object: str, role: str) -> Request[list[str]]:
    """List who has *role* on *object*."""
    body = {"object": object, "role": role}
    return _permission(sync_id, "list-users", body, lambda value: shapes.names(value, "users"))


def list_objects(sync_id: str, user: str, role: str, object_type: str) -> Request[list[str]]:
    """List what *user* has *role* on; silently cut by the service."""
    body = _objects_body(user, role, object_type)
    return _permission(sync_id, "list-objects", body, lambda value: shapes.names(value, "objects"))


def stream_objects(sync_id: str, user: str, role: str, object_type: str) -> Request[None]:
    """Stream what *user* has *role* on, one JSON object a line."""
    return Request(
        method="POST",
        path=f"/api/permissions/{_id(sync_id, 'sync id')}/streamed-list-objects",
        body=_objects_body(user, role, object_type),
        reads=shapes.nothing,
        streams=True,
    )


def expand(sync_id: str, object: str, relation: str) -> Request[Tree]:
    """Read one level of the relationship graph; this endpoint still says `relation`."""
    body = {"object": object, "relation": relation}
    return _permission(sync_id, "expand", body, shapes.tree)


def _permission(
    sync_id: str, verb: str, body: Mapping[str, Any], reads: Callable[[Any], Any]
) -> Request[Any]:
    path = f"/api/permissions/{_id(sync_id, 'sync id')}/{verb}"
    return Request(method="POST", path=path, body=body, reads=reads)


def _objects_body(user: str, role: str, object_type: str) -> dict[str, str]:
    return {"objectType": object_type, "user": shapes.bare_user(user), "role": role}


def _as(model: type[Any]) -> Callable[[Any], Any]:
    return lambda value: structure(shapes.unwrapped(value), model)


def _sync(sync_id: str) -> str:
    return f"/api/syncs/{_id(sync_id, 'sync id')}"


def _record(sync_id: str, record_id: str) -> str:
    return f"{_sync(sync_id)}/records/{_id(record_id, 'record id')}"


def _id(value: str, what: str) -> str:
    """Quote an id as one path segment; what could climb out of its place is refused."""
    # Nearly all ids are UUIDs, and this is asked for every file.
    if type(value) is str and _PLAIN_ID.fullmatch(value):
        return value
    try:
        if value.strip(". ") != "":
            return quote(value, safe="")
    except (AttributeError, TypeError, UnicodeError):
        pass
    raise ConfigurationError(f"{value!r} is no {what}: pass the id that the API gave")
