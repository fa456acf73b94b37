"""The emulator as a client that is not ours sees it: plain aiohttp."""

from __future__ import annotations

import asyncio
import io
import os
import time

import jwt
import pytest

from paragon_async.emulator import Emulator, EmulatorError
from paragon_async.emulator.pace import parse_pace
from tests.conftest import PROJECT
from tests.emulator.asker import Client, token


async def test_tokens_are_verified(session, emulator, signing_key):
    """Signature, algorithm, audience, expiry and subject all count; both audiences are known."""
    good = [token(signing_key), token(signing_key, aud=[f"dashboard.useparagon.com/{PROJECT}"])]
    other = Emulator().signing_key
    bad = [
        "", "x", token(other), token(signing_key, aud="useparagon.com/other"), token(signing_key, aud=None),
        token(signing_key, exp=int(time.time()) - 5), token(signing_key, exp=None), token(signing_key, sub=""),
        token(signing_key, sub=None), jwt.encode({"sub": "u1"}, None, algorithm="none"),
        jwt.encode({"sub": "u1"}, "k" * 40, algorithm="HS256"),
    ]  # fmt: skip
    for bearer in good * 2:
        assert (await Client(session, emulator.url, bearer).ask("GET", "/api/syncs"))[0] == 200
    for bearer in bad:
        status, body, _ = await Client(session, emulator.url, bearer).ask("GET", "/api/syncs")
        assert (status, body["status"]) == (401, 401)
        assert body["message"].startswith("Unauthorized")


async def test_only_loopback_names(client):
    """A web page that points its own name here is turned away."""
    assert (await client.ask("GET", "/api/syncs", Host="evil.example.com"))[0] == 421
    assert (await client.ask("GET", "/api/syncs", Host="localhost"))[0] == 200


async def test_enable_is_documented_and_idempotent(client):
    """Enabling answers with the six documented fields, and twice with the same sync."""
    wanted = {
        "integration": "googledrive",
        "pipeline": "files",
        "configuration": {},
        "configurationName": "a",
    }
    status, made, _ = await client.ask("POST", "/api/syncs", wanted)
    assert status == 200
    assert set(made) == {"id", "userId", "integration", "pipeline", "projectId", "status"}
    assert (made["status"], made["userId"], made["projectId"]) == ("INITIALIZING", "u1", PROJECT)
    assert (await client.ask("POST", "/api/syncs", wanted))[1]["id"] == made["id"]
    _, other, _ = await client.ask("POST", "/api/syncs", wanted | {"configurationName": "b"})
    assert other["id"] != made["id"]


async def test_a_poll_sees_every_status(client, emulator):
    """With a pace of polls whoever polls sees INITIALIZING, ACTIVE and IDLE, and the summary."""
    emulator.world.life.set_pace(parse_pace("polls:1"))
    _, made, _ = await client.ask(
        "POST", "/api/syncs", {"integration": "googledrive", "pipeline": "files"}
    )
    seen = []
    while "IDLE" not in seen:
        _, body, _ = await client.ask("GET", f"/api/syncs/{made['id']}")
        if body["status"] not in seen:
            seen.append(body["status"])
        await asyncio.sleep(0.02)
    assert seen == ["INITIALIZING", "ACTIVE", "IDLE"]
    assert body["summary"]["totalRecords"] == 7
    assert body["summary"]["lastSyncedAt"].endswith("Z")


