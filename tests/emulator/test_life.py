"""The life of syncs: paces, states moved from outside, runs by the clock, several syncs at once."""

from __future__ import annotations

import asyncio

import pytest

from paragon_async.emulator import Emulator, EmulatorError
from tests.conftest import PROJECT
from tests.emulator.asker import Client, token

ONE = "9d5a1f0e-3c57-4b7e-8f0c-1d2e3f4a5b6c"


@pytest.fixture
def made(folder, signing_key, session):
    """Make an emulator with options, and a client of it."""

    class Made:
        def __init__(self, **options):
            options = {"folder": folder, "settle": 0, "rescan": 0} | options
            self.emulator = Emulator(project_id=PROJECT, signing_key=signing_key, **options)

        async def __aenter__(self):
            await self.emulator.start()
            return self.emulator, Client(session, self.emulator.url, token(signing_key))

        async def __aexit__(self, *_):
            await self.emulator.aclose()

    return Made


async def test_a_pace_of_seconds_follows_the_clock(made):
    """With a frozen clock a sync stands still; advanced by the pace, it takes one step."""
    async with made(pace="seconds:60") as (_, client):
        await client.admin("PUT", "clock", {"frozen": True})
        sync = await client.enabled()
        for expected in ("INITIALIZING", "ACTIVE"):
            await asyncio.sleep(0.02)
            assert (await client.status(sync))["status"] == expected
            await asyncio.sleep(0.02)
            await client.admin("PUT", "clock", {"advance": 60})
            await asyncio.sleep(0.05)
        assert (await client.until(sync, "IDLE"))["summary"]["lastSyncedAt"]


async def test_a_manual_pace_waits_for_the_admin(made):
    """A sync stays INITIALIZING until the admin API moves it, and IDLE then has all records."""
    async with made(pace="manual") as (_, client):
        sync = await client.enabled()
        await asyncio.sleep(0.05)
        assert (await client.status(sync))["status"] == "INITIALIZING"
        assert (await client.page(sync))["data"] == []
        place = sync.replace("/api/", "")
        await client.admin("PATCH", place, {"status": "ACTIVE"})
        await asyncio.sleep(0.1)
        assert (await client.status(sync))["status"] == "ACTIVE"
        assert len((await client.page(sync))["data"]) == 7
        await client.admin("PATCH", place, {"status": "IDLE"})
        await client.until(sync, "IDLE")


async def test_rate_limited_syncs_resume_by_themselves(made):
    """RATE_LIMITED tells how long it backs off, and ends when the clock has passed that."""
    async with made() as (_, client):
        sync = await client.synced()
        await client.admin("PUT", "clock", {"frozen": True})
        wanted = {"status": "RATE_LIMITED", "rateLimitBackoffMs": 5000}
        await client.admin("PATCH", sync.replace("/api/", ""), wanted)
        shown = await client.status(sync)
        assert (shown["status"], shown["rateLimitBackoffMs"]) == ("RATE_LIMITED", 5000)
        await client.admin("PUT", "clock", {"advance": 5})
        assert "rateLimitBackoffMs" not in await client.until(sync, "IDLE")


async def test_errored_syncs_wait_for_somebody(made, folder):
    """ERRORED says why, notices nothing, and is ended by reenable, which catches up."""
    async with made() as (emulator, client):
        sync = await client.synced()
        wanted = {"status": "ERRORED", "reason": "token revoked"}
        await client.admin("PATCH", sync.replace("/api/", ""), wanted)
        shown = await client.status(sync)
        assert (shown["status"], shown["reason"]) == ("ERRORED", "token revoked")
        (folder / "new.txt").write_text("x")
        await emulator.refresh()
        assert len((await client.page(sync))["data"]) == 7
        await client.ask("POST", f"{sync}/reenable")
        assert "reason" not in await client.until(sync, "IDLE")
        assert len((await client.page(sync))["data"]) == 8


async def test_only_full_runs_see_deletes_if_so_wished(made, folder):
    """With deletes in full runs, a file that went shows only after a day of the clock."""
    async with made(deletes="full_run") as (emulator, client):
        sync = await client.synced()
        _, cursor = await client.pulled(sync)
        (folder / "hello.txt").unlink()
        (folder / "new.txt").write_text("x")
        await emulator.refresh()
        news, cursor = await client.pulled(sync, cursor)
        assert [record["name"] for record in news] == ["new.txt"]
        await client.admin("PUT", "clock", {"advance": 86_400})
        for _ in range(200):
            news, cursor = await client.pulled(sync, cursor)
            if news:
                break
            await asyncio.sleep(0.01)
        assert [record["deleted"] for record in news] == [True]


