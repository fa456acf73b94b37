"""`token`: minted, explained, hidden everywhere else."""

from __future__ import annotations

import base64
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragon_async.cli.claims import explained
from paragon_async.errors import ConfigurationError

NOW = 1_800_000_000
PROJECT = "6a8f3c0e-1f7d-4a58-9a6e-0f6b6c1d2e3f"
GOOD = {"sub": "u", "aud": f"useparagon.com/{PROJECT}", "iat": NOW - 60, "exp": NOW + 3540}


def made(*, alg="RS256", signature="c2ln", **claims):
    parts = (
        {"alg": alg},
        {key: value for key, value in (GOOD | claims).items() if value is not None},
    )
    coded = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts]
    return ".".join([*coded, signature])


async def test_mint(call, emulator):
    """Only the token is printed, and the service takes it; as JSON it says how long it lives."""
    done = await call("token", "mint", "--user", "ada")
    assert (done.exit_code, done.stdout.count("\n"), done.stderr) == (0, 1, "")
    claims = jwt.decode(done.stdout.strip(), options={"verify_signature": False})
    assert (claims["sub"], claims["aud"]) == ("ada", f"useparagon.com/{emulator.project_id}")
    used = await call("syncs", "list", PARAGON_SIGNING_KEY=None, PARAGON_USER_TOKEN=done.stdout)
    assert used.exit_code == 0
    found = json.loads(
        (await call("token", "mint", "--user", "ada", "--json", "--lifetime", "60")).stdout
    )
    assert found.keys() == {"token", "user", "audience", "expires_at"}


async def test_explain(call):
    """What a token says is shown, wherever it comes from, without its signature."""
    token = (await call("token", "mint", "--user", "ada")).stdout.strip()
    signature = token.rpartition(".")[2]
    for done in (
        await call("token", "explain", token), await call("token", "explain", "-", given=f"Bearer {token}\n"),
        await call("token", "explain", PARAGON_USER_TOKEN=token),
    ):  # fmt: skip
        found = json.loads(done.stdout)
        assert (done.exit_code, found["user"], found["problems"]) == (0, "ada", [])
        assert 3500 < found["seconds_left"] <= 3600
        assert signature not in done.stdout + done.stderr
    other = await call("token", "explain", token, "--project-id", "other", "--no-json")
    assert (other.exit_code, other.stderr.count("\n")) == (1, 1)
    assert "and other is set" in other.stderr


@pytest.mark.parametrize(
    ("given", "sentence"),
    [(["explain"], "there is no token"), (["explain", "@/absent"], "cannot read the token"), (["explain", "abc"], "it has 1 parts"),
     (["explain", "a.b.c"], "its head is no JSON object"), (["mint"], "Missing option '--user'"),
     (["mint", "--user", "u", "--lifetime", "1"], "a token must live 60 to 86400 seconds"), (["explain", "canary" * 9], "no JWT")],
)  # fmt: skip
async def test_wrong_calls(call, given, sentence):
    """What is no token, or cannot be minted, is said in a sentence that does not quote it."""
    done = await call("token", *given)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "canarycanary" not in done.stderr


async def test_mint_without_a_key(call):
    """Without a key it is said which of both is missing."""
    done = await call("token", "mint", "--user", "u", PARAGON_SIGNING_KEY=None)
    assert (done.exit_code, "a signing key is needed" in done.stderr) == (2, True)
    done = await call("token", "mint", "--user", "u", PARAGON_PROJECT_ID=None)
    assert (done.exit_code, "a project's id is needed" in done.stderr) == (2, True)
    done = await call("token", "mint", "--user", "u", PARAGON_TOKEN_EXPIRATION_SECONDS="soon")
    assert (done.exit_code, "must be a number of seconds" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        (made(alg="HS256"), "signed with HS256"), (made(alg=None), "signed with nothing"), (made(signature=""), "not signed"),
        (made(sub=None), "names no user"), (made(sub=7), "names no user"), (made(aud=None), "has no audience"),
        (made(aud=PROJECT), "is not like"), (made(aud=["useparagon.com/x"]), "is not like"), (made(aud="useparagon.com/other"), "for project other"),
        (made(exp=None), "has no end"), (made(exp="soon"), "has no end"), (made(exp=NOW - 7200), "expired 2 h ago"),
        (made(exp=NOW + 200_000), "lives 2 days"), (made(iat=NOW + 600), "begins in 10 min"), (made(nbf=NOW + 600), "begins in 10 min"),
        (made(exp=(NOW + 60) * 1000), "`exp` is in milliseconds"),
    ],
)  # fmt: skip
def test_problems(token, problem):
    """Each way to be refused is told, alone."""
    (found,) = explained(token, project=PROJECT, at=NOW)["problems"]
    assert problem in found


def test_no_problem():
    """A good token has none, and what else it says is shown."""
    found = explained(made(kid=1, **{"urn:x": {"a": True}}), project=PROJECT, at=NOW)
    assert found["problems"] == []
    assert found["other_claims"] == {"kid": 1, "urn:x": {"a": True}}
    assert (found["seconds_left"], found["expires_at"]) == (3540, "2027-01-15T08:59:00+00:00")


JUNK = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s), max_leaves=5)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["sub", "aud", "iat", "exp", "nbf", "x"]), JUNK), st.text())
def test_anything(claims, text):
    """Whatever stands in a token, it is explained or refused, and nothing else is raised."""
    assert isinstance(explained(made(**claims), at=NOW)["problems"], list)
    for junk in (text, f"{text}.{text}.{text}"):
        try:
            explained(junk, at=NOW)
        except ConfigurationError as error:
            assert str(error).isprintable()