ONE, TWO = "9d5a1f0e-3c57-4b7e-8f0c-1d2e3f4a5b6c", "0a1b2c3d-4e5f-4a6b-8c7d-8e9f0a1b2c3d"
BAD_BODIES = [
    ("/api/syncs", b"{"), ("/api/syncs", b"[]"), ("/api/syncs", b"{}"), ("/api/syncs", b"[" * 99_999),
    ("/api/syncs", b'{"integration":"box"}'), ("/api/syncs", b'{"integration":5,"pipeline":"files"}'),
    ("/api/syncs", b'{"integration":"box","pipeline":"files","configuration":[1]}'),
    ("/api/syncs", b'{"integration":"box","pipeline":"files","configurationName":5}'),
    ("P/check", b"{}"), ("P/check", b'{"object":"o","user":"u","role":"king"}'), ("P/batch-check", b"{}"),
    ("P/batch-check", b'{"checks":[5]}'), ("P/batch-check", b'{"checks":[{}]}'), ("P/list-users", b'{"role":"can_read"}'),
    ("P/list-objects", b'{"user":"u"}'), ("P/expand", b'{"object":"o","relation":"king"}'),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), BAD_BODIES)
async def test_bad_requests(client, session, path, body):
    """What makes no sense gets a 400 with a message."""
    sync = await client.synced()
    url = client.url + path.replace("P/", sync.replace("syncs", "permissions") + "/")
    async with session.post(url, data=body, headers=client.headers) as answer:
        assert answer.status == 400
        assert (await answer.json())["message"]


async def test_wrong_places(client):
    """Unknown syncs, records, paths and methods, and bodies too large, have their statuses."""
    sync = await client.synced()
    assert (await client.ask("GET", "/api/syncs/none"))[0] == 404
    assert (await client.ask("GET", f"{sync}/records/none"))[0] == 404
    assert (await client.ask("GET", f"{sync}/records/none/content"))[0] == 404
    assert (await client.ask("GET", "/nowhere"))[0] == 404
    assert (await client.ask("PUT", "/api/syncs"))[0] == 405
    large = io.BytesIO(b"x" * ((1 << 20) + 1))
    async with client.session.post(
        client.url + "/api/syncs", data=large, headers=client.headers
    ) as answer:
        assert answer.status == 413


async def test_values_of_no_use(client):
    """Lone surrogates, arrays for ids and endless digits are refused like any other nonsense."""
    sync = await client.synced()
    wanted = {"integration": "box", "pipeline": "files"}
    check = {"object": "\ud800", "user": "u", "role": "can_read"}
    for method, path, body in (
        ("POST", "/api/syncs", wanted | {"credentialId": ["c"]}),
        ("POST", "/api/syncs", wanted | {"integration": "\ud800"}),
        ("POST", sync.replace("syncs", "permissions") + "/check", check),
        ("GET", f"{sync}/records?pageSize={'9' * 5000}", None),
    ):
        status, answer, _ = await client.ask(method, path, body)
        assert (status, bool(answer["message"])) == (400, True)


@pytest.mark.parametrize(
    "query", ["pageSize=0", "pageSize=1001", "pageSize=x", "cursor=x", "cursor=AAAA", "pageSize=²"]
)
async def test_bad_pages(client, query):
    """A size out of bounds and a cursor of somebody else's are refused."""
    sync = await client.synced()
    assert (await client.ask("GET", f"{sync}/records?{query}"))[0] == 400


async def test_pages(client):
    """Pages follow each other by cursor, with true counts, and a caught-up page repeats its cursor."""
    sync = await client.synced()
    seen, cursor = [], ""
    for left in (4, 1, 0):
        _, page, _ = await client.ask("GET", f"{sync}/records?pageSize=3&cursor={cursor}")
        paging = page["paging"]
        assert (
            paging["totalRecords"],
            paging["totalActiveRecords"],
            paging["remainingRecords"],
        ) == (7, 7, left)
        seen += [record["id"] for record in page["data"]]
        cursor = paging["cursor"].replace("+", "%2B")
    assert len(set(seen)) == 7
    _, page, _ = await client.ask("GET", f"{sync}/records?cursor={cursor}")
    assert page["data"] == []
    assert page["paging"]["cursor"] == paging["cursor"]


