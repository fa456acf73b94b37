from __future__ import annotations

import asyncio
import gc

import pytest

from paragon_async import (
    Check,
    CutShortError,
    DecodeError,
    File,
    IncompleteListError,
    NotFoundError,
    ServerError,
)
from tests.fakes import FakeResponse, answer, permissions

S = "sync-1"


def granting(request):
    """Answer a batch: everything with an even number is allowed, echoed in reverse."""
    checks = request.body["checks"]
    result = [
        {
            "allowed": int(c["object"][1:]) % 2 == 0,
            "request": {**c, "object": "file:" + c["object"]},
        }
        for c in checks
    ]
    return answer({"result": result[::-1]})


async def test_any_number_of_checks_in_order():
    """More checks than fit in one call are asked in batches at once, and come back in order."""
    made, session = permissions(granting)
    checks = [Check(f"o{n}", "a@b.c") for n in range(173)]
    verdicts = await made.batch_check(S, checks)
    assert [v.check for v in verdicts] == checks
    assert [v.allowed for v in verdicts] == [n % 2 == 0 for n in range(173)]
    assert [len(r.body["checks"]) for r in session.requests] == [50, 50, 50, 23]
    assert session.most_open > 1
    assert await made.batch_check(S, []) == []


async def test_an_error_denies():
    """A check with an error is denied, whatever the service says beside it."""
    made, _ = permissions(answer({"result": [{"allowed": True, "error": "graph is down"}]}))
    (verdict,) = await made.batch_check(S, [Check("o", "u")])
    assert (verdict.allowed, verdict.error) == (False, "graph is down")


@pytest.mark.parametrize(
    "result",
    [[], [{"allowed": True, "request": {"object": "other", "user": "u", "role": "can_read"}}]],
)
async def test_a_missing_answer_denies(result):
    """A check that is not answered is denied and says so; another's answer does not count."""
    made, _ = permissions(answer({"result": result}))
    (verdict,) = await made.batch_check(S, [Check("o", "u")])
    assert not verdict.allowed
    assert "did not answer" in verdict.error


async def test_answers_without_echo_count_by_position():
    """Where nothing is echoed, position decides, if the numbers agree."""
    made, _ = permissions(
        answer({"result": [{"allowed": True}, {"allowed": False}, {"allowed": "true"}]})
    )
    checks = [Check(str(n), "u") for n in range(3)]
    assert [v.allowed for v in await made.batch_check(S, checks)] == [True, False, False]
    assert not any(v.allowed for v in await made.batch_check(S, checks[:2]))


async def test_a_batch_that_is_too_large_is_halved():
    """A service that takes fewer at once gets fewer; a single check that is too large is an error."""
    made, session = permissions(
        lambda r: granting(r) if len(r.body["checks"]) <= 13 else answer(status=413)
    )
    verdicts = await made.batch_check(S, [Check(f"o{n}", "u") for n in range(50)])
    assert sum(v.allowed for v in verdicts) == 25
    assert len(session.requests) == 7
    made, _ = permissions(answer(status=413))
    with pytest.raises(Exception, match="413"):
        await made.batch_check(S, [Check("o", "u")])


async def test_a_failing_batch_fails_all(nothing_left):
    """When one call fails for good, the error is raised and no other call is left."""
    made, session = permissions(answer(status=501))
    with pytest.raises(ServerError):
        await made.batch_check(S, [Check(str(n), "u") for n in range(200)])
    assert session.open_now == 0


async def test_filter_keeps_order_and_kind():
    """Records, files or ids: what is allowed is returned as it was given, in its order."""
    made, _ = permissions(granting)
    files = [File(id=f"o{n}") for n in range(5)]
    assert await made.filter_allowed(S, files, user="u") == [files[0], files[2], files[4]]
    assert await made.filter_allowed(S, ["o1", "o2"], user="u") == ["o2"]


async def test_a_service_without_stream():
    """Where there is no stream, the plain list serves, and is refused when it may be cut."""
    made, _ = permissions(answer(status=404), answer({"objects": ["file:a", "b"]}))
    assert await made.list_objects(S, user="u") == ["a", "b"]
    made, _ = permissions(answer(status=404), answer({"objects": ["x"] * 1000}))
    with pytest.raises(IncompleteListError):
        await made.list_objects(S, user="u")
    made, _ = permissions(answer(status=404))
    with pytest.raises(NotFoundError):
        await made.list_objects(S, user="u")


