from __future__ import annotations

import asyncio
import gc
import os
import pickle
import subprocess
import sys

import jwt
import pytest

import paragon_async
from paragon_async import (
    AuthenticationError,
    ConfigurationError,
    FixedToken,
    NotFoundError,
    Paragon,
    SigningKey,
)
from tests.fakes import FakeClock, FakeSession, answer

VARIABLES = ("PROJECT_ID", "SIGNING_KEY", "USER_TOKEN", "BASE_URL", "TOKEN_EXPIRATION_SECONDS")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(f"PARAGON_{name}", raising=False)


async def test_from_the_environment(emulator, monkeypatch):
    """The variables that the emulator prints are all that a client needs."""
    for name, value in emulator.environ.items():
        monkeypatch.setenv(name, value)
    async with Paragon() as paragon:
        assert await paragon.user("u").syncs.list() == []


async def test_an_argument_beats_the_environment(monkeypatch):
    """What is passed counts, not what is set."""
    monkeypatch.setenv("PARAGON_BASE_URL", "https://set.example.com")
    monkeypatch.setenv("PARAGON_USER_TOKEN", "set")
    session = FakeSession(answer({"data": []}))
    paragon = Paragon(token="passed", base_url="https://passed.example.com", session=session)
    await paragon.user().syncs.list()
    assert session.tokens == ["passed"]
    assert paragon.base_url == "https://passed.example.com"
    await paragon.aclose()
    assert not session.closed


async def test_a_clock_of_its_own(signing_key):
    """With a clock that is given, waits and jitter, the gate and the dates of tokens are its own."""
    clock = FakeClock(chance=0.5, wall=1_000_000_000.0)
    session = FakeSession(answer(status=503), answer({"data": []}))
    paragon = Paragon(project_id="p", signing_key=signing_key, session=session, clock=clock)
    await paragon.user("u").syncs.list()
    assert clock.slept == [0.25]
    claims = jwt.decode(session.tokens[0], options={"verify_signature": False})
    assert claims["iat"] == 1_000_000_000 - 30


async def test_a_token_from_the_environment(monkeypatch):
    """A user token alone serves its one user, who needs no name."""
    monkeypatch.setenv("PARAGON_USER_TOKEN", "set")
    session = FakeSession(answer({"data": []}))
    await Paragon(session=session).user().syncs.list()
    assert session.tokens == ["set"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "PARAGON_SIGNING_KEY"),
        ({"signing_key": "-----BEGIN"}, "PARAGON_PROJECT_ID"),
        ({"token": "a", "signing_key": "b"}, "signing_key and token"),
        ({"token": "t", "base_url": "ftp://x"}, "PARAGON_BASE_URL"),
        ({"token": "t", "base_url": "http://example.com"}, "must be https"),
        ({"token": "t", "base_url": "https://u:p@example.com"}, "alone"),
        ({"token": "t", "base_url": "https://example.com?x=1"}, "alone"),
        ({"token": "t", "base_url": "https://[::1"}, "cannot be read"),
        ({"token": "t", "base_url": "sync.useparagon.com"}, "no http address"),
    ],
)
def test_what_cannot_work(given, named):
    """Each thing that cannot work is one sentence which names what to pass or set."""
    with pytest.raises(ConfigurationError, match=named):
        Paragon(**given)


def test_lifetime_from_the_environment(monkeypatch, signing_key):
    """The life of tokens is read from its variable, and a bad one is named."""
    monkeypatch.setenv("PARAGON_TOKEN_EXPIRATION_SECONDS", "600")
    paragon = Paragon(project_id="p", signing_key=signing_key)
    assert paragon._tokens.lifetime == 600
    monkeypatch.setenv("PARAGON_TOKEN_EXPIRATION_SECONDS", "soon")
    with pytest.raises(ConfigurationError, match="EXPIRATION_SECONDS"):
        Paragon(project_id="p", signing_key=signing_key)


def test_a_user_must_be_named(signing_key):
    """Only a fixed token implies a user."""
    tokens = SigningKey("p", signing_key)
    with pytest.raises(ConfigurationError, match="name a user"):
        Paragon(tokens=tokens).user()
    assert Paragon(tokens=FixedToken("t")).user().id is None


async def test_wrong_key_and_wrong_project(emulator, signing_key):
    """A token that the service does not accept is an error after one new try."""
    async with Paragon(
        project_id="other", signing_key=signing_key, base_url=emulator.url
    ) as paragon:
        with pytest.raises(AuthenticationError, match="401"):
            await paragon.user("u").syncs.list()


async def test_many_users_stay_apart(emulator, paragon):
    """Fifty users at once: every request bears its own user's token."""

    async def one(name):
        user = paragon.user(name)
        sync = await user.syncs.enable("googledrive", "files")
        await user.syncs.wait_until_idle(sync.id, timeout=20)
        return name, sync.id, [record.id async for record in user.records.pull(sync.id)]

    found = await asyncio.gather(*(one(f"user-{n}") for n in range(50)))
    assert len({sync for _, sync, _ in found}) == 50
    owners = {sync: name for name, sync, _ in found}
    for call in emulator.requests:
        parts = call.path.split("/")
        assert len(parts) < 4 or owners[parts[3]] == call.user
    with pytest.raises(NotFoundError):
        await paragon.user("user-0").syncs.status(found[1][1])


def test_shows_no_secret(signing_key):
    """Neither client nor views show a key or a token, and the client cannot be pickled."""
    paragon = Paragon(project_id="p", signing_key=signing_key)
    user = paragon.user("u")
    for thing in (paragon, user, user.syncs, user.records, user.permissions):
        assert "PRIVATE" not in repr(thing)
    token = "canary-5f3a"
    client = Paragon(token=token)
    assert token not in repr(client) + repr(client.user()) + repr(client._channel)
    with pytest.raises(TypeError):
        pickle.dumps(client)


async def test_closing_twice():
    """A client can be closed again, and used never after."""
    paragon = Paragon(token="t", base_url="http://127.0.0.1:9")
    await paragon.aclose()
    await paragon.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        await paragon.user().syncs.list()
    gc.collect()


def test_all_is_what_is_imported():
    """Every public name is there, sorted, and has a docstring of its own."""
    names = paragon_async.__all__
    assert sorted(names) == names
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = paragon_async.no_such_name
    for name in names:
        thing = getattr(paragon_async, name)
        if isinstance(thing, type):
            assert thing.__doc__, name


def test_importing_is_light():
    """Importing the package loads neither what only some calls need, nor any room above the client."""
    heavy = (
        "cattrs",
        "msgspec",
        "paragon_async.download",
        "jwt",
        "cryptography",
        "aiohttp.web",
        "click",
        "rich",
        "paragon_async.emulator",
        "sqlite3",
    )
    program = f"import sys, paragon_async; print([m for m in {heavy!r} if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert run.stdout.strip() == "[]"
