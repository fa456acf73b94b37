from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from paragon_async.errors import ConfigurationError
from paragon_async.webhooks import RecordUpdated, Router
from paragon_async.webhooks.asgi import asgi_receiver
from paragon_async.webhooks.inbox import Counts, Inbox
from tests.webhooks.sending import NONSENSE, OTHER, PROBE, SECRET, Refusing, event

PLACE = f"/webhook/{SECRET}"


def scope(path=PLACE, method="POST", *, root="", version="1.1", **headers):
    raw = [(k.lower().replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()]
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": version, "method": method,
        "path": path, "root_path": root, "query_string": b"", "headers": raw,
    }  # fmt: skip


class Told(list):
    """What an application sent, as its server would see it."""

    @property
    def status(self):
        return self[0]["status"]

    @property
    def headers(self):
        return {name.decode(): value.decode() for name, value in self[0]["headers"]}

    @property
    def body(self):
        return b"".join(part.get("body", b"") for part in self[1:])


async def ask(app, asked, *messages, hang=False):
    """Call an application with the messages that its server would have for it."""
    told, waiting = Told(), list(messages)

    async def receive():
        if not waiting:
            assert hang, "the application read on after the end"
            await asyncio.sleep(60)
        message = waiting.pop(0)
        assert not isinstance(message, Exception)
        return message

    async def send(message):
        told.append(message)

    await app(asked, receive, send)
    return told


async def post(app, path=PLACE, body=b"", **options):
    return await ask(app, scope(path, **options), {"type": "http.request", "body": body})


@asynccontextmanager
async def living(app):
    """Run an application's lifespan, as a server does."""
    inward, outward = asyncio.Queue(), asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan"}, inward.get, outward.put))
    await inward.put({"type": "lifespan.startup"})
    try:
        yield await outward.get()
    finally:
        await inward.put({"type": "lifespan.shutdown"})
        await task
    assert (await outward.get())["type"] == "lifespan.shutdown.complete"


@pytest.fixture
def app(inbox, router):
    return asgi_receiver(router, inbox=inbox, secrets=[SECRET], serve=False)


async def test_stored_is_answered(app, inbox):
    """An event is answered 200 when it is in the inbox, its duplicate and the probe too."""
    for body in (event(), event(), PROBE):
        told = await post(app, body=body)
        assert (told.status, json.loads(told.body)) == (200, {"success": True})
        assert told.headers == {"content-type": "application/json", "content-length": "17"}
    assert await inbox.counts() == Counts(1, 0, 0)


@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense(app, inbox, body):
    """A body that is no event is a 400, and leaves nothing."""
    told = await post(app, body=body)
    assert told.status == 400 and json.loads(told.body)["error"]
    assert told.headers["connection"] == "close"
    assert await inbox.counts() == Counts(0, 0, 0)


async def test_wrong_secret(app):
    """A wrong secret is a 401, and the body is not asked for."""
    for path in ("/webhook", "/webhook/wrong", f"{PLACE}x"):
        assert (await ask(app, scope(path))).status == 401


async def test_secret_in_a_header(inbox, router):
    """With a header the secret counts only there."""
    secrets = [SECRET, OTHER]
    app = asgi_receiver(router, inbox=inbox, secrets=secrets, header="X-Key", serve=False)
    for secret in secrets:
        assert (await post(app, "/webhook", event(), x_key=secret)).status == 200
    for headers in ({}, {"x_key": "\xff"}, {"X_KEY": SECRET + "x"}):
        assert (await ask(app, scope("/webhook", **headers))).status == 401
    asked = scope("/webhook", x_key=SECRET)
    asked["headers"] *= 2
    assert (await ask(app, asked)).status == 401
    assert (await ask(app, scope(PLACE, x_key=SECRET))).status == 404


async def test_elsewhere(app):
    """Other paths are 404 and other methods 405."""
    for path in ("", "/", "/webhoo", PLACE + "/", PLACE + "/x", "//" + PLACE):
        assert (await ask(app, scope(path))).status == 404
    told = await ask(app, scope(method="GET"))
    assert (told.status, told.headers["allow"]) == (405, "POST")


async def test_too_large(inbox, router):
    """A body over the limit is a 413: by its announced length unread, and while it comes."""
    app = asgi_receiver(router, inbox=inbox, secrets=[SECRET], limit=1000, serve=False)
    assert (await ask(app, scope(content_length="1001"))).status == 413
    piece = {"type": "http.request", "body": b"x" * 400, "more_body": True}
    assert (await ask(app, scope(), *[piece] * 3)).status == 413
    assert (await ask(app, scope(content_length="-1"))).status == 400
    assert (await ask(app, scope(content_encoding="br"))).status == 415


async def test_pieces(app, inbox):
    """A body may come in pieces, empty ones among them."""
    parts = [{"type": "http.request", "body": event()[n : n + 9], "more_body": True} for n in range(0, 300, 9)]  # fmt: skip
    told = await ask(app, scope(), {"type": "http.request", "more_body": True}, *parts, {"type": "http.request"})  # fmt: skip
    assert told.status == 200
    assert (await inbox.counts()).waiting == 1


async def test_slow_body(inbox, router):
    """A body that does not come in time is a 408."""
    app = asgi_receiver(router, inbox=inbox, secrets=[SECRET], timeout=0.05, serve=False)
    half = {"type": "http.request", "body": event()[:9], "more_body": True}
    assert (await ask(app, scope(), half, hang=True)).status == 408


