"""Syncs of one user: their life cycle. Source: api.md 1.2 to 1.6 and 3.1."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

import attrs

from paragon_async.api import endpoints
from paragon_async.errors import (
    ConfigurationError,
    ConflictError,
    ParagonError,
    ServerError,
    SyncFailedError,
    TimedOutError,
    TransportError,
)
from paragon_async.models import Frequency, Sync, SyncStatus
from paragon_async.transport.channel import Channel

_FIRST_POLL = 0.1
_LONGEST_POLL = 5.0
_FAILED = {"ERRORED", "DISABLED", "PAUSED", "ERROR"}
# An idle sync that names no completed run may be an old service's; it is believed after a while.
_IDLE_POLLS_BELIEVED = 4


@attrs.frozen(eq=False)
class Syncs:
    """The pipelines of one connected user."""

    _channel: Channel = attrs.field(repr=False)
    _user: str | None

    async def enable(
        self,
        integration: str,
        pipeline: str,
        *,
        configuration: Mapping[str, Any] | None = None,
        configuration_name: str = "default",
        credential_id: str | None = None,
    ) -> Sync:
        """Create and start a sync, or return the one that these parameters name already.

        *configuration* depends on the integration, `{}` syncs everything. When an answer is lost the
        list of syncs tells whether the call had its effect before it is made again. Raises
        `BadRequestError` for parameters the service refuses. Cancelling may leave the sync enabled.
        Source: api.md 1.2.
        """
        body: dict[str, Any] = {
            "integration": integration,
            "pipeline": pipeline,
            "configuration": dict(configuration or {}),
            "configurationName": configuration_name,
        }
        if credential_id:
            body["credentialId"] = credential_id
        request = endpoints.enable_sync(body)
        try:
            return await self._channel.call(request, self._user)
        except (TransportError, ServerError, ConflictError) as error:
            found = await self._named(error, integration, pipeline, configuration_name)
            if found is not None:
                return found
            if not error.retryable:
                raise
            return await self._channel.call(attrs.evolve(request, repeatable=True), self._user)

    async def list(self, *, credential_id: str | None = None) -> builtins.list[Sync]:
        """Return the user's syncs, of one credential if named. Source: api.md 1.3."""
        return await self._channel.call(endpoints.list_syncs(credential_id), self._user)

    async def status(self, sync_id: str) -> SyncStatus:
        """Return the state of a sync; `NotFoundError` if it is not this user's. Source: api.md 1.4."""
        return await self._channel.call(endpoints.sync_status(sync_id), self._user)

    async def update(
        self,
        sync_id: str,
        *,
        credential_id: str | None = None,
        incremental_frequency: Frequency | None = None,
    ) -> None:
        """Change the credential, which starts a full run, or the frequency, or both.

        The service accepts the change and carries it out later. Source: api.md 1.5.
        """
        given = {
            "credentialId": credential_id,
            "incrementalAccumulatorFrequency": incremental_frequency,
        }
        body = {key: value for key, value in given.items() if value is not None}
        if not body:
            raise ConfigurationError("update needs a credential_id or an incremental_frequency")
        await self._channel.call(endpoints.update_sync(sync_id, body), self._user)

    async def disable(self, sync_id: str) -> None:
        """Pause a sync; its records stay. Source: api.md 1.6."""
        await self._channel.call(endpoints.disable_sync(sync_id), self._user)

    async def reenable(self, sync_id: str) -> None:
        """Resume a sync that is disabled, or errored and mended. Source: api.md 1.6."""
        await self._channel.call(endpoints.reenable_sync(sync_id), self._user)

    async def delete(self, sync_id: str) -> None:
        """Delete a sync and all its records for ever.

        Enabling it again gives the same id with new data: forget any cursor saved for it.
        Source: api.md 1.6.
        """
        await self._channel.call(endpoints.delete_sync(sync_id), self._user)

    async def wait_until_idle(
        self,
        sync_id: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109  # the state is in the error, a scope has none
    ) -> SyncStatus:
        """Poll until the sync has completed a run, and return its state.

        *timeout* is in seconds, None for no end. Raises `SyncFailedError` when the sync is ERRORED or
        DISABLED, `TimedOutError` when the time is over. Cancelling only ends the waiting.
        Source: api.md 3.1.
        """
        clock = self._channel.clock
        ends = None if timeout is None else clock.monotonic() + timeout
        wait = _FIRST_POLL
        idle_polls = 0
        while True:
            now = await self.status(sync_id)
            idle_polls += now.status == "IDLE"
            if now.status == "IDLE" and (now.completed_at or idle_polls >= _IDLE_POLLS_BELIEVED):
                return now
            if now.status in _FAILED:
                raise _failed(sync_id, now)
            pause = max(wait, (now.rate_limit_backoff_ms or 0) / 1000)
            if ends is not None and clock.monotonic() + pause > ends:
                raise TimedOutError(f"sync {sync_id} is still {now.status} after {timeout} seconds")
            await clock.sleep(pause)
            wait = min(_LONGEST_POLL, wait * 1.5)

    async def _named(
        self, error: ParagonError, integration: str, pipeline: str, name: str
    ) -> Sync | None:
        """Find the sync that an enable call made, or may have made."""
        try:
            syncs = await self.list()
        except ParagonError:
            raise error from None
        wanted = (integration, pipeline, name)
        found = (s for s in syncs if (s.integration, s.pipeline, s.configuration_name) == wanted)
        return next(found, None)


def _failed(sync_id: str, now: SyncStatus) -> SyncFailedError:
    why = f": {now.reason}" if now.reason else ""
    return SyncFailedError(
        f"sync {sync_id} is {now.status}{why}; mend the cause, then reenable it",
        sync_id=sync_id,
        status=now.status,
        reason=now.reason,
    )
