"""S15, S21 and S22: one user never gets another's, the emulator lets nobody in, and doubt is a no."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections import Counter

import aiohttp
import jwt
import pytest

from paragon_async import Check, NotFoundError, ParagonError
from paragon_async.api import shapes
from paragon_async.emulator import Emulator
from paragon_async.emulator.auth import new_signing_key
from tests.ingest.fakes import ingest
from tests.security.planting import named

USERS = 50


def claims(emulator, **changed):
    now = int(time.time())
    given = {
        "sub": "u",
        "aud": f"useparagon.com/{emulator.project_id}",
        "iat": now - 30,
        "exp": now + 600,
    }
    return {name: value for name, value in (given | changed).items() if value is not None}


def unsigned(emulator):
    parts = ({"alg": "none", "typ": "JWT"}, claims(emulator))
    return (
        ".".join(
            base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts
        )
        + "."
    )


def forged(emulator):
    """Sign with the public key as if it were a shared secret, as libraries once believed."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    public = load_pem_private_key(emulator.signing_key.encode(), None).public_key()
    key = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body = ({"alg": "HS256", "typ": "JWT"}, claims(emulator))
    text = ".".join(
        base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in (head, body)
    )
    import hmac

    return (
        text
        + "."
        + base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")).decode().rstrip("=")
    )


def signed(emulator, **changed):
    return jwt.encode(claims(emulator, **changed), emulator.signing_key, algorithm="RS256")


BAD = {
    "none": unsigned,
    "HS256 with the public key": forged,
    "another key": lambda e: jwt.encode(claims(e), new_signing_key(), algorithm="RS256"),
    "RS512": lambda e: jwt.encode(claims(e), e.signing_key, algorithm="RS512"),
    "another audience": lambda e: signed(e, aud="useparagon.com/other"),
    "no audience": lambda e: signed(e, aud=None),
    "expired": lambda e: signed(e, exp=int(time.time()) - 1),
    "without an end": lambda e: signed(e, exp=None),
    "nobody's": lambda e: signed(e, sub=""),
    "without a user": lambda e: signed(e, sub=None),
    "cut": lambda e: signed(e)[:-4],
    "no token": lambda _: "canary-nonsense",
}


@pytest.mark.parametrize("kind", BAD)
async def test_bad_tokens(emulator, kind):
    """S15: a token that the service would not take is a 401 of the emulator, which does not repeat it."""
    async with aiohttp.ClientSession() as session:
        for token, status in ((BAD[kind](emulator), 401), (signed(emulator), 200)):
            headers = {"Authorization": f"Bearer {token}"}
            async with session.get(f"{emulator.url}/api/syncs", headers=headers) as answer:
                assert answer.status == status
                assert token not in await answer.text()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421), ({"Host": "127.0.0.1.evil.example"}, 421), ({"Host": "127.0.0.2"}, 421),
        ({"Host": "localhost.evil.example:80"}, 421), ({"Host": "[::"}, 421), ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403), ({"Host": "localhost"}, 200), ({"Origin": "http://localhost:3000"}, 200),
    ],
)  # fmt: skip
async def test_rebinding(emulator, headers, status):
    """S15: a request to another name, or of a web page from elsewhere, is refused on every path."""
    bearer = {"Authorization": f"Bearer {signed(emulator)}"}
    async with aiohttp.ClientSession() as session:
        for path in ("/api/syncs", "/_emulator/health"):
            async with session.get(emulator.url + path, headers=headers | bearer) as answer:
                assert answer.status == status


async def test_loopback_alone(emulator, folder, signing_key):
    """S15: it listens on 127.0.0.1 alone, on a port of the system's choice; another host is no option."""
    port = int(emulator.url.rpartition(":")[2])
    assert emulator._runner.addresses == [("127.0.0.1", port)]
    with socket.socket() as other:
        assert other.connect_ex(("127.0.0.2", port)) != 0
    async with Emulator(folder, signing_key=signing_key) as second:
        assert second.url != emulator.url
    with pytest.raises(TypeError, match="host"):
        Emulator(folder, host="0.0.0.0")  # noqa: S104  # that it cannot be asked for is the point


