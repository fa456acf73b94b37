"""The frame of every command: global options, near misses, errors, statuses, help, completion."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from paragon_async.cli import settings, words
from paragon_async.cli.exits import MEANING, Exit
from paragon_async.cli.frame import command
from paragon_async.cli.outcome import perform
from paragon_async.cli.root import COMMANDS, cli
from paragon_async.cli.signals import Signals
from paragon_async.errors import RateLimitError, ServerError, TimedOutError
from tests.cli.terminal import COMMAND, piped


def run(*arguments, **environ):
    return CliRunner(env=environ).invoke(cli, list(arguments))


def test_help_imports_little():
    """Help needs neither the event loop nor the client, rich or attrs, and no command's module."""
    program = (
        "import sys\n"
        "sys.argv = ['paragon-async', '--help']\n"
        "from paragon_async.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*sys.modules, sep='\\n', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())
    heavy = {"asyncio", "aiohttp", "rich", "attrs", "cattrs", "msgspec", "sqlite3", "ssl", "json"}
    assert not heavy & loaded
    assert not {f"paragon_async.cli.{module}" for module, _ in COMMANDS.values()} & loaded
    assert "Exit statuses:" in done.stdout


def test_every_command_is_told():
    """The line that the root's help shows of a command is the command's own."""
    ctx = click.Context(cli)
    told = {
        name: cli.get_command(ctx, name).get_short_help_str(200) for name in cli.list_commands(ctx)
    }
    shown = re.sub(r"\s+", " ", run("--help").stdout)
    for name, (_, line) in COMMANDS.items():
        assert f"{name} {line}" in shown
        assert told[name]


def every(group, ctx):
    for name in group.list_commands(ctx):
        found = group.get_command(ctx, name)
        yield (name,)
        if isinstance(found, click.Group):
            yield from ((name, *rest) for rest in every(found, ctx))


@pytest.mark.parametrize("path", list(every(cli, click.Context(cli))), ids=" ".join)
def test_help_of_every_command(path):
    """Each has help, with a sentence for each option, asked for in either way, on standard output."""
    done = run(*path, "--help")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: paragon-async {path[0]}")
    assert run("help", *path).stdout.split() == done.stdout.split()
    assert "Options of every command" in done.stdout


def test_words_know_the_global_options():
    """What signals and defaults know of the global options is what they are."""
    valued = {n for o in settings.GLOBALS if not (o.is_flag or o.count) for n in o.opts}
    flags = {
        n for o in settings.GLOBALS if o.is_flag or o.count for n in (*o.opts, *o.secondary_opts)
    }
    assert (valued, flags) == (words.VALUED, words.FLAGS)


@pytest.mark.parametrize(
    ("given", "count", "found"),
    [
        ([], 0, []), (["ingest"], 0, ["ingest"]), (["-qv", "--json", "ingest", "-q", "status", "d"], 2, ["ingest", "status"]),
        (["--base-url", "ingest", "syncs", "list"], 2, ["syncs", "list"]), (["--base-url=x", "get"], 1, ["get"]),
        (["--base-url"], 1, []), (["--help"], 0, ["--help"]), (["-x", "get"], 0, ["-x", "get"]), (["-"], 0, ["-"]),
    ],
)  # fmt: skip
def test_leading_words(given, count, found):
    """Global options before a command are told from it, with their values."""
    assert words.leading(given) == count
    assert words.commands(given) == found


@command()
@click.argument("way")
def told(way):
    """Tell the settings, or fail."""
    now = settings.now()
    if way == "tell":
        click.echo(f"{now.json} {now.quiet} {now.verbose} {now.log_json} {now.base_url}")
    elif way == "status":
        return 7
    elif way == "fault":
        raise KeyError("\x1b[2J")
    else:
        return perform(fails(way))
    return None


async def fails(way):
    errors = {
        "late": TimedOutError("no answer"),
        "busy": RateLimitError("slow down", method="GET", path="/", status=429, retry_after=9.0),
        "down": ServerError("down", method="GET", path="/", status=503),
        "never": ServerError("cannot", method="GET", path="/", status=501),
        "disk": OSError(28, "No space left on device", "a\nb"),
        "fault": KeyError("inside"),
    }
    raise errors[way]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["tell"], "None False 0 False None"), (["--json", "-q", "tell", "-v"], "True True 1 False None"),
        (["-v", "tell", "-v", "--no-json"], "False False 2 False None"), (["tell", "-vvv", "--log-json"], "None False 3 True None"),
        (["tell", "--base-url", "x"], "None False 0 False x"),
    ],
)  # fmt: skip
def test_global_options(given, shown):
    """They are understood before and after what a command takes, and last one call."""
    assert CliRunner().invoke(told, given).stdout.strip() == shown
    assert settings.now().json is None


