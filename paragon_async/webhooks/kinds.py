"""What a webhook can say, as values. Source: api.md 6.4, 6.5.

    Event                   integration, sync_id, user_id, credential_id, timestamp, raw
    ├── SyncCompleted       the first run of a sync is over
    ├── SyncErrored         a sync failed for good
    ├── RecordCreated       one record: only its id
    ├── RecordUpdated
    ├── RecordDeleted
    ├── RecordErrored
    ├── WebhookVerification somebody asks whether this URL answers
    └── UnknownEvent        a type that is newer than this package

A value can be compared, hashed, pickled and matched: `case RecordUpdated(sync_id=str())`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs


def _fixed(name: str) -> Any:
    return attrs.field(init=False, default=name, repr=False)


@attrs.frozen(kw_only=True)
class Event:
    """What every event may carry; each of these can be missing.

    *integration* is the slug that comes as `sync`, *sync_id* comes as `syncInstanceId`. *timestamp*
    is aware. *raw* is the whole body, which nobody has verified; do not change it. *name* is the
    type in snake_case, whichever spelling came.
    """

    name: str = _fixed("")
    integration: str | None = None
    sync_id: str | None = None
    user_id: str | None = None
    credential_id: str | None = None
    timestamp: datetime | None = None
    raw: Mapping[str, Any] = attrs.field(factory=dict, repr=False, hash=False)


@attrs.frozen(kw_only=True)
class SyncCompleted(Event):
    """The initial run of a sync is over: *records* were found until *synced_at*."""

    name: str = _fixed("sync_complete")
    model: str | None = None
    synced_at: datetime | None = None
    records: int | None = None


@attrs.frozen(kw_only=True)
class SyncErrored(Event):
    """A sync failed for good; its status is ERRORED now."""

    name: str = _fixed("sync_errored")
    message: str | None = None
    code: str | int | None = None


@attrs.frozen(kw_only=True)
class RecordCreated(Event):
    """A run found a record that is new. *model* is its pipeline, such as `files`."""

    name: str = _fixed("record_created")
    record_id: str
    model: str | None = None


@attrs.frozen(kw_only=True)
class RecordUpdated(Event):
    """A run found a record changed. *model* is its pipeline, such as `files`."""

    name: str = _fixed("record_updated")
    record_id: str
    model: str | None = None


@attrs.frozen(kw_only=True)
class RecordDeleted(Event):
    """A record is said to be gone or out of reach: a claim, which only the API can confirm."""

    name: str = _fixed("record_deleted")
    record_id: str
    model: str | None = None


@attrs.frozen(kw_only=True)
class RecordErrored(Event):
    """One record could not be synced."""

    name: str = _fixed("record_errored")
    record_id: str
    model: str | None = None
    message: str | None = None
    code: str | int | None = None


@attrs.frozen(kw_only=True)
class WebhookVerification(Event):
    """A probe of the URL: it wants a 2xx and nothing else."""

    name: str = _fixed("webhook_verification")


@attrs.frozen(kw_only=True)
class UnknownEvent(Event):
    """An event of a type that this package does not know; *raw* holds all of it."""

    name: str
