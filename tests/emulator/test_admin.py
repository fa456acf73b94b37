"""Everything under `/_emulator/`: seen and changed by callers on this machine, without a token."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

PERSON = {"externalId": "p1", "firstName": "Ada", "lastName": "Byron"}


async def contacts(client, **more):
    return await client.synced(integration="salesforce", pipeline="contacts", **more)


async def test_health_needs_no_token(session, emulator):
    """Anybody on this machine may ask whether it lives."""
    async with session.get(f"{emulator.url}/_emulator/health") as answer:
        assert answer.status == 200
        assert (await answer.json())["status"] == "ok"


@pytest.mark.parametrize("path", ["/_emulator/health", "/api/syncs"])
async def test_no_page_from_elsewhere(client, path):
    """A web page that is open in a browser reaches neither the API nor the admin's part."""
    assert (await client.ask("GET", path, Origin="https://evil.example"))[0] == 403
    assert (await client.ask("GET", path, Origin="http://[::1"))[0] == 403
    assert (await client.ask("GET", path, Host="evil.example"))[0] == 421
    assert (await client.ask("GET", path, Origin="http://localhost:3000"))[0] == 200


async def test_records_of_an_account(client):
    """What is loaded into an account appears in its users' syncs, is updated, and goes as a tombstone."""
    sync = await contacts(client)
    loaded = {"pipeline": "contacts", "records": [PERSON, {"externalId": "p2"}]}
    assert await client.admin("POST", "records", loaded) == {"changed": 2}
    records, cursor = await client.pulled(sync)
    assert records[0] | PERSON == records[0]
    changed = {"pipeline": "contacts", "records": [PERSON | {"firstName": "Augusta"}, {"externalId": "p2"}]}  # fmt: skip
    await client.admin("POST", "records", changed)
    news, cursor = await client.pulled(sync, cursor)
    assert [(r["id"], r["firstName"]) for r in news] == [(records[0]["id"], "Augusta")]
    gone = {"pipeline": "contacts", "externalIds": ["p1", "unknown"]}
    assert await client.admin("DELETE", "records", gone) == {"changed": 1}
    news, cursor = await client.pulled(sync, cursor)
    assert news == [{"id": records[0]["id"], "externalId": "p1", "deleted": True}]
    assert (await client.ask("GET", f"{sync}/records/{records[0]['id']}"))[0] == 404


async def test_records_of_one_user(client):
    """What is loaded for another user is not seen."""
    sync = await contacts(client)
    await client.admin("POST", "records", {"pipeline": "contacts", "user": "u2", "records": [PERSON]})  # fmt: skip
    assert (await client.pulled(sync))[0] == []
    await client.admin("POST", "records", {"pipeline": "contacts", "user": "u1", "records": [PERSON]})  # fmt: skip
    assert len((await client.pulled(sync))[0]) == 1


async def test_records_of_one_sync(client):
    """What is put into one sync shows there as it is, survives full runs, and can be deleted."""
    sync = await client.synced()
    sync_id = sync.rpartition("/")[2]
    body = {"sync": sync_id, "records": [{"id": "r1", "name": "by hand", "new": [1]}]}
    assert await client.admin("POST", "records", body) == {"changed": 1}
    await client.admin("POST", f"syncs/{sync_id}/run", {"type": "full"})
    found = (await client.ask("GET", f"{sync}/records/r1"))[1]
    assert found == {"data": {"id": "r1", "name": "by hand", "new": [1]}}
    shown = await client.admin("GET", f"records?sync={sync_id}&limit=1000")
    assert {"id": "r1", "name": "by hand", "new": [1]} in shown["data"]
    assert (await client.ask("GET", f"{sync}/records/r1/content"))[0] == 404
    await client.admin("DELETE", "records", {"sync": sync_id, "ids": ["r1"]})
    assert (await client.ask("GET", f"{sync}/records/r1"))[0] == 404


async def test_custom_objects_are_chosen_by_name(client):
    """A sync of custom objects shows those of its `customObjectName`."""
    records = [{"externalId": name, "objectType": name} for name in ("Car__c", "Boat__c")]
    await client.admin("POST", "records", {"pipeline": "custom_objects", "records": records})
    wanted = {"configuration": {"customObjectName": "Car__c"}}
    sync = await client.synced(integration="hubspot", pipeline="custom_objects", **wanted)
    assert [r["objectType"] for r in (await client.pulled(sync))[0]] == ["Car__c"]


