"""State that outlives the process: syncs, cursors, deliveries and identity in a file of one's own."""

from __future__ import annotations

import sqlite3
import stat

import pytest

from paragon_async.emulator import Emulator, EmulatorError
from tests.emulator.asker import Client, token


@pytest.fixture
def state(tmp_path):
    return tmp_path / "emulator.db"


def opened(folder, state, **options):
    return Emulator(folder, state=state, settle=0, rescan=0, **options)


async def test_everything_is_there_after_a_restart(folder, state, session):
    """Project, key, syncs, records, calls and cursors are those of before; changes meanwhile are found."""
    async with opened(folder, state) as first:
        key, project = first.signing_key, first.project_id
        bearer = token(key, aud=f"useparagon.com/{project}")
        client = Client(session, first.url, bearer)
        sync = await client.synced()
        before, cursor = await client.pulled(sync)
        shown = await client.admin("PUT", "clock", {"frozen": True, "advance": 100})
    (folder / "new.txt").write_text("x")
    async with opened(folder, state) as second:
        assert (second.signing_key, second.project_id) == (key, project)
        client = Client(session, second.url, bearer)
        assert (await client.status(sync))["status"] == "IDLE"
        assert (await client.pulled(sync))[0] == before
        await second.refresh()
        assert [r["name"] for r in (await client.pulled(sync, cursor))[0]] == ["new.txt"]
        calls = (await client.admin("GET", "requests?path=*/records"))["data"]
        assert calls[0]["path"] == f"{sync}/records"
        assert (await client.admin("GET", "clock")) == shown


async def test_a_run_that_was_cut_short_is_taken_up(folder, state, session):
    """A sync that had not finished when the process ended finishes in the next one."""
    async with opened(folder, state, pace="manual") as first:
        bearer = token(first.signing_key, aud=f"useparagon.com/{first.project_id}")
        sync = await Client(session, first.url, bearer).enabled()
    async with opened(folder, state) as second:
        client = Client(session, second.url, bearer)
        await client.until(sync, "IDLE")
        assert len((await client.pulled(sync))[0]) == 7


async def test_grants_that_went_meanwhile(folder, state, session):
    """A `.paragon.toml` that was deleted between two processes grants nothing any more."""
    rules = folder / ".paragon.toml"
    rules.write_text('[grants]\ncan_read = ["e@example.com"]\n')
    async with opened(folder, state) as first:
        bearer = token(first.signing_key, aud=f"useparagon.com/{first.project_id}")
        client = Client(session, first.url, bearer)
        sync = await client.synced()
        record = (await client.pulled(sync))[0][0]["id"]
        ask = {"object": record, "user": "e@example.com", "role": "can_read"}
        place = sync.replace("syncs", "permissions") + "/check"
        assert (await client.ask("POST", place, ask))[1] == {"hasAccess": True}
    rules.unlink()
    async with opened(folder, state) as second:
        await second.refresh()
        client = Client(session, second.url, bearer)
        assert (await client.ask("POST", place, ask))[1] == {"hasAccess": False}


def test_only_the_owner_may_read_it(folder, state):
    """The file holds a signing key, so nobody else can open it."""
    emulator = opened(folder, state)
    emulator.world.store.close()
    assert stat.S_IMODE(state.stat().st_mode) == 0o600


async def test_two_emulators_on_one_file(folder, state):
    """The second is told that the file is in use."""
    async with opened(folder, state):
        with pytest.raises(EmulatorError, match="another emulator is using it"):
            opened(folder, state)


def test_files_that_are_no_state(tmp_path, folder):
    """What is damaged, foreign, newer or a folder is refused in one sentence and left as it was."""
    junk = tmp_path / "junk"
    junk.write_bytes(b"not a database, but long enough to be looked at" * 50)
    foreign, newer = tmp_path / "foreign", tmp_path / "newer"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    opened(folder, newer).world.store.close()
    db = sqlite3.connect(newer)
    db.execute("PRAGMA user_version = 99")
    db.close()
    for path, reason in (
        (junk, "damaged"),
        (foreign, "not the state"),
        (newer, "newer"),
        (tmp_path, "cannot open"),
    ):
        before = path.read_bytes() if path.is_file() else None
        with pytest.raises(EmulatorError, match=reason):
            opened(folder, path)
        assert before is None or path.read_bytes() == before


async def test_another_project(folder, state):
    """A state of one project is not taken for another."""
    opened(folder, state, project_id="p1").world.store.close()
    async with opened(folder, state, project_id="p1"):
        pass
    with pytest.raises(EmulatorError, match="another project"):
        opened(folder, state, project_id="p2")


async def test_export_and_import(client, emulator, folder, signing_key, session):
    """An exported state, imported elsewhere, shows the same; a secret is not in it."""
    sync = await client.synced()
    records, cursor = await client.pulled(sync)
    await client.admin("PUT", "webhook", {"url": "http://127.0.0.1:9/x?secret=canary", "headers": {"X": "canary"}})  # fmt: skip
    document = await client.admin("GET", "state")
    assert "canary" not in str(document)
    assert "PRIVATE KEY" not in str(document)
    await client.admin("POST", "reset")
    assert (await client.ask("GET", sync))[0] == 404
    await client.admin("PUT", "state", document)
    assert (await client.pulled(sync))[0] == records
    assert (await client.pulled(sync, cursor))[0] == []


async def test_states_that_cannot_be_imported(client):
    """What is no exported state is refused, and nothing is lost."""
    sync = await client.synced()
    good = await client.admin("GET", "state")
    for bad in (
        {},
        {"format": 1, "tables": {"mine": []}},
        {"format": 1, "tables": {"syncs": [{"x": 1}]}},
        {"format": 1, "tables": {"syncs": 5}},
        {"format": 1, "tables": {"syncs": [5]}},
        {"format": 1, "tables": {"records": [{"body": {"base64": 5}}]}},
        good | {"format": 2},
    ):
        assert (await client.ask("PUT", "/_emulator/state", bad))[0] == 400
        assert (await client.status(sync))["status"] == "IDLE"
        assert len((await client.pulled(sync))[0]) == 7