async def test_a_frequency_holds_news_back(made, folder):
    """A sync with a frequency of an hour shows nothing new before the hour is over."""
    async with made() as (emulator, client):
        sync = await client.synced(incrementalAccumulatorFrequency="1h")
        await client.admin("PUT", "clock", {"frozen": True})
        (folder / "new.txt").write_text("x")
        await emulator.refresh()
        assert len((await client.page(sync))["data"]) == 7
        await client.admin("PUT", "clock", {"advance": 3600})
        while len((await client.page(sync))["data"]) != 8:  # noqa: ASYNC110  # that is what polling is
            await asyncio.sleep(0.01)
        assert (await client.status(sync))["incrementalAccumulatorFrequency"] == "1h"


async def test_a_disabled_sync_stays_disabled_whatever_was_running(made):
    """Disabling in the middle of a first run ends the run; reenable finishes it."""
    async with made(pace="polls:3") as (emulator, client):
        sync = await client.enabled()
        await client.ask("POST", f"{sync}/disable")
        for _ in range(5):
            assert (await client.status(sync))["status"] == "DISABLED"
        _, answer, _ = await client.ask("GET", "/api/syncs")
        assert answer["data"][0]["status"] == "DISABLED"
        await client.admin("PUT", "pace", {"pace": "at_once"})
        await client.ask("POST", f"{sync}/reenable")
        await client.until(sync, "IDLE")
        assert emulator.world.life.pace.polls == 0


async def test_a_new_credential_starts_a_full_run(made):
    """PATCH with a credential runs the sync anew and shows the credential afterwards."""
    async with made(pace="polls:1") as (_, client):
        sync = await client.synced()
        await client.ask("PATCH", sync, {"credentialId": ONE})
        assert (await client.status(sync))["status"] == "ACTIVE"
        assert (await client.until(sync, "IDLE"))["credentialId"] == ONE


async def test_a_sync_made_again_keeps_its_id_and_not_its_data(made, folder):
    """Deleted and enabled again with the same name it has the same id, and old cursors are refused."""
    async with made() as (_, client):
        sync = await client.synced(configurationName="docs")
        _, cursor = await client.pulled(sync)
        assert (await client.ask("DELETE", sync))[0] == 200
        assert (await client.ask("GET", f"{sync}/records"))[0] == 404
        (folder / "hello.txt").unlink()
        assert await client.synced(configurationName="docs") == sync
        records, _ = await client.pulled(sync)
        assert len(records) == 6
        after = cursor.replace("+", "%2B")
        status, body, _ = await client.ask("GET", f"{sync}/records?cursor={after}")
        assert (status, "deleted sync" in body["message"]) == (400, True)


async def test_users_have_folders_of_their_own(made, folder, tmp_path, session, signing_key):
    """A user with a mount sees it, everybody else the common folder; nobody another's syncs."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.txt").write_text("m")
    async with made(mounts={"u2": tmp_path / "own"}) as (emulator, client):
        other = Client(session, emulator.url, token(signing_key, sub="u2"))
        mine, theirs = await client.synced(), await other.synced()
        assert len((await client.page(mine))["data"]) == 7
        assert [r["name"] for r in (await other.page(theirs))["data"]] == ["mine.txt"]
        assert (await client.ask("GET", theirs))[0] == 404


@pytest.mark.parametrize("pace", ["polls:0", "polls:x", "seconds:-1", "seconds:inf", "soon", ""])
def test_paces_that_are_none(pace):
    """A pace of no form is refused with the forms there are."""
    with pytest.raises(EmulatorError, match="polls:N"):
        Emulator(pace=pace)


CONFIGURATIONS = [
    ({"integration": "gogledrive"}, "integration must be one of"),
    ({"integration": "jira", "pipeline": "files"}, "pipeline of jira"),
    ({"integration": "jira", "pipeline": "tickets"}, "projectId"),
    ({"integration": "monday", "pipeline": "tickets"}, "boardId"),
    ({"integration": "amazons3"}, "bucket"),
    ({"integration": "sharepoint"}, "siteId"),
    ({"integration": "salesforce", "pipeline": "custom_objects"}, "customObjectName"),
    ({"configuration": {"folderId": 5}}, "folderId must be a string"),
    ({"configuration": {"mimeTypes": "text/plain"}}, "mimeTypes"),
    ({"credentialId": "c1"}, "UUID"),
    ({"incrementalAccumulatorFrequency": "2m"}, "must be one of"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), CONFIGURATIONS)
async def test_syncs_that_cannot_be(made, body, reason):
    """Unknown integrations and pipelines, and configurations that lack what is required: 400."""
    async with made() as (_, client):
        wanted = {"integration": "googledrive", "pipeline": "files"} | body
        status, answer, _ = await client.ask("POST", "/api/syncs", wanted)
        assert (status, reason in answer["message"]) == (400, True), answer
