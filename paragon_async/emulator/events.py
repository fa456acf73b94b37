"""What is told to a webhook: the payload of every event. Source: api.md 6.2, 6.4, 6.5.

The probe is undocumented; that it names neither sync nor user is inferred, and our choice.
`OPTIONS` are the forms that were seen but are not the documented ones (api.md 6.6); none is on unless
it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

PROBE = "webhook_verification"
KINDS = (
    "sync_complete",
    "sync_errored",
    "record_created",
    "record_updated",
    "record_deleted",
    "record_errored",
    PROBE,
)
Event = dict[str, Any]


class Sync(Protocol):
    """A sync's row, of which `id`, `user`, `integration`, `pipeline` and `credential` are read."""

    def __getitem__(self, key: str, /) -> Any:
        """Return a column."""


def sync_complete(sync: Sync, synced_at: str, count: int) -> Event:
    """Build the event of a finished initial sync; *synced_at* is an ISO date."""
    data = {"model": sync["pipeline"], "syncedAt": synced_at, "numRecords": count}
    return {**_envelope("sync_complete", sync), "data": data}


def sync_errored(sync: Sync, message: str) -> Event:
    """Build the event of a sync that failed for good."""
    return {**_envelope("sync_errored", sync), "error": {"message": message}}


def record_created(sync: Sync, record_id: str) -> Event:
    """Build the event of a record that an incremental run found new."""
    return _record("record_created", sync, record_id)


def record_updated(sync: Sync, record_id: str) -> Event:
    """Build the event of a record that an incremental run found changed."""
    return _record("record_updated", sync, record_id)


def record_deleted(sync: Sync, record_id: str) -> Event:
    """Build the event of a record that is deleted or can no longer be reached."""
    return _record("record_deleted", sync, record_id)


CHANGES = {"created": record_created, "updated": record_updated, "deleted": record_deleted}


def record_errored(sync: Sync, record_id: str, message: str) -> Event:
    """Build the event of one record that failed: its id stands under `error`, there is no `data`."""
    error = {"message": message, "recordId": record_id, "model": sync["pipeline"]}
    return {**_envelope("record_errored", sync), "error": error}


def verification() -> Event:
    """Build the probe of a new URL."""
    return {"event": PROBE}


def varied(event: Event, options: Iterable[str]) -> Event:
    """Return the event in the forms that *options* name."""
    for option in options:
        event = OPTIONS[option](event)
    return event


def _envelope(kind: str, sync: Sync) -> Event:
    event: Event = {
        "event": kind,
        "sync": sync["integration"],
        "syncInstanceId": sync["id"],
        "user": {"id": sync["user"]},
    }
    if sync["credential"]:
        event["credentialId"] = sync["credential"]
    return event


def _record(kind: str, sync: Sync, record_id: str) -> Event:
    data = {"recordId": record_id, "model": sync["pipeline"]}
    return {**_envelope(kind, sync), "data": data}


def _completed(event: Event) -> Event:
    return {**event, "event": "sync_completed"} if event["event"] == "sync_complete" else event


def _snake(event: Event) -> Event:
    names = {"syncedAt": "synced_at", "numRecords": "num_records"}
    if "data" not in event:
        return event
    return {**event, "data": {names.get(k, k): v for k, v in event["data"].items()}}


def _old_model(event: Event) -> Event:
    changed = dict(event)
    for part in ("data", "error"):
        if event.get(part, {}).get("model") == "files":
            changed[part] = {**event[part], "model": "File"}
    return changed


def _without_sync_id(event: Event) -> Event:
    return {key: value for key, value in event.items() if key != "syncInstanceId"}


OPTIONS: dict[str, Callable[[Event], Event]] = {
    "sync_completed": _completed,
    "snake_keys": _snake,
    "file_model": _old_model,
    "no_sync_id": _without_sync_id,
}
