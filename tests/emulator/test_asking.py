"""The endpoints of permissions over HTTP, in an application of their own."""

from __future__ import annotations

import gzip
import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from paragon_async.emulator import feed, graph
from paragon_async.emulator.asking import Asking
from paragon_async.emulator.bodies import optional_text, read_body
from paragon_async.emulator.errors import Refusal, refused
from paragon_async.emulator.feed import Feed, Row
from paragon_async.emulator.graph import OWNER, Graph
from paragon_async.emulator.store import Store

ITEMS = """CREATE TABLE IF NOT EXISTS items (
    account TEXT, pipeline TEXT, external TEXT, parent TEXT, kind TEXT, name TEXT, gone INTEGER,
    PRIMARY KEY (account, pipeline, external))"""
SYNC = {"id": "s", "user": "u", "account": "", "integration": "googledrive", "pipeline": "files"}
BASE = "/api/permissions/s"
READ = {"object": "f", "user": "x@y.z", "role": "can_read"}


def made(record, external, parent=None, kind="file", *, deleted=False):
    return Row(id=record, body="{}", external=external, parent=parent, kind=kind, deleted=deleted)


@web.middleware
async def refusing(request, handler):
    try:
        return await handler(request)
    except Refusal as error:
        return refused(error.status, error.message)


def owned(request):
    if request.match_info["sync"] != "s":
        raise Refusal(404, "Sync not found")
    return SYNC


async def small(request):
    return web.json_response(await read_body(request, 40))


@pytest.fixture
def store():
    store = Store(None, [feed.SCHEMA, graph.SCHEMA, ITEMS])
    rows = [made("d", "d", None, "folder"), made("f", "f", "d", "file")]
    Feed(store).put("s", rows, 1.0)
    yield store
    store.close()


@pytest.fixture
async def client(store):
    app = web.Application(middlewares=[refusing])
    asked = Graph(store)
    asked.grant("", "d", "x@y.z", "can_read")
    app.add_routes([*Asking(asked, owned, batch_limit=3).routes(), web.post("/small", small)])
    async with TestClient(TestServer(app)) as client:
        yield client


async def post(client, path, body):
    async with client.post(path, json=body) as response:
        return response.status, await response.json()


async def test_check_answers_yes_and_no(client):
    """A check takes the object and the user with their types or without."""
    assert await post(client, f"{BASE}/check", READ) == (200, {"hasAccess": True})
    typed = {"object": "file:f", "user": "user:X@y.z", "role": "can_read"}
    assert await post(client, f"{BASE}/check", typed) == (200, {"hasAccess": True})
    assert await post(client, f"{BASE}/check", READ | {"role": "can_write"}) == (
        200,
        {"hasAccess": False},
    )
    assert await post(client, f"{BASE}/check", READ | {"object": "?"}) == (
        200,
        {"hasAccess": False},
    )
    assert (await post(client, "/api/permissions/t/check", READ))[0] == 404


async def test_a_batch_echoes_its_checks_in_order_with_typed_objects(client):
    """Each result carries its request, the object named by what it is; what is unknown is denied."""
    checks = [READ | {"object": "d", "user": "user:x@y.z"}, READ, READ | {"object": "nowhere"}]
    status, answer = await post(client, f"{BASE}/batch-check", {"checks": checks})
    assert status == 200
    assert answer["result"] == [
        {"allowed": True, "request": checks[0] | {"object": "folder:d"}},
        {"allowed": True, "request": READ | {"object": "file:f"}},
        {"allowed": False, "request": READ | {"object": "file:nowhere"}},
    ]
    assert await post(client, f"{BASE}/batch-check", {"checks": []}) == (200, {"result": []})


async def test_lists_name_users_and_objects(client):
    """Users come as bare addresses, objects as bare ids."""
    users = await post(client, f"{BASE}/list-users", {"object": "f", "role": "can_read"})
    assert users == (200, {"users": [OWNER, "x@y.z"]})
    asked = {"objectType": "folder", "user": "x@y.z", "role": "can_read"}
    assert await post(client, f"{BASE}/list-objects", asked) == (200, {"objects": ["d"]})


