"""The command as a person has it: a process on a terminal, with a keyboard. Few, for each takes a while."""

from __future__ import annotations

import asyncio
import json
import subprocess

import pytest

from tests.cli.terminal import COLOURS, COMMAND, Terminal, environ, on_terminal, piped

USER = ("--user", "user-1")


async def test_a_table(emulator, sync_id):
    """On a terminal a table with colours that mean something; without colours where it is so wished."""
    given = ("syncs", "list", *USER)
    status, shown = await on_terminal(*given, env=emulator.environ)
    assert status == 0
    assert "\x1b[32mIDLE" in shown
    assert shown.split("\r\n")[1].startswith(sync_id)
    status, shown = await on_terminal(*given, env=emulator.environ | {"NO_COLOR": "1"}, columns=60)
    assert (status, "\x1b[3" in shown, sync_id in shown) == (0, False, True)
    status, shown = await on_terminal(*given, "--json", env=emulator.environ)
    assert (status, json.loads(shown)["id"]) == (0, sync_id)


async def test_names_from_outside(emulator, sync_id, evil):
    """A name that would turn the terminal red is shown, and not obeyed."""
    status, shown = await on_terminal("get", sync_id, evil, *USER, env=emulator.environ)
    assert (status, "\x1b" in shown, "\u202e" in shown) == (0, False, False)
    assert "evil\\x1b[31m\\u202e\\x9b.txt\r\n" in shown


@pytest.mark.parametrize(("keys", "status", "says"), [("y\n", 0, "deleted  yes"), ("\n", 3, "paragon-async: nothing was deleted"), ("\x04", 3, "nothing was deleted"), ("\x03", 130, "paragon-async: interrupted")])  # fmt: skip
async def test_a_question(emulator, sync_id, user, keys, status, says):
    """A person is asked before something is lost for ever; only a yes is one, and Ctrl-C ends it."""
    async with Terminal("syncs", "delete", sync_id, *USER, env=emulator.environ) as it:
        await it.shows(f"Delete sync {sync_id} and its 7 records for ever? [y/N] ")
        it.type(keys)
        assert await it.ends() == status
        assert says in it.plain
    assert len(await user.syncs.list()) == (status != 0)


async def test_ctrl_c_while_it_waits(emulator, sync_id):
    """Ctrl-C in the middle of a call is one sentence; nothing else is left on the terminal."""
    emulator.world.life.enter(sync_id, "ACTIVE")
    given = ("-vv", "syncs", "wait", sync_id, *USER)
    async with Terminal(*given, env=emulator.environ) as it:
        await it.shows("status=200")
        it.type("\x03")
        assert await it.ends() == 130
        assert it.plain.endswith("paragon-async: interrupted\r\n")
        assert "Traceback" not in it.plain


async def test_token(emulator):
    """A token that was asked for is alone on the terminal."""
    status, shown = await on_terminal("token", "mint", *USER, env=emulator.environ)
    assert (status, shown.count("\r\n"), shown.count(".")) == (0, 1, 2)


async def test_doctor_and_an_error(emulator):
    """A finding has its colour and its mend, an error a red name and a hint."""
    offline = {"PARAGON_SIGNING_KEY": None, "PARAGON_PROJECT_ID": None, "PARAGON_USER_TOKEN": None}
    status, shown = await on_terminal("doctor", "--offline", env=emulator.environ | offline)
    assert status == 1
    assert "\x1b[31mbad \x1b[0m  credentials  there are none  → set PARAGON_SIGNING_KEY" in shown
    status, shown = await on_terminal("syncs", "list", *USER, env=offline)
    assert status == 2
    assert shown.startswith("\x1b[31mparagon-async:\x1b[0m no credentials: ")
    assert "\r\n\x1b[36mhint:\x1b[0m " in shown


async def test_output_that_cannot_be_written(emulator, sync_id):
    """A full disk is a sentence; an output that was closed by who called is no matter."""
    for redirect, status, says in (("/dev/full", 3, "No space left on device"), ("&-", 0, "")):
        shell = f'"$@" >{redirect}'
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", shell, "sh", *COMMAND, "syncs", "list", *USER,
            env=environ(emulator.environ), stderr=subprocess.PIPE,
        )  # fmt: skip
        _, err = await process.communicate()
        said = f"paragon-async: {says}\n" if says else ""
        assert (process.returncode, err.decode()) == (status, said)


async def test_an_encoding_that_lacks_a_letter(emulator, sync_id, user):
    """What the terminal's encoding lacks is shown as its escape, and is no error."""
    records = [r async for r in user.records.pull(sync_id)]
    umlaut = next(r.id for r in records if r.data["name"] == "Überblick.pdf")
    ended = await piped("get", sync_id, umlaut, *USER, "--no-json", env=emulator.environ | {"PYTHONIOENCODING": "ascii"})  # fmt: skip
    assert (ended.status, ended.err) == (0, "")
    assert "\\xdcberblick.pdf" in ended.out


async def test_logging_as_json(emulator, sync_id):
    """What `PARAGON_LOG` asks for is JSON too with --log-json, each line once."""
    env = emulator.environ | {"PARAGON_LOG": "debug"}
    ended = await piped("syncs", "list", *USER, "-vv", "--log-json", env=env)
    told = [json.loads(line)["message"] for line in ended.err.splitlines()]
    assert (ended.status, sum("status=200" in one for one in told)) == (0, 1)


async def test_a_narrow_terminal(emulator, sync_id, user):
    """Where a table is too wide, a column that can be spared goes first; then values stand in lines."""
    env = emulator.environ | {"NO_COLOR": "1"}
    status, shown = await on_terminal("pull", sync_id, *USER, env=env, columns=80)
    head, *rows = COLOURS.sub("", shown).split("\r\n")[:8]
    files = [record.data async for record in user.records.pull(sync_id)]
    assert (status, head.split()) == (0, ["id", "name", "size", "updated"])
    for row, data in zip(rows, files, strict=True):
        assert len(row) <= 80
        assert row.startswith(f"{data['id']}  {data['name'][:4]}")
        assert row.rstrip().endswith(data["updatedAt"].partition(".")[0] + "Z")
    status, shown = await on_terminal("syncs", "list", *USER, env=env, columns=40)
    lines = [line.split() for line in COLOURS.sub("", shown).split("\r\n")]
    assert (status, lines[0], lines[3]) == (0, ["id", sync_id], ["status", "IDLE"])


async def test_what_a_narrow_terminal_folds(emulator, sync_id, tmp_path):
    """What an ingest answers with is never cut: an id and a cursor are there to be copied."""
    given = ("ingest", sync_id, *USER, "--to", tmp_path / "mirror", "-q", "--no-content")
    status, shown = await on_terminal(*given, env=emulator.environ, columns=40)
    assert (status, "…" in shown) == (0, False)