async def test_counts_across_blocks(client, emulator):
    """What remains is counted right at any depth, also when records have moved and gone."""
    sync = await client.synced()
    sync_id = sync.rpartition("/")[2]
    emulator.world.put(sync_id, *({"id": f"r{n}"} for n in range(3000)))
    emulator.world.put(
        sync_id, *({"id": f"r{n}", "deleted": n % 2 == 0} for n in range(0, 3000, 7))
    )
    seen, cursor = [], ""
    while True:
        _, page, _ = await client.ask("GET", f"{sync}/records?pageSize=700&cursor={cursor}")
        seen += page["data"]
        cursor = page["paging"]["cursor"].replace("+", "%2B")
        assert page["paging"]["remainingRecords"] == 3007 - len(seen)
        if page["paging"]["remainingRecords"] == 0:
            break
    assert page["paging"]["totalActiveRecords"] == 3007 - sum(
        r.get("deleted") is True for r in seen
    )
    assert len({record["id"] for record in seen}) == 3007


async def test_records_describe_the_folder(client, folder):
    """Files and folders are described as the service does, and found below their parents."""
    sync = await client.synced()
    _, page, _ = await client.ask("GET", f"{sync}/records")
    found = {record["name"]: record for record in page["data"]}
    assert set(found) == {
        "reports",
        "empty",
        "2025",
        "hello.txt",
        "zero.bin",
        "Überblick.pdf",
        "large.bin",
    }
    assert found["2025"]["parentFolderId"] == found["reports"]["externalId"]
    assert found["hello.txt"]["parentFolderId"] == "root"
    assert found["hello.txt"]["mimeType"] == "text/plain"
    assert found["hello.txt"]["size"] == 5
    assert found["hello.txt"]["hash"]["type"] == "SHA256"
    assert "size" not in found["empty"]
    assert found["empty"]["mimeType"] == "application/vnd.google-apps.folder"


async def test_a_sync_of_one_folder(client):
    """`folderId` narrows a sync to what lies below."""
    sync = await client.synced()
    _, page, _ = await client.ask("GET", f"{sync}/records")
    wanted = next(r["externalId"] for r in page["data"] if r["name"] == "2025")
    narrow = await client.synced(configuration={"folderId": wanted}, configurationName="narrow")
    _, page, _ = await client.ask("GET", f"{narrow}/records")
    assert [record["name"] for record in page["data"]] == ["large.bin"]
    wanted = {"configuration": {"folderId": "unknown"}, "configurationName": "wide"}
    with pytest.raises(
        AssertionError, match="ERRORED: The folder 'unknown' is not in this account"
    ):
        await client.synced(**wanted)


async def test_links_out_of_the_folder(client, folder, tmp_path, emulator):
    """Links that lead out, links to folders, and what is no file are left out; links inside are not."""
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "in.txt").symlink_to(folder / "hello.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "gone.txt").symlink_to(folder / "absent")
    os.mkfifo(folder / "pipe")
    (folder / os.fsdecode(b"bad-\xff.txt")).write_text("x")
    sync = await client.synced()
    _, page, _ = await client.ask("GET", f"{sync}/records")
    names = {record["name"] for record in page["data"]}
    assert names >= {"in.txt", "bad-\ufffd.txt"}
    assert not names & {"out.txt", "loop", "gone.txt", "pipe"}


async def test_a_file_that_becomes_a_link(client, folder, tmp_path):
    """A file that is replaced by a link out of the folder after the scan is not served."""
    sync = await client.synced()
    _, page, _ = await client.ask("GET", f"{sync}/records")
    record = next(r for r in page["data"] if r["name"] == "hello.txt")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "hello.txt").unlink()
    (folder / "hello.txt").symlink_to(tmp_path / "secret.txt")
    assert (await client.ask("GET", f"{sync}/records/{record['id']}/content"))[0] == 404