@pytest.mark.parametrize(
    "given", [["--json", "-q", "-v", "help", "exits"], ["help", "exits", "-qv", "--json"]]
)
def test_on_both_sides(given):
    """Before the command and after it they mean the same."""
    assert run(*given).stdout == run("help", "exits").stdout


@pytest.mark.parametrize(
    ("given", "sentence", "hint"),
    [
        (["sync"], "there is no command 'sync'", "did you mean `paragon-async syncs`?"),
        (["syncs", "lst"], "there is no command 'lst'", "did you mean `paragon-async syncs list`?"),
        (["zzz\x1b"], "there is no command 'zzz\\x1b'", "`paragon-async --help` lists the commands"),
        (["help", "exit"], "there is no command 'exit'", "did you mean `paragon-async help exits`"),
        (["syncs", "list", "--usr", "u"], "No such option '--usr'", "did you mean --user?"),
        (["--jsn", "demo"], "No such option '--jsn'", "did you mean --json"),
        (["syncs", "status"], "Missing argument 'SYNC'", "`paragon-async syncs status --help` shows how it is called"),
        (["syncs", "update", "s"], "there is nothing to change: give --credential or --every", None),
        (["--audience", "", "syncs", "list"], "Invalid value for '--audience': it is empty: name one", None),
        (["syncs", "list", "--signing-key", "/absent"], "Invalid value for '--signing-key': the file cannot be read (No such file or directory)", None),
        (["completion", "csh"], "Invalid value for '{bash|zsh|fish}'", None),
    ],
)  # fmt: skip
def test_wrong_calls(given, sentence, hint):
    """A call that cannot be meant is one sentence and a hint, on standard error, with status 2."""
    done = run(*given)
    assert (done.exit_code, done.stdout) == (2, "")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"paragon-async: {sentence}")
    assert second.startswith(f"hint: {hint or ''}")


@pytest.mark.parametrize(
    ("way", "status", "lines"),
    [
        ("status", 7, []), ("late", 4, ["paragon-async: no answer"]),
        ("busy", 4, ["paragon-async: 429 from GET /: slow down", "hint: the service asks to wait 9 seconds"]),
        ("down", 4, ["paragon-async: 503 from GET /: down"]), ("never", 3, ["paragon-async: 501 from GET /: cannot"]),
        ("disk", 3, ["paragon-async: No space left on device: a\\nb"]),
        ("fault", 70, ["paragon-async: this should not happen: KeyError: '\\x1b[2J'", "hint: --debug shows where; please report it"]),
    ],
)  # fmt: skip
def test_errors(way, status, lines):
    """Each error is a sentence, a hint and its status; a traceback is shown with --debug only."""
    done = CliRunner().invoke(told, [way])
    assert (done.exit_code, done.stderr.splitlines()) == (status, lines)
    if status != 7:
        debugged = CliRunner().invoke(told, [way, "--debug"])
        assert debugged.exit_code == status
        assert debugged.stderr.startswith("Traceback (most recent call last):\n")
        assert debugged.stderr.splitlines()[-len(lines) :] == lines
        assert "\x1b" not in debugged.stderr