async def test_runs_on_demand(client, folder):
    """A run can be asked for; of a sync that is not IDLE it is refused."""
    sync = await client.synced()
    place = f"syncs/{sync.rpartition('/')[2]}"
    assert (await client.admin("POST", f"{place}/run", {"type": "incremental"}))["status"] == "IDLE"
    await client.admin("PATCH", place, {"status": "DISABLED"})
    assert (await client.ask("POST", f"/_emulator/{place}/run", {"type": "full"}))[0] == 409


async def test_every_state_can_be_entered(client):
    """Whatever state is asked for is shown, by the list of all users' syncs as by the status."""
    sync = await client.synced()
    sync_id = sync.rpartition("/")[2]
    await client.admin("PUT", "pace", {"pace": "manual"})
    for status in ("RATE_LIMITED", "DISABLED", "ERRORED", "INITIALIZING", "ACTIVE"):
        await client.admin("PATCH", f"syncs/{sync_id}", {"status": status})
        assert (await client.status(sync))["status"] == status
        listed = (await client.admin("GET", "syncs"))["data"]
        assert [(one["userId"], one["status"]) for one in listed] == [("u1", status)]
    await client.admin("PATCH", f"syncs/{sync_id}", {"status": "IDLE"})
    await client.until(sync, "IDLE")


async def test_the_clock(client):
    """The clock is frozen, set, advanced and let go, and dates follow it."""
    await client.admin("PUT", "clock", {"frozen": True, "seconds": 2_000_000_000})
    shown = await client.admin("PUT", "clock", {"advance": 86_400})
    assert (shown["now"], shown["frozen"]) == ("2033-05-19T03:33:20.000Z", True)
    sync = await client.synced()
    assert (await client.status(sync))["summary"]["lastSyncedAt"] == shown["now"]
    shown = await client.admin("PUT", "clock", {"frozen": False})
    assert (shown["frozen"], 0 <= shown["seconds"] - 2_000_086_400 < 60) == (False, True)


async def test_faults_by_request(client):
    """A rule is added, listed with its hits, and taken back."""
    rule = {"path": "/api/syncs", "status": 503, "times": 2}
    made = await client.admin("POST", "faults", rule)
    assert (await client.ask("GET", "/api/syncs"))[0] == 503
    (shown,) = (await client.admin("GET", "faults"))["data"]
    assert shown["id"] == made["id"]
    await client.admin("DELETE", f"faults/{made['id']}")
    assert (await client.ask("GET", "/api/syncs"))[0] == 200
    assert (await client.ask("DELETE", f"/_emulator/faults/{made['id']}"))[0] == 404
    await client.admin("POST", "faults", rule)
    await client.admin("DELETE", "faults")
    calls = (await client.admin("GET", "requests"))["data"]
    assert [(call["status"], call["fault"]) for call in calls] == [(503, made["id"]), (200, None)]
    await client.admin("DELETE", "requests")
    assert (await client.admin("GET", "requests"))["data"] == []


async def test_tuples(client):
    """Grants and memberships are added, listed and taken back by path of a record or by external id."""
    sync = await client.synced()
    record = next(r for r in (await client.pulled(sync))[0] if r["name"] == "hello.txt")
    ask = {"object": record["id"], "user": "a@example.com", "role": "can_read"}
    place = sync.replace("syncs", "permissions") + "/check"
    grant = {"object": record["id"], "sync": sync.rpartition("/")[2], "subject": "group:eng", "role": "can_write"}  # fmt: skip
    member = {"group": "eng", "member": "a@example.com"}
    await client.admin("POST", "tuples", grant)
    assert (await client.ask("POST", place, ask))[1] == {"hasAccess": False}
    await client.admin("POST", "tuples", member)
    assert (await client.ask("POST", place, ask))[1] == {"hasAccess": True}
    shown = (await client.admin("GET", "tuples"))["data"]
    assert {"group:eng"} <= {one["subject"] for one in shown}
    await client.admin("DELETE", "tuples", member)
    assert (await client.ask("POST", place, ask))[1] == {"hasAccess": False}
    await client.admin("DELETE", "tuples", grant)
    await client.admin("POST", "tuples", {"object": "root", "subject": "anyone", "role": "can_read"})  # fmt: skip
    assert (await client.ask("POST", place, ask))[1] == {"hasAccess": True}


