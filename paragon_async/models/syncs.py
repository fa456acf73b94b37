"""Syncs: the pipelines that Paragon keeps running. Source: api.md 1.2 to 1.5 and 3.1."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import attrs

from paragon_async.models.base import extras, value

Frequency = Literal["1m", "5m", "10m", "30m", "1h", "3h", "6h", "24h"]
"""How often an incremental run starts."""


def _upper(word: Any) -> Any:
    return word.upper() if isinstance(word, str) else word


@value
class Sync:
    """A sync as enabling or listing describes it. *status* is an open string in upper case."""

    id: str
    user_id: str | None = None
    integration: str | None = None
    pipeline: str | None = None
    project_id: str | None = None
    status: str | None = attrs.field(default=None, converter=_upper)
    configuration_name: str | None = None
    credential_id: str | None = None
    date_created: datetime | None = None
    date_updated: datetime | None = None
    extra: dict[str, Any] = extras()


@value
class SyncSummary:
    """How far a sync has come. *latest_cursor* is the newest place of its feed."""

    total_records: int | None = None
    synced_records_count: int | None = None
    last_synced_at: datetime | None = None
    latest_cursor: str | None = None
    extra: dict[str, Any] = extras()


@value
class SyncStatus:
    """The state of a sync now.

    *status* is one of INITIALIZING, ACTIVE, IDLE, RATE_LIMITED, DISABLED, ERRORED, or a word that is
    newer than this SDK. *rate_limit_backoff_ms* comes with RATE_LIMITED, *reason* with ERRORED.
    """

    status: str = attrs.field(converter=_upper)
    summary: SyncSummary = attrs.field(factory=SyncSummary)
    id: str | None = None
    integration: str | None = None
    pipeline: str | None = None
    credential_id: str | None = None
    incremental_accumulator_frequency: str | None = None
    rate_limit_backoff_ms: int | None = None
    reason: str | None = None
    last_synced_at: datetime | None = None
    extra: dict[str, Any] = extras()

    @property
    def completed_at(self) -> datetime | None:
        """When the last complete run ended, wherever the service put that date."""
        return self.summary.last_synced_at or self.last_synced_at