async def test_lists_are_cut_at_a_thousand_and_the_stream_is_whole(client, store):
    """The cut is silent; the stream holds one object a line and all of them."""
    names = [f"n{number:04}" for number in range(2300)]
    Feed(store).put("s", [made(name, name, "d", "file") for name in names], 2.0)
    asked = {"objectType": "file", "user": "x@y.z", "role": "can_read"}
    status, answer = await post(client, f"{BASE}/list-objects", asked)
    assert status == 200 and len(answer["objects"]) == 1000
    async with client.post(f"{BASE}/streamed-list-objects", json=asked) as response:
        assert response.content_type == "application/x-ndjson"
        lines = [json.loads(line) async for line in response.content]
    assert lines == [{"object": name} for name in ["f", *names]]
    Graph(store).replace_origin(
        "", "code", [("f", f"{name}@y.z", "can_read") for name in names], []
    )
    _, answer = await post(client, f"{BASE}/list-users", {"object": "f", "role": "can_read"})
    assert len(answer["users"]) == 1000


async def test_an_empty_stream_has_no_lines(client):
    """Nobody's list is a body of nothing, with status 200."""
    asked = {"objectType": "file", "user": "no@y.z", "role": "can_read"}
    async with client.post(f"{BASE}/streamed-list-objects", json=asked) as response:
        assert (response.status, await response.read()) == (200, b"")


async def test_expand_has_a_tree_with_a_root(client):
    """The relation is can_read unless another is asked for."""
    _, answer = await post(client, f"{BASE}/expand", {"object": "f"})
    assert answer["tree"]["root"]["name"] == "file:f#can_read"
    _, answer = await post(client, f"{BASE}/expand", {"object": "f", "relation": "parent"})
    assert answer["tree"]["root"]["leaf"] == {"users": {"users": ["folder:d"]}}


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("check", {}, "object is needed"),
        ("check", READ | {"user": 7}, "user is needed"),
        (
            "check",
            READ | {"role": ["can_read"]},
            "role must be one of can_read, can_write, is_owner",
        ),
        ("batch-check", {"checks": {}}, "checks is needed"),
        ("batch-check", {"checks": [READ] * 4}, "checks holds 4: send at most 3"),
        ("batch-check", {"checks": [READ, 1]}, "checks[1] must be an object"),
        ("batch-check", {"checks": [READ, {}]}, "checks[1]: object is needed"),
        ("list-users", {"role": "can_read"}, "object is needed"),
        ("list-objects", READ | {"objectType": "space"}, "objectType must be one of file, folder"),
        ("streamed-list-objects", READ, "objectType must be one of"),
        ("expand", {"object": "f", "relation": "viewer"}, "relation must be one of"),
        ("expand", {"object": "f", "relation": 1}, "relation is needed"),
    ],
)
async def test_what_is_wrong_is_refused_by_name(client, path, body, message):
    """A 400 names the key and says what to send."""
    status, answer = await post(client, f"{BASE}/{path}", body)
    assert status == 400
    assert answer["message"].startswith(message)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"a"', b"null", b'{"a": NaN}', b'{"a": 1e999}', b'{"a": -Infinity}', b'{"a": "\\ud800"}',
     b'{"\\udc00": 1}', b'{"a": "\xed\xa0\x80"}', b'{"a": "\xff"}', b'{"a":' * 100_000, b'{"a": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
async def test_what_is_no_json_object_is_refused(client, body):
    """Whatever comes is 400, and never a failure of the emulator."""
    async with client.post(f"{BASE}/check", data=body) as response:
        assert response.status == 400
        assert "body" in (await response.json())["message"]


async def test_bodies_over_the_limit_are_refused(client):
    """A body is refused by its declared length, and by its real one when none is declared."""

    async def pieces(many=1):
        yield b'{"a": "'
        for _ in range(many):
            yield b"x" * 60
        yield b'"}'

    for body in (b" " * 60, pieces(), pieces(20_000)):
        async with client.post("/small", data=body) as response:
            assert response.status == 413
    assert await post(client, "/small", {"a": None}) == (200, {"a": None})


async def test_damaged_compression_is_refused(client):
    """A body that is not what its header says is the caller's mistake."""
    headers = {"Content-Encoding": "gzip"}
    whole = gzip.compress(b'{"a": 1}')
    async with client.post("/small", data=whole, headers=headers) as response:
        assert await response.json() == {"a": 1}
    async with client.post("/small", data=b"no gzip", headers=headers) as response:
        assert response.status == 400


def test_optional_text_is_none_when_null_or_absent():
    """Null is the same as nothing."""
    assert optional_text({}, "a") is None
    assert optional_text({"a": None}, "a") is None
    assert optional_text({"a": "b"}, "a") == "b"