@pytest.mark.parametrize(
    "line",
    [b'{"error":{"message":"x"}}\n', b"{", b'{"object":5}\n', b'{"result":[]}\n', b"x" * 70_000],
)
async def test_broken_streams(line):
    """A stream that breaks off is an error, never a shorter list."""
    made, _ = permissions(FakeResponse(200, b'{"object":"a"}\n' + line))
    with pytest.raises((DecodeError, Exception)) as caught:
        await made.list_objects(S, user="u")
    assert type(caught.value).__name__ in {"DecodeError", "CutShortError"}


async def test_a_stream_whose_end_nobody_marks():
    """A list that may have been cut on the way is an error, not a shorter list."""
    made, _ = permissions(FakeResponse(200, b'{"object":"a"}\n', framed=False))
    with pytest.raises(CutShortError, match="may be cut"):
        await made.list_objects(S, user="u")


async def test_a_stream_left_behind(nothing_left):
    """Leaving a stream by break, or forgetting it, leaves no task and no open answer."""
    body = b'{"object":"a"}\n' * 1000
    made, session = permissions(lambda _: FakeResponse(200, chunks=[body] * 50))
    stream = made.stream_objects(S, user="u")
    assert await anext(stream) == "a"
    del stream
    async for _ in made.stream_objects(S, user="u"):
        break
    gc.collect()
    await asyncio.sleep(0.1)
    assert session.open_now == 0


async def test_against_the_emulator(user, emulator, sync_id):
    """Grants on folders reach down, roles imply lesser ones, strangers see nothing."""
    emulator.grant("Reader@Example.com", "can_read", "reports")
    emulator.grant("writer@example.com", "can_write", "hello.txt")
    files = {f.name: f async for f in user.records.pull(sync_id, File)}
    deep, hello = files["large.bin"].id, files["hello.txt"].id
    ask = user.permissions
    assert await ask.check(sync_id, object=deep, user="reader@example.com")
    assert not await ask.check(sync_id, object=deep, user="reader@example.com", role="can_write")
    assert not await ask.check(sync_id, object=hello, user="reader@example.com")
    assert await ask.check(sync_id, object=hello, user="writer@example.com")
    assert await ask.check(sync_id, object=deep, user="owner@example.com", role="is_owner")
    assert not await ask.check(sync_id, object="unknown", user="owner@example.com")
    assert await ask.list_users(sync_id, object=hello) == [
        "owner@example.com",
        "writer@example.com",
    ]
    readable = await ask.list_objects(sync_id, user="reader@example.com")
    assert set(readable) == {deep, files["Überblick.pdf"].id}
    folders = await ask.list_objects(sync_id, user="reader@example.com", object_type="folder")
    assert set(folders) == {files["reports"].id, files["2025"].id}
    assert await ask.list_objects(sync_id, user="nobody@example.com") == []
    kept = await ask.filter_allowed(
        sync_id, [files["large.bin"], files["hello.txt"]], user="reader@example.com"
    )
    assert [f.name for f in kept] == ["large.bin"]


async def test_expand(user, emulator, sync_id):
    """The tree says why: named users, the stronger role, the folder above."""
    emulator.grant("writer@example.com", "can_write", "hello.txt")
    files = {f.name: f async for f in user.records.pull(sync_id, File)}
    tree = await user.permissions.expand(
        sync_id, object=files["hello.txt"].id, relation="can_write"
    )
    assert tree.name == f"file:{files['hello.txt'].id}#can_write"
    assert [u for node in tree.union for u in node.users] == ["writer@example.com"]
    assert [u for node in tree.union for u in node.usersets] == [
        f"file:{files['hello.txt'].id}#is_owner", "folder:root#can_write",
    ]  # fmt: skip


async def test_expand_of_every_operator():
    """Unions, intersections and differences are trees of their own; anything else is a DecodeError."""
    leaf = {"name": "n", "leaf": {"users": {"users": ["user:a"]}}}
    root = {
        "name": "r",
        "intersection": {"nodes": [leaf, {"difference": {"base": leaf, "subtract": leaf}}]},
        "x": 1,
    }
    made, _ = permissions(answer({"tree": {"root": root}}))
    tree = await made.expand(S, object="o")
    assert tree.intersection[0].users == ["a"]
    assert tree.intersection[1].subtract.users == ["a"]
    assert tree.extra == {"x": 1}
    for bad in ({"tree": {"root": 5}}, {"tree": {"root": {"union": {"nodes": 5}}}}):
        made, _ = permissions(answer(bad))
        with pytest.raises(DecodeError):
            await made.expand(S, object="o")
