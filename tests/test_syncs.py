from __future__ import annotations

import pytest

from paragon_async import (
    ConfigurationError,
    ConflictError,
    CutShortError,
    ServerError,
    SyncFailedError,
    TimedOutError,
)
from tests.fakes import answer, syncs

S = "sync-1"
MINE = {"id": S, "integration": "box", "pipeline": "files", "configurationName": "default"}
IDLE = {"status": "IDLE", "summary": {"lastSyncedAt": "2025-01-01T00:00:00Z"}}


async def test_enable_sends_what_is_documented():
    """Enabling sends the four documented fields."""
    made, session = syncs(answer(MINE))
    sync = await made.enable(
        "box", "files", configuration={"folderId": "f"}, configuration_name="n"
    )
    assert sync.id == S
    request = session.requests[0]
    assert (request.method, request.path) == ("POST", "/api/syncs")
    assert request.body == {
        "integration": "box", "pipeline": "files", "configuration": {"folderId": "f"}, "configurationName": "n",
    }  # fmt: skip


async def test_enable_with_a_lost_answer_looks_before_it_repeats():
    """When the answer is lost, the list tells whether the sync is there; only then it is sent again."""
    made, session = syncs(CutShortError("lost"), answer({"data": [MINE]}))
    assert (await made.enable("box", "files")).id == S
    assert [r.method for r in session.requests] == ["POST", "GET"]
    made, session = syncs(CutShortError("lost"), answer({"data": []}), answer(MINE))
    assert (await made.enable("box", "files")).id == S
    assert [r.method for r in session.requests] == ["POST", "GET", "POST"]


async def test_enable_conflict_returns_the_one_there_is():
    """A conflict means that the sync exists: it is found, or the conflict is raised."""
    made, _ = syncs(answer(status=409), answer([MINE]))
    assert (await made.enable("box", "files")).id == S
    made, _ = syncs(answer(status=409), answer([]))
    with pytest.raises(ConflictError):
        await made.enable("box", "files")


async def test_enable_raises_the_first_error_when_looking_fails():
    """If the list cannot be had either, the error of the enabling is what is raised."""
    made, _ = syncs(answer(status=500), answer(status=501))
    with pytest.raises(ServerError) as caught:
        await made.enable("box", "files")
    assert caught.value.status == 500


async def test_update_needs_something():
    """An update without a change is refused before it is sent."""
    made, session = syncs(answer())
    with pytest.raises(ConfigurationError):
        await made.update(S)
    assert session.requests == []
    await made.update(S, credential_id="c", incremental_frequency="6h")
    assert session.requests[0].body == {
        "credentialId": "c",
        "incrementalAccumulatorFrequency": "6h",
    }


async def test_waits_until_idle():
    """Waiting polls through all states, and no sooner than a rate limit allows."""
    made, session = syncs(
        answer({"status": "INITIALIZING"}), answer({"status": "RATE_LIMITED", "rateLimitBackoffMs": 9000}),
        answer({"status": "ACTIVE"}), answer(IDLE),
    )  # fmt: skip
    assert (await made.wait_until_idle(S)).status == "IDLE"
    assert made._channel.clock.slept[1] == 9.0
    assert len(session.requests) == 4


async def test_idle_before_the_first_run_is_waited_out():
    """An idle sync without a completed run is polled on for a while, then believed."""
    made, session = syncs(answer({"status": "IDLE"}))
    assert (await made.wait_until_idle(S)).completed_at is None
    assert len(session.requests) == 4


@pytest.mark.parametrize("status", ["ERRORED", "DISABLED", "paused"])
async def test_a_failed_sync_is_raised(status):
    """A sync that will not become idle by itself is an error with its reason."""
    made, _ = syncs(answer({"status": status, "reason": "credential deleted"}))
    with pytest.raises(SyncFailedError, match="credential deleted") as caught:
        await made.wait_until_idle(S)
    assert (caught.value.sync_id, caught.value.status) == (S, status.upper())


async def test_waiting_has_an_end():
    """With a timeout the waiting ends in time, and says in which state."""
    made, _ = syncs(answer({"status": "ACTIVE"}))
    with pytest.raises(TimedOutError, match="still ACTIVE after 20"):
        await made.wait_until_idle(S, timeout=20)
    assert sum(made._channel.clock.slept) <= 20


@pytest.mark.parametrize("bad", ["", " ", ".", "..", None, 5, "\ud800"])
async def test_ids_that_climb_out(bad):
    """An id that would leave its place in the path is refused, any other is quoted."""
    made, session = syncs(answer(IDLE))
    with pytest.raises(ConfigurationError, match="no sync id"):
        await made.status(bad)
    await made.status("a/../b?c")
    assert session.requests[0].path == "/api/syncs/a%2F..%2Fb%3Fc"


async def test_life_in_the_emulator(user, emulator):
    """Against the emulator a sync is enabled, listed, paused, resumed, updated and deleted."""
    sync = await user.syncs.enable("googledrive", "files")
    assert (await user.syncs.enable("googledrive", "files")).id == sync.id
    assert (await user.syncs.wait_until_idle(sync.id, timeout=10)).summary.total_records == 7
    assert [s.id for s in await user.syncs.list()] == [sync.id]
    assert await user.syncs.list(credential_id="other") == []
    await user.syncs.disable(sync.id)
    with pytest.raises(SyncFailedError):
        await user.syncs.wait_until_idle(sync.id)
    await user.syncs.reenable(sync.id)
    await user.syncs.wait_until_idle(sync.id, timeout=10)
    await user.syncs.update(
        sync.id, credential_id="0f3c9a56-0000-4000-8000-000000000000", incremental_frequency="1h"
    )
    status = await user.syncs.status(sync.id)
    assert (status.incremental_accumulator_frequency, status.credential_id[:8]) == (
        "1h",
        "0f3c9a56",
    )
    await user.syncs.delete(sync.id)
    assert await user.syncs.list() == []
