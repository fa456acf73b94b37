"""A folder as a source: what changes in it becomes what changes in the feed, under the same ids."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from paragon_async.emulator import Emulator
from paragon_async.emulator.folder import Look
from tests.conftest import PROJECT
from tests.emulator.asker import Client, token


@pytest.fixture
async def emulator(folder, signing_key):
    options = {"settle": 0, "rescan": 0, "project_id": PROJECT, "signing_key": signing_key}
    async with Emulator(folder, **options) as running:
        yield running


async def news(client, emulator, sync, cursor):
    await emulator.refresh()
    return await client.pulled(sync, cursor)


async def test_every_kind_of_change(client, emulator, folder):
    """Created, updated and deleted files come at the end of the feed, each once."""
    sync = await client.synced()
    before, cursor = await client.pulled(sync)
    ids = {record["name"]: record["id"] for record in before}
    (folder / "new.txt").write_text("new")
    (folder / "hello.txt").write_text("changed")
    (folder / "zero.bin").unlink()
    records, cursor = await news(client, emulator, sync, cursor)
    found = {record["id"]: record for record in records}
    assert len(records) == 3
    assert found[ids["hello.txt"]]["size"] == 7
    assert found[ids["zero.bin"]]["deleted"] is True
    assert {r.get("name") for r in records} == {"new.txt", "hello.txt", None}
    assert (await news(client, emulator, sync, cursor))[0] == []


async def test_renamed_and_moved_files_keep_their_ids(client, emulator, folder):
    """A rename changes the name, a move the parent, both under the same id; contents follow."""
    sync = await client.synced()
    before, cursor = await client.pulled(sync)
    ids = {record["name"]: record for record in before}
    (folder / "hello.txt").rename(folder / "empty" / "moved.txt")
    records, cursor = await news(client, emulator, sync, cursor)
    assert [(r["id"], r["name"]) for r in records] == [(ids["hello.txt"]["id"], "moved.txt")]
    assert records[0]["parentFolderId"] == ids["empty"]["externalId"]
    content = await client.ask("GET", f"{sync}/records/{records[0]['id']}/content")
    assert content[:2] == (200, b"hello")
    (folder / "reports").rename(folder / "papers")
    records, cursor = await news(client, emulator, sync, cursor)
    assert [(r["id"], r["name"]) for r in records] == [(ids["reports"]["id"], "papers")]
    content = await client.ask("GET", f"{sync}/records/{ids['large.bin']['id']}/content")
    assert (content[0], len(content[1])) == (200, ids["large.bin"]["size"])


async def test_a_new_file_under_an_old_name(client, emulator, folder):
    """What takes the place of something that moved away is another record."""
    sync = await client.synced()
    before, cursor = await client.pulled(sync)
    old = next(record for record in before if record["name"] == "hello.txt")
    (folder / "hello.txt").rename(folder / "kept.txt")
    await news(client, emulator, sync, cursor)
    (folder / "hello.txt").write_text("another")
    await emulator.refresh()
    records, _ = await client.pulled(sync)
    names = {r["name"]: r["id"] for r in records}
    assert names["kept.txt"] == old["id"]
    assert names["hello.txt"] != old["id"]


async def test_a_reused_inode_is_another_file(client, emulator, folder):
    """A file made after another was deleted is not taken for it, whatever its inode says."""
    sync = await client.synced()
    before, cursor = await client.pulled(sync)
    old = next(record["id"] for record in before if record["name"] == "zero.bin")
    (folder / "zero.bin").unlink()
    (folder / "other.bin").write_text("something else")
    records, _ = await news(client, emulator, sync, cursor)
    found = {record["id"]: record for record in records}
    assert found[old]["deleted"] is True
    assert {r.get("name") for r in records} == {None, "other.bin"}


async def test_a_save_that_replaces_is_one_update(client, emulator, folder):
    """An editor that writes beside and renames makes one update of the same record."""
    sync = await client.synced()
    before, cursor = await client.pulled(sync)
    old = next(record["id"] for record in before if record["name"] == "hello.txt")
    (folder / ".hello.tmp").write_text("saved anew")
    (folder / ".hello.tmp").replace(folder / "hello.txt")
    records, _ = await news(client, emulator, sync, cursor)
    assert [(r["id"], r["size"]) for r in records] == [(old, 10)]


async def test_half_written_files_are_waited_for(folder, signing_key, session):
    """A file that is being written appears once, whole, after it has come to rest."""
    (folder / "hello.txt").unlink()
    options = {"settle": 0.3, "rescan": 0.05, "project_id": PROJECT, "signing_key": signing_key}
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    async with Emulator(folder, **options) as emulator:
        client = Client(session, emulator.url, token(signing_key))
        sync = await client.synced()
        _, cursor = await client.pulled(sync)
        with (folder / "growing.log").open("w") as file:
            for _ in range(8):
                file.write("x" * 100)
                file.flush()
                await asyncio.sleep(0.05)
                assert (await client.pulled(sync, cursor))[0] == []
        while not (records := (await client.pulled(sync, cursor))[0]):  # noqa: ASYNC110  # that is what polling is
            await asyncio.sleep(0.02)
        assert [(r["name"], r["size"]) for r in records] == [("growing.log", 800)]


@pytest.mark.parametrize("rescan", [0.05, 30])
async def test_changes_are_noticed_by_themselves(folder, signing_key, session, rescan):
    """Rescans find a change without being asked; so do the system's notices, long before a rescan."""
    if rescan > 1:
        pytest.importorskip("watchfiles")
    options = {"settle": 0.01, "rescan": rescan, "project_id": PROJECT, "signing_key": signing_key}
    async with Emulator(folder, **options) as emulator:
        client = Client(session, emulator.url, token(signing_key))
        sync = await client.synced()
        _, cursor = await client.pulled(sync)
        await asyncio.sleep(0.3)
        (folder / "noticed.txt").write_text("x")
        begun = time.monotonic()
        while not (records := (await client.pulled(sync, cursor))[0]):
            await asyncio.sleep(0.02)
            assert time.monotonic() - begun < 20
        assert records[0]["name"] == "noticed.txt"