async def test_reset(client, folder):
    """After a reset there are no syncs, calls, faults or grants, and the folder is as before."""
    sync = await client.synced()
    await client.admin("PUT", "clock", {"frozen": True, "seconds": 5})
    await client.admin("POST", "faults", {"status": 500, "times": None})
    await client.admin("POST", "tuples", {"object": "root", "subject": "anyone", "role": "can_read"})  # fmt: skip
    await client.admin("POST", "reset")
    assert (await client.admin("GET", "clock"))["frozen"] is False
    assert (await client.ask("GET", "/api/syncs"))[1] == {"data": []}
    assert "anyone" not in str(await client.admin("GET", "tuples"))
    assert await client.synced() == sync
    assert len((await client.pulled(sync))[0]) == 7


BAD = [
    ("PATCH", "syncs/none", {"status": "IDLE"}, 404), ("PATCH", "syncs/S", {"status": "idle"}, 400),
    ("PATCH", "syncs/S", {"status": "RATE_LIMITED", "rateLimitBackoffMs": -1}, 400), ("PATCH", "syncs/S", {}, 400),
    ("POST", "syncs/S/run", {"type": "none"}, 400), ("PUT", "pace", {"pace": "soon"}, 400), ("PUT", "clock", {}, 400),
    ("PUT", "clock", {"frozen": 1}, 400), ("PUT", "clock", {"advance": -1}, 400), ("PUT", "clock", {"advance": 1e300}, 400),
    ("PUT", "clock", {"seconds": True}, 400), ("POST", "records", {"records": []}, 400), ("POST", "records", {"records": 5}, 400),
    ("POST", "records", {"pipeline": "files", "records": []}, 400), ("POST", "records", {"pipeline": "contacts", "records": [{}]}, 400),
    ("POST", "records", {"sync": "S", "records": [{"id": 5}]}, 400), ("POST", "records", {"sync": "none", "records": []}, 404),
    ("DELETE", "records", {"sync": "S", "ids": 5}, 400), ("GET", "records", None, 404), ("GET", "records?sync=S&limit=0", None, 400),
    ("GET", "requests?limit=x", None, 400), ("POST", "faults", {"stats": 5}, 400), ("DELETE", "faults/x", None, 404),
    ("PUT", "webhook", {"url": "ftp://x"}, 400), ("PUT", "webhook", {"url": "http://127.0.0.1:9", "drop": 2}, 400),
    ("POST", "events", {"event": "sync_complete"}, 409), ("POST", "deliveries/7/redeliver", None, 409), ("GET", "deliveries?after=-1", None, 400),
    ("POST", "tuples", {"object": "root", "subject": "nobody", "role": "can_read"}, 400), ("POST", "tuples", {"group": "g"}, 400),
    ("POST", "tuples", {"object": "o", "sync": "S", "subject": "anyone", "role": "can_read"}, 404), ("GET", "nowhere", None, 404),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status"), BAD)
async def test_what_makes_no_sense(client, method, path, body, status):
    """Each mistake has its status and a message, and never is a failure of the emulator's."""
    sync_id = (await client.synced()).rpartition("/")[2]
    if body and body.get("sync") == "S":
        body = body | {"sync": sync_id}
    path = path.replace("/S", f"/{sync_id}").replace("=S", f"={sync_id}")
    got, answer, _ = await client.ask(method, f"/_emulator/{path}", body)
    assert (got, bool(answer["message"])) == (status, True), answer


@pytest.fixture
async def receiver():
    """A webhook of ours: what it was told."""
    told = []

    async def take(request):
        told.append(await request.json())
        return web.json_response({"success": True})

    app = web.Application()
    app.add_routes([web.post("/hook", take)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    told_at = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield told_at, told
    await runner.cleanup()


async def test_what_a_webhook_is_told(client, emulator, folder, receiver):
    """The probe first, the end of the first run, then every change; triggered events as any other."""
    url, told = receiver
    await client.admin("PUT", "webhook", {"url": url})
    sync = await client.synced()
    (folder / "new.txt").write_text("x")
    (folder / "hello.txt").unlink()
    await emulator.refresh()
    await client.admin("PATCH", f"syncs/{sync.rpartition('/')[2]}", {"status": "ERRORED"})
    record = (await client.pulled(sync))[0][-1]["id"]
    await client.admin("POST", "events", {"event": "record_errored", "record": record})
    await emulator.world.deliverer.settle()
    kinds = [event["event"] for event in told]
    assert kinds[0] == "webhook_verification"
    assert sorted(kinds[1:]) == ["record_created", "record_deleted", "record_errored", "sync_complete", "sync_errored"]  # fmt: skip
    log = (await client.admin("GET", "deliveries"))["data"]
    assert {one["state"] for one in log} == {"delivered"}
    await client.admin("POST", f"deliveries/{log[-1]['id']}/redeliver")
    await emulator.world.deliverer.settle()
    assert len(told) == 7
    await client.admin("DELETE", "webhook")
    assert (await client.admin("GET", "webhook"))["url"] is None


async def test_events_wait_for_a_receiver(client, emulator, unused_tcp_port):
    """Events for a webhook that does not answer wait, and are in the log."""
    await client.admin("PUT", "webhook", {"url": f"http://127.0.0.1:{unused_tcp_port}/hook"})
    await client.synced()
    await asyncio.sleep(0.1)
    assert (await client.admin("GET", "webhook"))["pending"] == 2


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("webhook_verification", {}), ("sync_complete", {}), ("sync_errored", {"message": "gone"}), ("record_created", {"record": "R"}),
        ("record_updated", {"record": "R"}), ("record_deleted", {"record": "R", "sync": "S"}), ("record_errored", {"record": "R", "user": "u1"}),
    ],
)  # fmt: skip
async def test_every_event_can_be_triggered(client, unused_tcp_port, kind, more):
    """Each event is queued in its documented form; the sync is found by its record."""
    await client.admin("PUT", "webhook", {"url": f"http://127.0.0.1:{unused_tcp_port}/hook"})
    sync = (await client.synced()).rpartition("/")[2]
    record = (await client.pulled(f"/api/syncs/{sync}"))[0][0]["id"]
    filled = {key: value.replace("R", record).replace("S", sync) if len(value) == 1 else value for key, value in more.items()}  # fmt: skip
    answer = await client.admin("POST", "events", {"event": kind, **filled})
    assert (answer["queued"], answer["event"]["event"]) == (1, kind)
    if kind != "webhook_verification":
        assert answer["event"]["syncInstanceId"] == sync


async def test_events_that_cannot_be(client, unused_tcp_port):
    """An unknown event, a record that is needed, a sync that cannot be told: each says so."""
    await client.admin("PUT", "webhook", {"url": f"http://127.0.0.1:{unused_tcp_port}/hook"})
    assert (await client.ask("POST", "/_emulator/events", {"event": "sync_complete"}))[0] == 404
    await client.synced()
    for body, status in (({"event": "x"}, 400), ({"event": "record_created"}, 400), ({"event": "record_created", "record": "none"}, 404)):  # fmt: skip
        assert (await client.ask("POST", "/_emulator/events", body))[0] == status


async def test_changes_are_queued_with_the_feed(client, folder, unused_tcp_port):
    """What a run has put into the feed is queued for the webhook already, should the run never end."""
    await client.admin("PUT", "webhook", {"url": f"http://127.0.0.1:{unused_tcp_port}/hook"})
    sync = await client.synced()
    await client.admin("PUT", "pace", {"pace": "manual"})
    (folder / "new.txt").write_text("x")
    shown = await client.admin("POST", f"syncs/{sync.rpartition('/')[2]}/run", {"type": "full"})
    assert shown["status"] == "ACTIVE"
    assert len((await client.pulled(sync))[0]) == 8
    log = (await client.admin("GET", "deliveries"))["data"]
    assert "record_created" in {one["kind"] for one in log}
    await client.admin("POST", "reset")


async def test_places_are_whole(client):
    """A place between two records is none."""
    sync = (await client.synced()).rpartition("/")[2]
    assert (await client.admin("GET", f"records?sync={sync}&after=0.5&limit=1"))["after"] > 0
