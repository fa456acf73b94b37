"""The command as a person or a script runs it: a process of its own."""

from __future__ import annotations

import json
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

from paragon_async.cli.compare import compare
from paragon_async.cli.demo import demo
from paragon_async.cli.outcome import perform
from paragon_async.cli.root import cli
from paragon_async.cli.scratch import Scratch
from paragon_async.errors import ConfigurationError, ParagonError
from paragon_async.ingest import State

COMMAND = [sys.executable, "-m", "paragon_async"]


def run(*arguments, cwd=None):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, check=False
    )


def names(mirror):
    return {p.name: p.read_bytes() for p in (mirror / "files").rglob("*") if p.is_file()}


def test_demo(folder, tmp_path):
    """The demo mirrors a folder through the whole service, changes its copy, and can be run again."""
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    for _ in range(2):
        result = CliRunner().invoke(demo, [str(folder), "--to", str(tmp_path / "to")])
        assert result.exit_code == 0, result.output
        assert "4 of 4 files are equal" in result.output
        assert "3 edited, 2 added, 1 deleted, 0 renamed" in result.output
        assert "moved:    6 records for 6 changes, 5 files for 5 new contents, 1 deleted" in result.output  # fmt: skip
        assert "5 of 5 files are equal" in result.output
        for name in (
            "records",
            "files verified",
            "bytes",
            "seconds",
            "records per second",
            "MB per second",
            "second run: records",
            "second run: files",
            "second run: deleted",
            "second run: bytes",
            "API calls",
            "peak memory",
        ):
            assert f"\n{name} " in result.output
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    mirrored = names(tmp_path / "to")
    assert {"added-1.txt", "added-2.txt"} <= mirrored.keys()
    assert mirrored["hello.txt"] == b"hello\n# edited by the demo\n"


def test_demo_of_many_files(folder, tmp_path):
    """Where there are that many files, two are renamed, which moves no content."""
    for number in range(10):
        (folder / f"{number}.txt").write_text(str(number))
    result = CliRunner().invoke(demo, [str(folder), "--to", str(tmp_path / "to"), "--at-once", "2"])
    assert result.exit_code == 0, result.output
    assert "3 edited, 2 added, 2 deleted, 2 renamed" in result.output
    assert "moved:    9 records for 9 changes, 5 files for 5 new contents" in result.output
    assert sum(name.startswith("renamed-") for name in names(tmp_path / "to")) == 2


def test_demo_with_odd_names(folder, tmp_path):
    """Names that are not safe everywhere are made so, and their files verified all the same."""
    (folder / "a:b?.txt").write_text("odd")
    (folder / os.fsdecode(b"bad-\xff")).write_text("bytes")
    (folder / "nul").write_text("reserved")
    (folder / ("ü" * 127)).write_text("long")
    (folder / "link").symlink_to(folder / "nul")
    (folder / "out").symlink_to(tmp_path)
    result = CliRunner().invoke(demo, [str(folder), "--to", str(tmp_path / "to")])
    assert result.exit_code == 0, result.output
    assert "9 of 9 files are equal" in result.output