async def test_a_narrow_sync_follows_its_folder(client, emulator, folder):
    """What moves into the folder of a sync appears in it with all it holds, and goes when it leaves."""
    sync = await client.synced()
    records, _ = await client.pulled(sync)
    wanted = next(r["externalId"] for r in records if r["name"] == "empty")
    narrow = await client.synced(configuration={"folderId": wanted}, configurationName="narrow")
    assert await client.pulled(narrow) == ([], None)
    (folder / "reports" / "2025").rename(folder / "empty" / "2025")
    await emulator.refresh()
    await client.until(narrow, "IDLE")
    records, cursor = await client.pulled(narrow)
    assert sorted(r["name"] for r in records) == ["2025", "large.bin"]
    (folder / "empty" / "2025").rename(folder / "2025")
    await emulator.refresh()
    records, _ = await client.pulled(narrow, cursor)
    assert [r["deleted"] for r in records] == [True, True]


async def test_permissions_of_a_narrow_sync(client, emulator):
    """A sync of one folder inherits from the folders above it, which it does not show."""
    emulator.grant("reader@example.com", "can_read", "reports")
    sync = await client.synced()
    records, _ = await client.pulled(sync)
    wanted = next(r["externalId"] for r in records if r["name"] == "2025")
    narrow = await client.synced(configuration={"folderId": wanted}, configurationName="narrow")
    records, _ = await client.pulled(narrow)
    place = narrow.replace("syncs", "permissions")
    for user in ("reader@example.com", "owner@example.com"):
        ask = {"object": records[0]["id"], "user": user, "role": "can_read"}
        assert (await client.ask("POST", f"{place}/check", ask))[1] == {"hasAccess": True}


async def test_grants_that_lie_in_the_folder(client, emulator, folder):
    """A `.paragon.toml` grants and takes back as it is written, and is no record itself."""
    rules = folder / "reports" / ".paragon.toml"
    rules.write_text('[grants]\ncan_read = ["group:eng"]\n[groups]\neng = ["e@example.com"]\n')
    sync = await client.synced()
    records, _ = await client.pulled(sync)
    assert ".paragon.toml" not in {r["name"] for r in records}
    large = next(r["id"] for r in records if r["name"] == "large.bin")
    ask = {"object": large, "user": "e@example.com", "role": "can_read"}
    place = sync.replace("syncs", "permissions") + "/check"
    assert (await client.ask("POST", place, ask))[1] == {"hasAccess": True}
    rules.write_text("[grants]\n")
    await emulator.refresh()
    assert (await client.ask("POST", place, ask))[1] == {"hasAccess": False}


async def test_rules_that_cannot_be_read(client, emulator, folder, caplog):
    """A broken `.paragon.toml` is complained of in the log and grants nothing."""
    (folder / ".paragon.toml").write_text("[grants\n")
    await client.synced()
    assert "paragon.toml" in caplog.text


async def test_other_integrations_give_folders_no_type(client, folder):
    """Google names the type of a folder, the others do not."""
    sync = await client.synced(integration="box")
    records, _ = await client.pulled(sync)
    assert "mimeType" not in next(r for r in records if r["name"] == "empty")


async def test_types_can_be_chosen(client, folder):
    """`mimeTypes` narrows a sync to files of these types, and their folders."""
    sync = await client.synced(configuration={"mimeTypes": ["text/plain"]})
    records, _ = await client.pulled(sync)
    kinds = {r["name"] for r in records if "size" in r}
    assert kinds == {"hello.txt"}


async def test_what_cannot_be_read_is_not_gone(client, emulator, folder, caplog):
    """Of a file that may not be read any more nothing is known: its record stays, and the log says why."""
    sync = await client.synced()
    _, cursor = await client.pulled(sync)
    (folder / "hello.txt").unlink()
    (folder / "hello.txt").symlink_to("x" * 4000)
    assert (await news(client, emulator, sync, cursor))[0] == []
    assert "hello.txt" in caplog.text
    (folder / "hello.txt").unlink()
    assert [r["deleted"] for r in (await news(client, emulator, sync, cursor))[0]] == [True]


def test_below_what_cannot_be_read():
    """Nothing is known of what lies below a folder that could not be read; of the rest all is."""
    looked = Look(unread={b"a/b": "Permission denied"})
    shown = [looked.is_unread(path) for path in (b"a/b", b"a/b/c/d", b"a", b"a/bc", b"")]
    assert shown == [True, True, False, False, False]
    assert Look(unread={b"": "Input/output error"}).is_unread(b"a/b")


async def test_many_changes_at_once(client, emulator, folder):
    """More changes than fit into one step arrive all the same, each once, and are told as such."""
    sync = await client.synced()
    _, cursor = await client.pulled(sync)
    for number in range(2100):
        (folder / "empty" / f"{number}.txt").write_text("x")
    records, cursor = await news(client, emulator, sync, cursor)
    assert len(records) == len({r["id"] for r in records}) == 2100
    assert (await client.status(sync))["status"] == "IDLE"