@pytest.mark.parametrize(("way", "kind", "status", "retryable"), [("late", "TimedOutError", 4, True), ("disk", "OSError", 3, False), ("fault", "KeyError", 70, False)])  # fmt: skip
def test_errors_for_programs(way, kind, status, retryable):
    """With --log-json an error is one line of JSON, with the same keys each time."""
    done = CliRunner().invoke(told, ["--log-json", way])
    (found,) = map(json.loads, done.stderr.splitlines())
    assert found.keys() == {"time", "level", "message", "hint", "status", "error", "retryable"}
    assert (found["error"], found["status"], found["retryable"]) == (kind, status, retryable)
    wrong = json.loads(run("get", "--log-json").stderr)
    assert (wrong.keys(), wrong["status"]) == (found.keys(), 2)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_for_programs(number, status):
    """What a signal that comes early says is JSON too, written without importing anything."""
    said = Signals("interrupted", as_json=True)._said(number)
    assert json.loads(said) == {"level": "error", "message": "interrupted", "status": status}
    assert Signals("interrupted")._said(number) == "paragon-async: interrupted\n"


async def test_statuses(call, emulator, sync_id, evil):
    """The table of statuses is what real runs end with: each of them, and none besides."""
    user = ("--user", "user-1")
    seen = {
        (await call("syncs", "status", sync_id, *user)).exit_code,
        (await call("permissions", "check", sync_id, "x@example.com", evil, *user)).exit_code,
        (await call("syncs", "fly")).exit_code,
        (await call("get", sync_id, "absent", *user)).exit_code,
        CliRunner().invoke(told, ["fault"]).exit_code,
        (await piped("emulator", "exec", "--", "/absent")).status,
    }
    emulator.world.life.enter(sync_id, "ACTIVE")
    seen.add((await call("syncs", "wait", sync_id, *user, "--timeout", "0")).exit_code)
    for number in (signal.SIGINT, signal.SIGTERM):
        seen.add(await signalled(number))
    seen.add(await unread("help"))
    assert seen == set(MEANING) == set(Exit)
    shown = run("help", "exits").stdout
    assert [int(n) for n in re.findall(r"^(\d+) ", shown, re.MULTILINE)] == sorted(seen)
    assert re.findall(r"^  (\d+) ", run("--help").stdout, re.MULTILINE) == [
        str(n) for n in sorted(seen)
    ]


async def signalled(number):
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "webhooks", "listen", "--insecure",
        stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert b"receiving" in await process.stderr.readline()
    process.send_signal(number)
    _, err = await process.communicate()
    assert err.decode().splitlines()[-1] == "paragon-async: interrupted"
    return process.returncode


async def unread(*arguments):
    """Run a command whose output nobody reads; it has nothing to say to that."""
    theirs, mine = os.pipe()
    os.close(theirs)
    try:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *arguments, stdout=mine, stderr=asyncio.subprocess.PIPE
        )
    finally:
        os.close(mine)
    _, err = await process.communicate()
    assert err == b""
    return process.returncode


def test_topics():
    """Help has the environment, whose names are those that the package reads."""
    from pathlib import Path

    import paragon_async
    from paragon_async.cli.help import ENVIRONMENT

    texts = [p.read_text() for p in Path(paragon_async.__file__).parent.rglob("*.py")]
    used = {name for text in texts for name in re.findall(r"\bPARAGON_[A-Z_]+\b", text)}
    assert used - {"PARAGON_ASYNC_COMPLETE"} == ENVIRONMENT.keys() - {"NO_COLOR"}
    shown = run("help", "environment").stdout
    assert all(name in shown for name in ENVIRONMENT)
    assert run("help").stdout == run("--help").stdout


@pytest.mark.parametrize(("shell", "sign"), [("bash", "complete -o nosort"), ("zsh", "compdef"), ("fish", "complete --no-files")])  # fmt: skip
def test_completion(shell, sign):
    """A shell's script is printed, and what it asks for is completed at every level."""
    done = run("completion", shell)
    assert (done.exit_code, sign in done.stdout, done.stderr) == (0, True, "")
    complete = BashComplete(cli, {}, "paragon-async", "_X")
    assert [c.value for c in complete.get_completions([], "s")] == ["syncs"]
    assert [c.value for c in complete.get_completions(["syncs"], "d")] == ["disable", "delete"]
    assert "--base-url" in [c.value for c in complete.get_completions(["syncs", "list"], "--")]
    roles = [c.value for c in complete.get_completions(["permissions", "check", "--role"], "")]
    assert roles == ["can_read", "can_write", "is_owner"]
