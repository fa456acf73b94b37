from __future__ import annotations

import asyncio
import base64
import copy
import json
import logging
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


@pytest.mark.parametrize("said", [b"[" * 50_000, b"[]", b"\xff", b'{"sub":{}}', b"{"])
def test_tokens_that_say_nonsense(said):
    """A token whose claims cannot be read is used all the same: it is the service that judges it."""
    body = base64.urlsafe_b64encode(said).decode().rstrip("=")
    assert FixedToken(f"a.{body}.c").project_id is None


def told(claims):
    """A token that says *claims*, signed by nobody."""
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return FixedToken(f"head.{body}.signature")


@pytest.mark.parametrize("length", range(1, 9))
def test_a_fixed_token_says_whose_it_is(length):
    """Project and user are read from a token of any length; an own host may stand before the project."""
    project, user = "p" * length, "ü?" * length
    for host in ("useparagon.com", "paragon.example.com/on/premises"):
        token = told({"aud": f"{host}/{project}", "sub": user})
        assert (token.project_id, token.user_id) == (project, user)


def test_a_fixed_token_that_says_half():
    """What a token does not say of itself is None."""
    assert (told({"sub": "u"}).project_id, told({"aud": "x/p"}).user_id) == (None, None)
    assert (told({"sub": 7}).user_id, told({"aud": "p"}).project_id) == ("7", "p")
    body = told({"sub": "u"})._secret.reveal().split(".")[1]
    for value in ("opaque", body, f"a.{body}", f"a.{body}.b.c", f"{body}.a.b"):
        assert FixedToken(value).user_id is None


async def test_renewed_at_the_very_moment(minter, clock):
    """When exactly four fifths of its life are over, a token is minted anew."""
    first = await minter.token("u1")
    clock.now += 2850
    assert await minter.token("u1") != first


async def test_rejected_within_the_second_it_was_minted(minter, signing_key, clock):
    """A token that is refused at once is followed by another: a second older, all else the same."""
    old = await minter.token("u1")
    new = await minter.token("u1", rejected=Rejection(old))
    assert new != old
    before = claims(old, signing_key)
    assert claims(new, signing_key) == {**before, "iat": before["iat"] - 1}
    assert await minter.token("u1") is new


async def test_the_user_who_waited_longest_is_forgotten(minter):
    """Ten thousand tokens are kept; the one that was not asked for the longest makes room."""
    first = await minter.token("u0")
    second = await minter.token("u1")
    # Signing thousands takes seconds: the others' are one token.
    minter._minted.update({f"other {n}": minter._minted["u1"] for n in range(9_997)})
    third = await minter.token("u2")
    assert len(minter._minted) == 10_000
    assert await minter.token("u0") is first
    await minter.token("u3")
    assert len(minter._minted) == 10_000
    assert await minter.token("u0") is first and await minter.token("u2") is third
    assert "u1" not in minter._minted and second == minter._minted["other 0"].secret


async def test_minting_leaves_a_line_for_who_debugs(minter, caplog):
    """A new token is a line of the log: for whom, for where, how long, and nothing of itself."""
    with caplog.at_level(logging.DEBUG, "paragon_async.auth"):
        await minter.token("u1")
        await minter.token("u1")
    assert [record.getMessage() for record in caplog.records] == [
        f"a token for user 'u1', audience 'useparagon.com/{PROJECT}', 3600 s"
    ]


def test_what_stands_for_a_secret(signing_key):
    """What is shown in place of a secret, and what is said to who would pickle one."""
    key = SigningKey(PROJECT, signing_key)
    shown = f"SigningKey(project_id='{PROJECT}', audience='useparagon.com/{PROJECT}')"
    for thing, text, sentence in (
        (Secret("a"), "Secret(…)", "a secret cannot be pickled"),
        (FixedToken("a"), "FixedToken(…)", "a token source holds a secret and cannot be pickled"),
        (key, shown, "a signing key is a secret and cannot be pickled"),
    ):
        assert repr(thing) == text
        with pytest.raises(TypeError) as caught:
            pickle.dumps(thing)
        assert str(caught.value) == sentence
    assert hash(Secret("a")) == hash(Secret("a")) != hash(Secret("b"))


@pytest.mark.parametrize("lifetime", [60, 86_400])
def test_the_shortest_and_the_longest_life(signing_key, lifetime):
    """A minute and a day are lives that a token may have; a second less or more is none."""
    assert SigningKey(PROJECT, signing_key, lifetime=lifetime).lifetime == lifetime
    wrong = lifetime - 1 if lifetime == 60 else lifetime + 1
    with pytest.raises(ConfigurationError) as caught:
        SigningKey(PROJECT, signing_key, lifetime=wrong)
    assert str(caught.value) == f"a token must live 60 to 86400 seconds, not {wrong}"


async def test_each_mistake_has_its_sentence(minter, signing_key, tmp_path):
    """Who gives what cannot serve is told what is wanted, in these words."""
    (tmp_path / "bytes.pem").write_bytes(b"\xff")
    unreadable = "the signing key cannot be read: an unencrypted RSA private key as PEM is wanted"
    unsuited = "the signing key must be an RSA key of at least 2048 bits"
    kinds = bad_keys()
    for make, sentence in (
        (lambda: FixedToken("a b"), "the user token is empty or holds characters no token has"),
        (lambda: SigningKey("", signing_key), "the project id is empty"),
        (
            lambda: SigningKey(PROJECT, "x"),
            "the signing key is no PEM: it must begin with -----BEGIN",
        ),
        (lambda: SigningKey(PROJECT, kinds["cut"]), unreadable),
        (lambda: SigningKey(PROJECT, kinds["encrypted"]), unreadable),
        (lambda: SigningKey(PROJECT, kinds["short"]), unsuited),
        (lambda: SigningKey(PROJECT, kinds["elliptic"]), unsuited),
    ):
        with pytest.raises(ConfigurationError) as caught:
            make()
        assert str(caught.value) == sentence
    for name, reason in (("none.pem", "No such file"), ("bytes.pem", "can't decode byte 0xff")):
        path = tmp_path / name
        with pytest.raises(ConfigurationError, match=reason) as caught:
            SigningKey(PROJECT, f"@{path}")
        assert str(caught.value).startswith(f"the signing key file {path} cannot be read: ")
        assert caught.value.__cause__ is None and caught.value.__suppress_context__
    for user in (None, ""):
        with pytest.raises(ConfigurationError) as caught:
            await minter.token(user)
        assert str(caught.value) == "a signing key mints tokens for users: name one, user('…')"
    for user in ("u" * 256, 7):
        with pytest.raises(ConfigurationError) as caught:
            await minter.token(user)
        assert str(caught.value) == "a user's id is text of at most 255 characters"
    assert await minter.token("u" * 255)


def test_a_key_file_below_home(signing_key, tmp_path, monkeypatch):
    """A path may begin with the home folder's sign."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key.pem").write_text(signing_key)
    assert SigningKey(PROJECT, "@~/key.pem").project_id == PROJECT