RANGES = [
    ("bytes=0-", 206, slice(0, None)), ("bytes=5-9", 206, slice(5, 10)), ("bytes=-4", 206, slice(-4, None)),
    ("bytes=0-99999999", 206, slice(0, None)), ("bytes=-", 200, slice(None)), ("lines=1-2", 200, slice(None)),
    ("bytes=99999999-", 416, None), ("bytes=9-5", 416, None),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "status", "part"), RANGES)
@pytest.mark.parametrize("name", ["large.bin", "Überblick.pdf"])
async def test_ranges(client, folder, name, asked, status, part):
    """Ranges are answered as HTTP wants it, for large and small files."""
    sync = await client.synced()
    _, page, _ = await client.ask("GET", f"{sync}/records")
    record = next(r for r in page["data"] if r["name"] == name)
    whole = next(folder.rglob(name)).read_bytes()
    place = f"{sync}/records/{record['id']}/content"
    got, body, headers = await client.ask("GET", place, Range=asked)
    assert got == status
    if part is not None:
        assert body == whole[part]
    else:
        assert headers["Content-Range"] == f"bytes */{len(whole)}"
    got, body, _ = await client.ask("GET", place, Range=asked, If_Range='"other"')
    assert (got, body) == (200, whole)
    assert headers.get("ETag", '"').startswith('"')


async def test_a_caller_that_hangs_up(client, folder, caplog):
    """A download that is given up half-way is no error of the emulator's."""
    (folder / "huge.bin").write_bytes(bytes(40_000_000))
    sync = await client.synced()
    _, page, _ = await client.ask("GET", f"{sync}/records")
    record = next(r for r in page["data"] if r["name"] == "huge.bin")
    place = f"{client.url}{sync}/records/{record['id']}/content"
    async with client.session.get(place, headers=client.headers) as answer:
        assert await answer.content.read(100) == bytes(100)
    await asyncio.sleep(0.2)
    assert (await client.ask("GET", "/api/syncs"))[0] == 200
    assert caplog.records == []


async def test_ranges_can_be_switched_off(session, folder, signing_key):
    """Without ranges there is neither ETag nor a partial answer."""
    async with Emulator(folder, project_id=PROJECT, signing_key=signing_key, ranges=False) as plain:
        client = Client(session, plain.url, token(signing_key))
        sync = await client.synced()
        _, page, _ = await client.ask("GET", f"{sync}/records")
        record = next(r for r in page["data"] if r["name"] == "hello.txt")
        status, body, headers = await client.ask(
            "GET", f"{sync}/records/{record['id']}/content", Range="bytes=1-"
        )
        assert (status, body) == (200, b"hello")
        assert "ETag" not in headers


async def test_update_and_list(client):
    """A sync's frequency and credential are kept and shown; nonsense is refused."""
    sync = await client.synced(credentialId=ONE)
    for bad in ({}, {"incrementalAccumulatorFrequency": "2m"}, {"credentialId": "c2"}):
        assert (await client.ask("PATCH", sync, bad))[0] == 400
    status, body, _ = await client.ask("PATCH", sync, {"credentialId": TWO})
    assert (status, body["data"]) == (200, {"credentialId": TWO})
    _, body, _ = await client.ask("GET", f"/api/syncs?credentialId={TWO}")
    assert [entry["credentialId"] for entry in body["data"]] == [TWO]
    assert (await client.ask("GET", f"/api/syncs?credentialId={ONE}"))[1] == {"data": []}


async def test_lists_are_cut_and_streams_are_not(client, emulator):
    """list-objects stops at 1000 without a word; the stream goes on."""
    sync = await client.synced()
    emulator.world.put(sync.rpartition("/")[2], *({"id": f"r{n}", "externalId": f"x{n}", "parentFolderId": "root"} for n in range(1200)))  # fmt: skip
    ask = {"objectType": "file", "user": "owner@example.com", "role": "can_read"}
    place = sync.replace("syncs", "permissions")
    assert len((await client.ask("POST", f"{place}/list-objects", ask))[1]["objects"]) == 1000
    _, lines, headers = await client.ask("POST", f"{place}/streamed-list-objects", ask)
    assert headers["Content-Type"] == "application/x-ndjson"
    assert lines.count(b"\n") == 1204
    checks = {"checks": [{"object": "o", "user": "user:a", "role": "can_read"}] * 51}
    assert (await client.ask("POST", f"{place}/batch-check", checks))[0] == 400


