"""What is downloaded, of every kind of record, through the service."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest

from paragon_async.emulator import Emulator
from tests.conftest import PROJECT
from tests.emulator.asker import Client, token


@pytest.fixture
async def emulator(folder, signing_key):
    specs = ["files:3x3MiB", "files:5", "tickets:4", "contacts:2", "custom_objects:2"]
    options = {"generate": specs, "seed": 7, "project_id": PROJECT, "signing_key": signing_key}
    async with Emulator(folder, settle=0, rescan=0, **options) as running:
        yield running


async def content(client, sync, record, **headers):
    return await client.ask("GET", f"{sync}/records/{record['id']}/content", **headers)


async def test_virtual_files(client, emulator, signing_key, session):
    """Generated files have their size and their ranges, and the same bytes in another emulator."""
    sync = await client.synced()
    records, _ = await client.pulled(sync)
    made = [r for r in records if r["externalId"].startswith("gen-files")]
    large = next(r for r in made if r["size"] == 3 << 20)
    status, whole, _ = await content(client, sync, large)
    assert (status, len(whole)) == (200, 3 << 20)
    _, part, _ = await content(client, sync, large, Range="bytes=1048570-1048590")
    assert part == whole[1048570:1048591]
    small = next(r for r in made if "value" in r["hash"])
    assert len(made) == 8
    assert (
        hashlib.sha256((await content(client, sync, small))[1]).hexdigest()
        == small["hash"]["value"]
    )
    async with Emulator(
        generate=["files:3x3MiB"], seed=7, project_id=PROJECT, signing_key=signing_key
    ) as again:
        other = Client(session, again.url, token(signing_key))
        assert await other.synced() == sync
        assert (await content(other, sync, large))[1] == whole


async def test_permissions_of_generated_files(client):
    """Generated files hang under the root: their owner may read them, a stranger may not."""
    sync = await client.synced()
    records, _ = await client.pulled(sync)
    made = next(r for r in records if r["externalId"].startswith("gen-files"))
    for user, allowed in (("owner@example.com", True), ("stranger@example.com", False)):
        ask = {"object": made["id"], "user": user, "role": "can_read"}
        place = sync.replace("syncs", "permissions") + "/check"
        assert (await client.ask("POST", place, ask))[1] == {"hasAccess": allowed}


async def test_googles_own_documents(client, emulator, folder):
    """A `.gdoc` keeps Google's type in its record and downloads as a Word document."""
    (folder / "Plan.gdoc").write_text("First\nSecond")
    sync = await client.synced()
    record = next(r for r in (await client.pulled(sync))[0] if r["name"] == "Plan")
    assert record["mimeType"] == "application/vnd.google-apps.document"
    assert ("size" in record, record["hash"]) == (False, {"type": "MD5"})
    status, body, headers = await content(client, sync, record)
    assert (status, headers["Content-Type"].rpartition(".")[2]) == (200, "document")
    assert b"Second" in zipfile.ZipFile(io.BytesIO(body)).read("word/document.xml")
    (folder / "Plan.gdoc").write_bytes(b"x" * 10_000_001)
    assert (await content(client, sync, record))[0] == 403


async def test_tickets(client):
    """A ticket downloads as a ZIP with a Markdown file."""
    wanted = {"configuration": {"projectId": "1"}}
    sync = await client.synced(integration="jira", pipeline="tickets", **wanted)
    records, _ = await client.pulled(sync)
    assert len(records) == 4
    status, body, headers = await content(client, sync, records[0])
    assert (status, headers["Content-Type"]) == (200, "application/zip")
    archive = zipfile.ZipFile(io.BytesIO(body))
    assert records[0]["title"] in archive.read("ticket.md").decode()


async def test_what_has_no_content(client, folder):
    """Contacts and folders have none: 400; a file that went since it was seen: 404."""
    contacts = await client.synced(integration="hubspot", pipeline="contacts")
    person = (await client.pulled(contacts))[0][0]
    assert (await content(client, contacts, person))[0] == 400
    sync = await client.synced()
    found = {r["name"]: r for r in (await client.pulled(sync))[0]}
    assert (await content(client, sync, found["empty"]))[0] == 400
    (folder / "hello.txt").unlink()
    assert (await content(client, sync, found["hello.txt"]))[0] == 404


async def test_generated_custom_objects_have_the_wanted_name(client):
    """Generated custom objects are of the type that a sync asks for."""
    wanted = {"configuration": {"customObjectName": "Boat__c"}}
    sync = await client.synced(integration="hubspot", pipeline="custom_objects", **wanted)
    assert {r["objectType"] for r in (await client.pulled(sync))[0]} == {"Boat__c"}