def test_demo_leaves_no_copy(folder, tmp_path, monkeypatch):
    """The copy is removed at the end."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    assert CliRunner().invoke(demo, [str(folder), "--to", str(tmp_path / "to")]).exit_code == 0
    assert list((tmp_path / "scratch").iterdir()) == []


def test_demo_replaces_only_its_own(folder, tmp_path):
    """What an earlier demo made is replaced; anything else is kept, or the folder refused."""
    target = tmp_path / "to"
    arguments = [str(folder), "--to", str(target)]
    assert CliRunner().invoke(demo, arguments).exit_code == 0
    (target / "mine.txt").write_text("mine")
    (target / "files" / "stray").write_text("x")
    assert CliRunner().invoke(demo, arguments).exit_code == 0
    assert (target / "mine.txt").read_text() == "mine"
    assert not (target / "files" / "stray").exists()
    (target / ".paragon-demo").unlink()
    refused = CliRunner().invoke(demo, arguments)
    assert refused.exit_code == 3
    assert "holds files that no demo made" in refused.output
    assert (target / ".paragon" / "state.db").exists()


async def test_demo_beside_another(folder, tmp_path):
    """A folder in which a demo is at work is not taken from it."""
    (tmp_path / ".paragon-demo").touch()
    async with State(tmp_path):
        result = CliRunner().invoke(demo, [str(folder), "--to", str(tmp_path)])
        assert result.exit_code == 3
        assert f"process {os.getpid()} on" in result.output
        assert (tmp_path / ".paragon" / "state.db").exists()


def test_demo_without_files(tmp_path):
    """A folder without files has nothing to verify: that is said before anything is made."""
    source = tmp_path / "from"
    (source / "empty").mkdir(parents=True)
    (source / ".paragon.toml").write_text('owner = "owner@example.com"')
    (source / "out").symlink_to(tmp_path)
    result = CliRunner().invoke(demo, [str(source), "--to", str(tmp_path / "to")])
    assert result.exit_code == 2
    assert result.output.startswith(f"paragon-async: there is no file in {source}: ")
    assert not (tmp_path / "to").exists()


def test_demo_as_a_process(folder, tmp_path):
    """From a shell the demo writes plain lines and ends with 0."""
    result = run("demo", folder, cwd=tmp_path)
    assert result.returncode == 0
    assert result.stderr == ""
    assert "\x1b" not in result.stdout
    assert "hello.txt" in names(tmp_path / "demo")


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


def test_comparing(tmp_path):
    """What differs, is missing, or lies there without a record is found, each by its name."""
    mirror, source = tmp_path / "mirror", tmp_path / "source"
    (mirror / "records").mkdir(parents=True)
    source.mkdir()
    lines = []
    for name in ("good", "other", "gone", "lost", "foreign"):
        (mirror / "files" / name).mkdir(parents=True)
        (mirror / "files" / name / name).write_text(name)
        (source / name).write_text(name)
        lines.append(json.dumps({"id": f"id-{name}", "_file": f"files/{name}/{name}"}))
    lines.append(json.dumps({"id": "a-folder"}))
    (mirror / "records" / "001-000001.jsonl").write_text("\n".join(lines) + "\n")
    (mirror / "files" / "other" / "other").write_text("OTHER")
    (mirror / "files" / "gone" / "gone").unlink()
    (mirror / "files" / "stray").write_text("stray")
    (source / "missing").write_text("missing")
    sources = {p.name: p for p in source.iterdir() if p.name not in {"lost", "foreign"}}
    keys = {f"id-{name}": name for name in ("good", "other", "gone", "lost")}
    found = compare(mirror, sources, keys.get)
    assert (found.files, found.verified, found.bytes) == (4, 1, 4)
    assert sorted(found.failures) == [
        "foreign: has no source",
        "gone: differs from its source",
        "lost: has no source",
        "missing: is missing",
        "other: differs from its source",
        "stray: lies in the mirror, and no record has it",
    ]


def test_copying(folder, tmp_path):
    """A copy lacks what is skipped, and what could not be read is named."""
    (folder / "skipped").mkdir()
    (folder / "skipped" / "x").write_text("x")
    (folder / ".paragon.toml").write_text('owner = "owner@example.com"')
    (tmp_path / "copy").mkdir()
    scratch = Scratch(source=folder, folder=tmp_path / "copy", skip=frozenset({"skipped"}))
    scratch.copy()
    names = {"hello.txt", "zero.bin", "reports/Überblick.pdf", "reports/2025/large.bin"}
    assert scratch.sources(originals=True) == {name: folder / name for name in names}
    assert scratch.sources(originals=False) == {name: tmp_path / "copy" / name for name in names}
    assert (tmp_path / "copy" / ".paragon.toml").exists()
    assert (scratch.key(None), scratch.failures) == (None, [])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["demo", "absent"], "there is no folder absent"),
        (["demo", "nothing"], "there is no file in nothing"),
        (["demo", ""], "the name of a folder is empty"),
        (["demo", "full", "--to", ""], "the name of a folder is empty"),
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
    assert {"demo", "emulator", "ingest"} <= set(re.findall(r"\w+", run("--help").stdout))
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
