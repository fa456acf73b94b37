from __future__ import annotations

import asyncio
import copy
import pickle

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from paragon_async import ConfigurationError, FixedToken, Rejection, Secret, SigningKey
from tests.conftest import PROJECT
from tests.fakes import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def minter(signing_key, clock):
    return SigningKey(PROJECT, signing_key, clock=clock)


def claims(secret, signing_key):
    public = serialization.load_pem_private_key(signing_key.encode(), None).public_key()
    options = {"verify_aud": False, "verify_exp": False, "verify_iat": False}
    return jwt.decode(secret.reveal(), public, algorithms=["RS256"], options=options)


async def test_claims(minter, signing_key, clock):
    """A token names user and audience, was issued half a minute ago and ends within its life."""
    found = claims(await minter.token("u1"), signing_key)
    now = int(clock.wall())
    assert found == {
        "sub": "u1", "aud": f"useparagon.com/{PROJECT}", "iat": now - 30, "exp": now - 30 + 3600,
    }  # fmt: skip


async def test_audience_and_lifetime(signing_key, clock):
    """Audience and life of a token can be chosen."""
    minter = SigningKey(PROJECT, signing_key, audience="x/1", lifetime=600, clock=clock)
    found = claims(await minter.token("u1"), signing_key)
    assert found["aud"] == "x/1"
    assert found["exp"] - found["iat"] == 600


async def test_kept_per_user_and_renewed_before_the_end(minter, clock):
    """A user's token is minted once, and anew when four fifths of its life are over."""
    first = await minter.token("u1")
    assert await minter.token("u1") is first
    assert await minter.token("u2") != first
    clock.now += 2849
    assert await minter.token("u1") is first
    clock.now += 2
    assert await minter.token("u1") != first


async def test_a_rejected_token_is_replaced_once(minter, clock):
    """Twenty callers with the same rejected token get the same new one."""
    old = await minter.token("u1")
    clock.now += 1
    new = await asyncio.gather(*(minter.token("u1", rejected=Rejection(old)) for _ in range(20)))
    assert len(set(new)) == 1
    assert new[0] != old


async def test_learns_the_service_clock(minter, signing_key, clock):
    """After a 401 the next token follows the service's clock, not this machine's."""
    old = await minter.token("u1")
    service = clock.wall() + 7200
    new = await minter.token("u1", rejected=Rejection(old, service))
    assert claims(new, signing_key)["iat"] == int(service) - 30


async def test_needs_a_user(minter):
    """A key cannot mint for nobody."""
    with pytest.raises(ConfigurationError, match="name one"):
        await minter.token(None)


def test_forms_of_a_key(signing_key, tmp_path):
    """A key is taken as PEM, as PEM with literal line ends, and from a file."""
    path = tmp_path / "key.pem"
    path.write_text(signing_key)
    for form in (signing_key, signing_key.replace("\n", "\\n"), f"@{path}", f"  {signing_key}\n"):
        assert SigningKey(PROJECT, form).project_id == PROJECT


def pem(key, *, password=None):
    algorithm = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, algorithm).decode()


def bad_keys():
    good = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = good.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        "empty": "",
        "words": "secret-words",
        "cut": pem(good)[:500],
        "garbled": pem(good).replace("A", "!"),
        "public": public.decode(),
        "elliptic": pem(ec.generate_private_key(ec.SECP256R1())),
        "short": pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),  # noqa: S505  # refused, that is the point
        "encrypted": pem(good, password=b"p"),
    }


@pytest.mark.parametrize(
    "kind", ["empty", "words", "cut", "garbled", "public", "elliptic", "short", "encrypted"]
)
def test_bad_keys(kind):
    """A key that cannot serve is refused in one sentence that holds nothing of it."""
    key = bad_keys()[kind]
    with pytest.raises(ConfigurationError, match="signing key") as caught:
        SigningKey(PROJECT, key)
    for line in key.splitlines():
        assert len(line) < 8 or line not in str(caught.value)
    assert caught.value.__cause__ is None


def test_missing_key_file(tmp_path):
    """A key file that is not there is named."""
    with pytest.raises(ConfigurationError, match="absent.pem"):
        SigningKey(PROJECT, f"@{tmp_path / 'absent.pem'}")


@pytest.mark.parametrize(("project", "lifetime"), [("", 3600), (PROJECT, 10), (PROJECT, 90_000)])
def test_bad_settings(signing_key, project, lifetime):
    """An empty project and a life too short or too long are refused."""
    with pytest.raises(ConfigurationError):
        SigningKey(project, signing_key, lifetime=lifetime)


async def test_fixed_token():
    """A fixed token is the same for everybody, also after it was rejected."""
    source = FixedToken(" abc ")
    token = await source.token(None)
    assert token.reveal() == "abc"
    assert await source.token("u", rejected=Rejection(token)) == token


@pytest.mark.parametrize("value", ["", " ", "a b", "ä", "a\nb"])
def test_bad_tokens(value):
    """What cannot stand in a header is no token."""
    with pytest.raises(ConfigurationError):
        FixedToken(value)


def test_secrets_stay(signing_key):
    """Nothing that holds a secret shows it, and none of it can be pickled or copied."""
    canary = "canary-value"
    key = SigningKey(PROJECT, signing_key)
    for thing in (Secret(canary), FixedToken(canary), Rejection(Secret(canary)), key):
        assert canary not in f"{thing!r} {thing}"
        assert "PRIVATE" not in repr(thing)
        with pytest.raises(TypeError):
            pickle.dumps(thing)
    with pytest.raises(TypeError):
        copy.deepcopy(FixedToken(canary))
    assert {Secret("a"), Secret("a")} == {Secret("a")}
    assert Secret("a") != "a"
