"""`doctor`: each thing that can be wrong is told in one line, with its mend, and makes the status 1."""

from __future__ import annotations

import datetime
import json
from email.utils import format_datetime

import pytest
from aiohttp import web

from paragon_async.auth import SigningKey
from paragon_async.cli.examine import _audiences
from paragon_async.emulator.auth import new_signing_key
from paragon_async.webhooks.receiver import serving

OK = ["program", "project", "key", "address", "network", "clock", "access"]


async def told(call, *arguments, **environ):
    """Return the status, and the findings by their names."""
    done = await call("doctor", *arguments, **environ)
    assert (done.stderr, "PRIVATE" in done.stdout) == ("", False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(one.keys() == {"check", "state", "told", "mend"} for one in found)
    return done.exit_code, {one["check"]: one for one in found}


async def test_all_is_well(call, sync_id):
    """With everything set, each line is good, and the status 0; a person gets the same lines."""
    status, found = await told(call, "--user", "user-1")
    assert (status, list(found)) == (0, OK)
    assert {one["state"] for one in found.values()} == {"good"}
    assert found["access"]["told"] == "the credentials are taken; user user-1 has 1 syncs"
    shown = (await call("doctor", "--no-json")).stdout.splitlines()
    assert [line.split()[:2] for line in shown] == [["good", name] for name in OK]
    assert list((await told(call, "--offline"))[1]) == OK[:4]


BAD = [
    ({"PARAGON_SIGNING_KEY": None, "PARAGON_PROJECT_ID": None}, "credentials", "there are none", "set PARAGON_SIGNING_KEY"),
    ({"PARAGON_SIGNING_KEY": "canary"}, "key", "the signing key is no PEM", "copy it again"),
    ({"PARAGON_SIGNING_KEY": "@/absent"}, "key", "cannot be read", "copy it again"),
    ({"PARAGON_PROJECT_ID": None}, "project", "it is not set", "set PARAGON_PROJECT_ID"),
    ({"PARAGON_BASE_URL": "sync.example.com"}, "address", "is no http address", None),
    ({"PARAGON_BASE_URL": "http://sync.example.com"}, "address", "must be https", None),
    ({"PARAGON_BASE_URL": "http://127.0.0.1:9"}, "network", "Connection refused", "is the address right"),
    ({"PARAGON_SIGNING_KEY": None, "PARAGON_USER_TOKEN": "canary"}, "token", "this is no JWT", "mint one"),
]  # fmt: skip


@pytest.mark.parametrize(("environ", "check", "sentence", "mend"), BAD)
async def test_what_is_bad(call, environ, check, sentence, mend):
    """What cannot work is bad, alone, and no secret is repeated."""
    status, found = await told(call, **environ)
    assert (status, [name for name, one in found.items() if one["state"] == "bad"]) == (1, [check])
    assert sentence in found[check]["told"]
    assert mend is None or mend in found[check]["mend"]
    assert "canary" not in json.dumps(found)


@pytest.mark.parametrize(
    ("environ", "check", "sentence"),
    [({"PARAGON_PROJECT_ID": "mine"}, "project", "no UUID"), ({"PARAGON_LOG": "loud"}, "logging", "is not understood"), ({"PARAGON_USER_TOKEN": "x"}, "key", "an RSA key")],
)  # fmt: skip
async def test_what_is_odd(call, environ, check, sentence):
    """What works but may not be meant is odd, and no reason for status 1."""
    status, found = await told(call, "--offline", **environ)
    assert (status, found[check]["state"], sentence in found[check]["told"]) == (0, "odd", True)


async def test_the_key_is_not_the_projects(call):
    """A key that the service does not know is told from a wrong audience."""
    status, found = await told(call, PARAGON_SIGNING_KEY=new_signing_key())
    assert (status, found["access"]["state"]) == (1, "bad")
    assert "refuses the token" in found["access"]["told"]
    assert "is the key of project" in found["access"]["mend"]


async def test_the_audience(call, emulator):
    """An audience that is refused is held against those that were seen, and the right one is named."""
    status, found = await told(call, "--audience", "example.com/x")
    assert (status, found["access"]["state"]) == (1, "bad")
    assert found["access"]["mend"] == f"say --audience useparagon.com/{emulator.project_id}"
    assert found["key"]["told"].count("example.com/x") == 1
    hosts = [one.partition("/")[0] for one in _audiences("p", "https://ms-sync.my.example.com")]
    assert hosts == [
        "useparagon.com",
        "dashboard.useparagon.com",
        "my.example.com",
        "dashboard.my.example.com",
    ]


async def test_a_token(call, emulator):
    """A token is explained; one that has expired is bad before the service is asked, and there."""
    nobody = {"PARAGON_SIGNING_KEY": None, "PARAGON_PROJECT_ID": None}
    key = SigningKey(emulator.project_id, emulator.signing_key)
    good = (await key.token("ada")).reveal()
    status, found = await told(call, **nobody, PARAGON_USER_TOKEN=good)
    assert (status, found["token"]["state"], found["access"]["state"]) == (0, "good", "good")
    assert "of user ada" in found["token"]["told"]
    assert good not in json.dumps(found)

    class Past:
        def wall(self):
            return 1_700_000_000.0

    late = SigningKey(emulator.project_id, emulator.signing_key, clock=Past())
    old = (await late.token("ada")).reveal()
    status, found = await told(call, **nobody, PARAGON_USER_TOKEN=old)
    assert (status, found["token"]["state"], found["access"]["state"]) == (1, "bad", "bad")
    assert "it expired" in found["token"]["told"]


async def test_the_clock(call):
    """A clock that differs from the service's Date is odd; where it is why a token is refused, bad."""
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=2)
    asked = []

    async def answer(request):
        asked.append(request.headers["Authorization"])
        headers = {"Date": format_datetime(then)}
        if len(asked) == 1:
            return web.json_response({"message": "early"}, status=401, headers=headers)
        return web.json_response([], headers=headers)

    app = web.Application()
    app.router.add_get("/api/syncs", answer)
    async with serving(app) as url:
        status, found = await told(call, "--base-url", url)
    assert (status, found["clock"]["state"], found["access"]["mend"]) == (1, "odd", "set the clock")
    assert "behind the service's" in found["clock"]["told"]
    assert len(set(asked)) == 2


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [(403, "{}", "the right is missing"), (200, "<html>", "is this Managed Sync?"), (404, "{}", "is this Managed Sync?"), (503, "", "is this Managed Sync?")],
)  # fmt: skip
async def test_another_service(call, status, body, sentence):
    """What answers and is no Managed Sync, or has no right for us, is told so."""

    async def answer(_):
        return web.Response(status=status, text=body)

    app = web.Application()
    app.router.add_get("/api/syncs", answer)
    async with serving(app) as url:
        code, found = await told(call, "--base-url", url)
    assert (code, found["access"]["state"], sentence in found["access"]["mend"]) == (1, "bad", True)
