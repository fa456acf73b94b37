"""The command as a person or a script runs it: a process of its own."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import urllib.request

import click
import pytest
from click.testing import CliRunner

from paragon_async.cli.demo import demo
from paragon_async.cli.outcome import perform
from paragon_async.cli.root import cli
from paragon_async.errors import ConfigurationError, ParagonError

COMMAND = [sys.executable, "-m", "paragon_async"]


def run(*arguments, cwd=None):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False
    )


def test_demo(folder, tmp_path):
    """The demo copies a folder through the whole service, verifies it, and can be run again."""
    for _ in range(2):
        result = CliRunner().invoke(demo, [str(folder), "--to", str(tmp_path / "to")])
        assert result.exit_code == 0, result.output
        assert "4 of 4" in result.output
        for name in (
            "records",
            "bytes",
            "seconds",
            "records per second",
            "MB per second",
            "API calls",
            "peak memory",
        ):
            assert name in result.output
    copies = {
        p.relative_to(tmp_path / "to"): p.read_bytes()
        for p in (tmp_path / "to").rglob("*")
        if p.is_file()
    }
    assert copies == {
        p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }
    assert (tmp_path / "to" / "empty").is_dir()


def test_demo_with_odd_names(folder, tmp_path):
    """Names that are not safe everywhere are made so, and their files verified all the same."""
    (folder / "a:b?.txt").write_text("odd")
    (folder / os.fsdecode(b"bad-\xff")).write_text("bytes")
    (folder / "nul").write_text("reserved")
    result = CliRunner().invoke(demo, [str(folder), "--to", str(tmp_path / "to")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "to" / "a_b_.txt").read_text() == "odd"
    assert (tmp_path / "to" / "_nul").read_text() == "reserved"


def test_demo_without_files(tmp_path):
    """A folder of folders has nothing to verify: that is no success."""
    (tmp_path / "from" / "empty").mkdir(parents=True)
    result = CliRunner().invoke(demo, [str(tmp_path / "from"), "--to", str(tmp_path / "to")])
    assert result.exit_code == 1
    assert "there is no file in" in result.output


def test_demo_as_a_process(folder, tmp_path):
    """From a shell the demo writes plain lines and ends with 0."""
    result = run("demo", folder, cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    assert (tmp_path / "demo" / "hello.txt").read_text() == "hello"


def test_demo_on_a_terminal(folder, tmp_path):
    """On a terminal there is a progress bar."""
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "demo", str(folder), "--to", str(tmp_path / "to")], stdout=end, stderr=end,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(end)
    shown = b""
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError:
        pass  # that is how a terminal on Linux ends
    os.close(terminal)
    assert process.wait() == 0
    assert b"\x1b" in shown
    assert b"files verified" in shown


def test_demo_with_files_that_change(folder, tmp_path, monkeypatch):
    """A copy that differs from its source is reported, and the exit status is 1."""
    from paragon_async.cli import tour

    class Changing(tour.Tour):
        async def _one(self, user, sync_id, file, place, source):
            if file.name == "hello.txt":
                (folder / "hello.txt").write_text("changed")
            await super()._one(user, sync_id, file, place, source)

    monkeypatch.setattr(tour, "Tour", Changing)
    result = CliRunner().invoke(demo, [str(folder), "--to", str(tmp_path / "to")])
    assert result.exit_code == 1
    assert "not as it should be: hello.txt" in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["demo", "absent"], "there is no folder absent"),
        (["demo", "nothing"], "the folder nothing is empty"),
        (["demo", "full", "--to", "full/in"], "lies inside"),
        (["demo", "full", "--to", "full/f/x"], "lies inside"),
        (["demo", "full", "--to", "file/x"], "cannot make the folder"),
        (["emulator", "absent"], "there is no folder absent"),
    ],
)
def test_bad_input(tmp_path, arguments, sentence):
    """Input that cannot serve is one clear sentence on standard error, and status 2."""
    (tmp_path / "nothing").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "f").write_text("x")
    (tmp_path / "file").write_text("x")
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_unwritable_target(tmp_path, monkeypatch, folder):
    """A folder that cannot be written to is refused before anything is done."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    result = CliRunner().invoke(demo, [str(folder), "--to", str(tmp_path)])
    assert result.exit_code == 2
    assert "cannot be written to" in result.output


def test_usage():
    """Help names the commands; what is no command is an error of usage."""
    assert {"demo", "emulator"} <= set(re.findall(r"\w+", run("--help").stdout))
    assert run("--version").stdout.startswith("paragon-async, version ")
    assert run("fly").returncode == 2
    assert cli.get_command(click.Context(cli), "fly") is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_emulator(folder, number):
    """The emulator prints what a shell needs, serves, refuses a taken port, and stops cleanly."""
    process = subprocess.Popen(
        [*COMMAND, "emulator", str(folder), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    lines = [process.stdout.readline() for _ in range(4)]
    exported = dict(shlex.split(line)[1].split("=", 1) for line in lines[:3])
    assert set(exported) == {"PARAGON_PROJECT_ID", "PARAGON_SIGNING_KEY", "PARAGON_BASE_URL"}
    program = (
        "import asyncio, paragon_async\n"
        "async def main():\n"
        "    async with paragon_async.Paragon() as p:\n"
        "        print((await p.user('u').syncs.enable('googledrive', 'files')).status)\n"
        "asyncio.run(main())"
    )
    used = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | exported,
        capture_output=True,
        text=True,
        check=True,
    )
    assert used.stdout.strip() == "INITIALIZING"
    port = exported["PARAGON_BASE_URL"].rpartition(":")[2]
    taken = run("emulator", folder, "--port", port)
    assert taken.returncode == 2
    assert f"cannot listen on port {port}" in taken.stderr
    process.send_signal(number)
    assert process.wait(10) == 0
    process.stdout.close()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(exported["PARAGON_BASE_URL"])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigurationError("c\x1b"), 2),
        (ParagonError("p"), 3),
        (OSError("o"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_leave_as_a_sentence(capsys, error, status):
    """Whatever goes wrong, it is a sentence without control characters, and a status."""

    async def fail():
        raise error

    with pytest.raises(SystemExit) as caught:
        perform(fail())
    assert caught.value.code == status
    shown = capsys.readouterr().err
    assert shown.startswith("paragon-async: ")
    assert "\x1b" not in shown


def test_without_the_extra(tmp_path):
    """Without click the command says what to install."""
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError(name='click')")
    run_ = subprocess.run(
        COMMAND,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run_.returncode == 2
    assert "paragon-async[cli]" in run_.stderr