async def test_fifty_users(emulator, paragon, tmp_path):
    """S21: of fifty users at work at once each asks for its own alone, and finds its own alone."""
    owners = {}

    async def one(name):
        user = paragon.user(name)
        sync = await user.syncs.enable("googledrive", "files")
        owners[sync.id] = name
        await user.syncs.wait_until_idle(sync.id, timeout=60)
        records = [record async for record in user.records.pull(sync.id)]
        content = next(r for r in records if r.data["name"] == "hello.txt")
        await user.records.download(sync.id, content, tmp_path / f"{name}.txt")
        assert [s.id for s in await user.syncs.list()] == [sync.id]
        await user.permissions.check(sync.id, object=content.id, user=f"{name}@example.com")
        return sync.id

    syncs = await asyncio.gather(*(one(f"user-{n}") for n in range(USERS)))
    assert len(set(syncs)) == USERS
    asked = Counter()
    for call in emulator.requests:
        sync = next((sync for sync in owners if sync in call.path), None)
        asked[call.user] += 1
        assert sync is None or owners[sync] == call.user, call.path
    assert len(asked) == USERS and asked.total() == len(emulator.requests)
    stolen = paragon.user("user-0")
    with pytest.raises(NotFoundError):
        _ = [record async for record in stolen.records.pull(syncs[1])]


async def test_users_share_no_mirror(paragon, tmp_path):
    """S21: a mirror is one user's sync: another user's is refused before it writes anything."""
    ids = {}
    for name in ("user-1", "user-2"):
        sync = await paragon.user(name).syncs.enable("googledrive", "files")
        await paragon.user(name).syncs.wait_until_idle(sync.id, timeout=60)
        ids[name] = sync.id
    await ingest(paragon.user("user-1"), ids["user-1"], tmp_path / "mirror").run()
    before = sorted(p for p in (tmp_path / "mirror" / "files").rglob("*"))
    with pytest.raises(ParagonError):
        await ingest(paragon.user("user-2"), ids["user-2"], tmp_path / "mirror").run()
    assert sorted(p for p in (tmp_path / "mirror" / "files").rglob("*")) == before


CHECKS = [Check("r1", "a@b.c"), Check("r2", "a@b.c")]
ECHO = [{"object": c.object, "user": c.user, "role": c.role} for c in CHECKS]


@pytest.mark.parametrize(
    "result",
    [
        [], [{"allowed": True}], [{"allowed": True}] * 3, [None, None], ["yes", True],
        [{"allowed": "true"}, {"allowed": 1}], [{"allowed": True, "error": "e"}] * 2,
        [{"allowed": True, "error": {"message": "m"}}] * 2, [{}, {}],
        [{"request": ECHO[0], "allowed": None}, {"request": ECHO[1]}],
        [{"request": {**ECHO[0], "object": "r9"}, "allowed": True}] * 2,
    ],
)  # fmt: skip
def test_in_doubt_no(result):
    """S22: an answer that is missing, short, odd, another's, or has an error, allows nothing."""
    try:
        verdicts = shapes.verdicts({"result": result}, CHECKS)
    except ParagonError:
        return
    assert [verdict.allowed for verdict in verdicts] == [False, False]


async def test_nothing_is_remembered(user, emulator, sync_id):
    """S22: every question is asked anew, so that what was taken back is gone at once."""
    record = await named(user, sync_id, "hello.txt")
    who = {"object": record.id, "user": "reader@example.com"}
    emulator.grant("reader@example.com", "can_read", "hello.txt")
    assert await user.permissions.check(sync_id, **who)
    assert await user.permissions.filter_allowed(sync_id, [record], user=who["user"]) == [record]
    before = len(emulator.requests)
    for _ in range(2):
        await user.permissions.check(sync_id, **who)
    assert len(emulator.requests) == before + 2
