"""Every command as a process, on a terminal and through pipes, on good input and on bad."""

from __future__ import annotations

import asyncio
import json
import re

import click
import pytest

from paragon_async.cli.root import cli
from paragon_async.ingest import Ingest
from tests.cli.terminal import on_terminal, piped

pytestmark = pytest.mark.proof
USER = ("--user", "user-1")
# Each command with what it is well called with; SYNC, RECORD and DIR are put in. No status: 0.
GOOD = {
    "syncs list": (USER, 0),
    "syncs enable": (("googledrive", "files", *USER), 0),
    "syncs status": (("SYNC", *USER), 0),
    "syncs wait": (("SYNC", *USER), 0),
    "syncs update": (("SYNC", *USER, "--every", "1h"), 0),
    "syncs disable": (("SYNC", *USER, "--dry-run"), 0),
    "syncs reenable": (("SYNC", *USER, "--dry-run"), 0),
    "syncs delete": (("SYNC", *USER, "--dry-run"), 0),
    "pull": (("SYNC", *USER), 0),
    "download": (("SYNC", *USER, "--all", "--to", "DIR"), 0),
    "get": (("SYNC", "RECORD", *USER), 0),
    "permissions check": (("SYNC", "x@example.com", "RECORD", *USER), 1),
    "permissions users": (("SYNC", "RECORD", *USER), 0),
    "permissions objects": (("SYNC", "owner@example.com", *USER), 0),
    "permissions expand": (("SYNC", "RECORD", *USER), 0),
    "ingest run": (("SYNC", *USER, "--to", "DIR"), 0),
    "ingest status": (("MIRROR",), 0),
    "ingest report": (("MIRROR",), 0),
    "ingest verify": (("MIRROR",), 0),
    "ingest retry": (("MIRROR",), 0),
    "ingest reconcile": (("MIRROR", "--dry-run"), 0),
    "token mint": (USER, 0),
    "doctor": ((), 0),
    "webhooks trigger": (("record_updated", "--record", "RECORD", "--dry-run"), 0),
    "completion": (("bash",), 0),
    "help": (("environment",), 0),
    "emulator exec": (("--", "true"), 0),
    "demo": (("DRIVE", "--to", "DEMO"), 0),
}
PLAIN_TEXT = {"ingest report", "token mint", "completion", "help", "demo", "emulator exec"}
# `ingest run` is the name behind `ingest SYNC`.
HIDDEN = {"ingest run": "ingest"}


@pytest.mark.parametrize("name", GOOD)
async def test_every_command(name, emulator, user, sync_id, evil, folder, tmp_path):
    """Pipes get JSON lines without a control character, a terminal no more than colours; bad is status 2."""
    given, status = GOOD[name]
    words = {"SYNC": sync_id, "RECORD": evil, "DRIVE": folder}
    if "MIRROR" in given:
        for place in ("pipe", "terminal"):
            mirror = tmp_path / f"{place}-made"
            await Ingest(user, sync_id, mirror, mirror).run()

    def call(place):
        places = {
            word: tmp_path / f"{place}-{name}"
            for word, name in (("DIR", "new"), ("DEMO", "demo"), ("MIRROR", "made"))
        }
        arguments = [str((words | places).get(word, word)) for word in given]
        return [*HIDDEN.get(name, name).split(), *arguments]

    env = emulator.environ
    ended, (code, shown), (bad, said) = await asyncio.gather(
        piped(*call("pipe"), env=env),
        on_terminal(*call("terminal"), env=env),
        on_terminal(*HIDDEN.get(name, name).split(), "--nonsense", env=env),
    )
    assert (ended.status, code) == (status, status), (ended, shown)
    assert "Traceback" not in ended.err + shown + said
    assert all(c.isprintable() or c == "\n" for c in ended.out + ended.err)
    # What is left when colours, the cursor and a bar's lines are taken away.
    left = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert all(c.isprintable() or c in "\r\n" for c in left)
    assert "\x1b[31m\u202e" not in shown
    if name not in PLAIN_TEXT:
        assert [json.loads(line) for line in ended.out.splitlines()]
    if name != "emulator exec":
        first, *_ = said.replace("\x1b[31m", "").replace("\x1b[0m", "").splitlines()
        assert (bad, first) == (2, "paragon-async: No such option '--nonsense'")


def test_none_is_left_out():
    """Every command is among them, but for those that run until stopped."""

    def every(group, ctx):
        for name in group.list_commands(ctx):
            found = group.get_command(ctx, name)
            if isinstance(found, click.Group):
                yield from (f"{name} {below}" for below in every(found, ctx))
            else:
                yield name

    elsewhere = {
        "webhooks listen": "tests/test_cli_webhooks.py", "emulator serve": "tests/test_cli.py",
        "token explain": "tests/cli/test_token.py",
    }  # fmt: skip
    assert set(every(cli, click.Context(cli))) - elsewhere.keys() <= GOOD.keys()