async def test_a_sender_that_goes(app, inbox):
    """A body that breaks off leaves nothing, not even an error."""
    half = {"type": "http.request", "body": event()[:9], "more_body": True}
    assert (await ask(app, scope(), half, {"type": "http.disconnect"})).status == 400
    assert await inbox.counts() == Counts(0, 0, 0)


async def test_flood(inbox, router):
    """Of more requests at once than may be in hand each too many is a 503."""
    app = asgi_receiver(router, inbox=inbox, secrets=[SECRET], connections=2, serve=False)
    calls = [post(app, body=event(f"r{n}")) for n in range(10)]
    statuses = [told.status for told in await asyncio.gather(*calls)]
    assert (statuses.count(200), statuses.count(503)) == (2, 8)
    assert (await post(app, body=event())).status == 200


async def test_a_disk_that_refuses(tmp_path, router):
    """A disk that refuses is a 503 to come again."""
    disk = Refusing()
    async with Inbox(tmp_path / "i", connect=disk) as inbox:
        app = asgi_receiver(router, inbox=inbox, secrets=[SECRET], serve=False)
        disk.is_on = True
        told = await post(app, body=event())
        disk.is_on = False
    assert (told.status, told.headers["retry-after"]) == (503, "30")


async def test_http_2(app):
    """Under HTTP/2 no header of the connection is sent."""
    assert "connection" not in (await ask(app, scope("/webhook", version="2"))).headers


@pytest.mark.parametrize(
    ("root", "path"),
    [
        ("", "/webhook/{}"),
        ("/hooks", "/hooks/webhook/{}"),
        ("/hooks", "/webhook/{}"),
        ("/hooks/", "/hooks/webhook/{}"),
        ("/webhook", "/webhook/webhook/{}"),
    ],
)
async def test_below_a_mount(app, root, path):
    """Under a mount the path counts from there, whether or not the server leaves the prefix in it."""
    assert (await post(app, path.format(SECRET), event(), root=root)).status == 200
    assert (await ask(app, scope(path.format("wrong"), root=root))).status == 401


async def test_at_the_root(inbox, router):
    """A receiver at the root of its mount takes the secret as the only segment."""
    app = asgi_receiver(router, inbox=inbox, secrets=[SECRET], path="/", serve=False)
    assert (await post(app, f"/hooks/{SECRET}", event(), root="/hooks")).status == 200
    assert (await post(app, f"/{SECRET}", event())).status == 200
    for path in ("/hooks", "/hooks/"):
        assert (await ask(app, scope(path, root="/hooks"))).status == 401


async def test_lifespan(tmp_path, nothing_left):
    """Its lifespan opens the inbox, serves it, and closes it."""
    router, calls = Router(), asyncio.Queue()

    @router.on(RecordUpdated)
    async def handle(found):
        await calls.put(found.record_id)

    app = asgi_receiver(router, inbox=Inbox(tmp_path / "i"), secrets=[SECRET])
    assert (await post(app, body=event())).status == 503
    async with living(app) as started:
        assert started == {"type": "lifespan.startup.complete"}
        assert (await post(app, body=event("r7"))).status == 200
        assert await calls.get() == "r7"
    assert (await post(app, body=event())).status == 503


async def test_a_lifespan_that_fails(tmp_path, router):
    """An inbox that cannot be opened is told to the server as the reason not to start."""
    (tmp_path / "i").write_text("no inbox" * 20)
    app = asgi_receiver(router, inbox=Inbox(tmp_path / "i"), secrets=[SECRET])
    told = await ask(app, {"type": "lifespan"}, {"type": "lifespan.startup"})
    assert told[0]["type"] == "lifespan.startup.failed" and "no database" in told[0]["message"]


async def test_other_scopes(app):
    """A websocket is turned away; what is not known is refused as the protocol wants it."""
    told = await ask(app, {"type": "websocket"}, {"type": "websocket.connect"})
    assert told == [{"type": "websocket.close", "code": 1008}]
    with pytest.raises(RuntimeError, match="no scope"):
        await ask(app, {"type": "odd"})


def test_somebody_must_be_kept_out(tmp_path, router):
    """Without secrets and verifiers there is no receiver."""
    with pytest.raises(ConfigurationError, match="insecure=True"):
        asgi_receiver(router, inbox=Inbox(tmp_path / "i"))


@pytest.mark.parametrize("framework", ["starlette.applications:Starlette", "fastapi:FastAPI"])
async def test_frameworks(tmp_path, framework):
    """Mounted in Starlette or FastAPI, with its lifespan given to them, it receives and handles."""
    module, name = framework.split(":")
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    kind = getattr(pytest.importorskip(module, reason=f"{name} is not installed"), name)
    router, calls = Router(), asyncio.Queue()

    @router.on(RecordUpdated)
    async def handle(found):
        await calls.put(found.record_id)

    hooks = asgi_receiver(router, inbox=Inbox(tmp_path / "i"), secrets=[SECRET])
    outer = kind(lifespan=hooks.lifespan)
    outer.mount("/hooks", hooks)
    transport = httpx.ASGITransport(app=outer)
    async with living(outer), httpx.AsyncClient(transport=transport, base_url="http://h") as client:
        assert (await client.post(f"/hooks{PLACE}", content=event("r7"))).status_code == 200
        assert await calls.get() == "r7"
        assert (await client.post("/hooks/webhook/wrong", content=event())).status_code == 401
        assert (await client.get(f"/hooks{PLACE}")).status_code == 405
        assert (await client.post("/hooks/other", content=event())).status_code == 404