async def test_disabled_syncs_rest(client, emulator, folder):
    """A disabled sync notices nothing; resumed, it catches up."""
    sync = await client.synced()
    await client.ask("POST", f"{sync}/disable")
    (folder / "new.txt").write_text("x")
    await emulator.refresh()
    assert (await client.ask("GET", f"{sync}/records"))[1]["paging"]["totalRecords"] == 7
    await client.ask("POST", f"{sync}/reenable")
    await client.ask("POST", f"{sync}/reenable")
    await client.synced()
    assert (await client.ask("GET", f"{sync}/records"))[1]["paging"]["totalRecords"] == 8


async def test_a_source_that_is_gone(client, emulator, folder):
    """When the folder disappears the sync is ERRORED and says why; its records stay."""
    sync = await client.synced()
    moved = folder.rename(folder.with_name("moved"))
    await emulator.refresh()
    _, body, _ = await client.ask("GET", sync)
    assert (body["status"], body["reason"]) == ("ERRORED", "The folder of this account is gone")
    assert (await client.ask("GET", f"{sync}/records"))[1]["paging"]["totalActiveRecords"] == 7
    moved.rename(folder)
    await client.ask("POST", f"{sync}/reenable")
    await client.synced()


async def test_unreadable_files(client, folder):
    """A file that may not be read is not seen, like one that the integration hides."""
    (folder / "hello.txt").chmod(0)
    if os.access(folder / "hello.txt", os.R_OK):
        # The superuser reads everything: a name longer than any path stands in for it.
        (folder / "long").symlink_to("x" * 4000)
    sync = await client.synced()
    _, page, _ = await client.ask("GET", f"{sync}/records")
    assert "long" not in {record["name"] for record in page["data"]}


async def test_faults(client, emulator):
    """Rules act in their order, as often as they say, on the calls that fit."""
    emulator.fault(method="POST", status=500)
    emulator.fault(method="GET", skip=1, status=418, headers={"X-A": "b"}, body=b"tea")
    emulator.fault(method="GET", delay=0.01, edit=lambda body: body | {"new": 1})
    statuses = [(await client.ask("GET", "/api/syncs"))[:2] for _ in range(3)]
    assert statuses == [(200, {"data": [], "new": 1}), (418, b"tea"), (200, {"data": []})]
    emulator.faults.clear()
    assert (await client.ask("GET", "/api/syncs"))[0] == 200
    assert [call.status for call in emulator.requests] == [200, 418, 200, 200]


async def test_what_cannot_start(tmp_path, signing_key):
    """A folder that is none, a port that is taken, a key that is no key: one sentence each."""
    with pytest.raises(EmulatorError, match="there is no folder"):
        Emulator(tmp_path / "absent")
    async with Emulator(signing_key=signing_key) as running:
        port = int(running.url.rpartition(":")[2])
        second = Emulator(signing_key=signing_key, port=port)
        with pytest.raises(EmulatorError, match=f"port {port}"):
            await second.start()
        await second.aclose()
    with pytest.raises(EmulatorError, match="PEM"):
        Emulator(signing_key="nonsense")


async def test_skipped_folders(session, folder, signing_key):
    """Folders that are named to be left out are left out with all they hold."""
    async with Emulator(
        folder, project_id=PROJECT, signing_key=signing_key, skip=["2025"]
    ) as running:
        client = Client(session, running.url, token(signing_key))
        sync = await client.synced()
        assert (await client.ask("GET", f"{sync}/records"))[1]["paging"]["totalRecords"] == 5
