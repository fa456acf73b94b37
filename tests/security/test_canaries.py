"""R17: the watch over the suite sees a leak wherever it may be; a planted one fails what it should."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = """
from tests.canary import Watch
def pytest_configure(config):
    watch = Watch(config)
    watch.begin()
    config.pluginmanager.register(watch, "canaries")
"""
LEAKS = """
import asyncio, logging, subprocess, sys, warnings
import click, pytest
from click.testing import CliRunner
from tests.canary import learn_key

LINE = "MIIEabcdefgh" + "A" * 52
KEY = learn_key(f"-----BEGIN PRIVATE KEY-----\\n{LINE}\\n-----END PRIVATE KEY-----\\n")
ours = logging.getLogger("paragon_async.http")

def test_log(): ours.debug("GET %s", "canary-1")
def test_asyncio(): logging.getLogger("asyncio").debug("canary-1")
def test_aiohttp(): logging.getLogger("aiohttp.access").debug("canary-1")
def test_token(): ours.debug("Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln")
def test_key(): ours.debug("a key: %s", KEY)
def test_piece(): ours.debug("a part of a key: %s", LINE)
def test_address(): ours.debug("GET /c?for=u&signature=00ff")

def test_trace():
    try:
        raise ValueError from KeyError("canary-1")
    except ValueError:
        ours.exception("it failed")

def test_raised():
    with pytest.raises(ValueError):
        raise ValueError("canary-1")

def test_cause():
    with pytest.raises(ValueError):
        raise ValueError from KeyError("canary-1")

def test_out(): print("canary-1")
def test_err(): print("canary-1", file=sys.stderr)

def test_read(capsys):
    print("canary-1")
    capsys.readouterr()

def test_program():
    subprocess.run([sys.executable, "-c", "print('canary-1')"], capture_output=True)

def test_program_awaited():
    async def main():
        pipe = subprocess.PIPE
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "print('canary-1')", stdout=pipe)
        await child.communicate()
    asyncio.run(main())

def test_command():
    CliRunner().invoke(click.Command("x", callback=lambda: click.echo("canary-1")))

def test_warning(): warnings.warn("canary-1")

def test_clean():
    ours.debug("nothing")
    with pytest.raises(ValueError):
        raise ValueError("nothing")
    print("nothing")
"""
KEPT = """
import sqlite3
class Shown:
    __module__ = "paragon_async.shown"
    def __repr__(self): return "Shown(canary-1)"
kept = []
def test_file(tmp_path): (tmp_path / "receipt.json").write_text('{"url": "canary-1"}')
def test_database(tmp_path):
    db = sqlite3.connect(tmp_path / "state.db")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE t(x)")
    db.execute("INSERT INTO t VALUES ('canary-1')")
    db.commit()
    kept.append(db)
def test_repr(): kept.append(Shown())
"""


def run(folder, text, *options):
    """Run pytest over this text, with no plugin but this one and the options'; return status and output."""
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_leaks.py").write_text(text)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-p",
        "no:cacheprovider",
        f"--basetemp={folder / 'base'}",
    ]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.Popen(
        [*command, *options, "test_leaks.py"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    # Not `communicate`, which the watch over this suite reads as well.
    with done.stdout as stream:
        shown = stream.read()
    # What was planted there is not for the watch over this suite to find.
    shutil.rmtree(folder)
    return done.wait(), shown


PLACES = ("log paragon_async.http DEBUG", "log asyncio", "log aiohttp.access", "exception ValueError", "Captured stdout",
          "captured output", "output of a program", "output of a command", "warning of test_leaks.py::test_warning")  # fmt: skip
FINDS = (r"^file .*receipt.json: a secret at byte 9", r"^file .*state.db(-wal)?: a secret at byte",
         r"^repr of paragon_async.shown.Shown: a secret behind 'Shown\('")  # fmt: skip


@pytest.mark.timeout(180)
def test_a_leak_fails_its_test(tmp_path):
    """R17: a secret in a log, an error, an output or a warning fails the test that let it out, and no other."""
    status, shown = run(tmp_path, LEAKS)
    assert status == 1
    leaks = set(re.findall(r"def (test_\w+)", LEAKS)) - {"test_clean", "test_warning"}
    assert set(re.findall(r"^ERROR \S+::(\w+)", shown, re.MULTILINE)) == leaks, shown
    for place in PLACES:
        assert re.search(rf"^{place}.*: a secret behind", shown, re.MULTILINE), (place, shown)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "options", [(), ("-p", "xdist", "-n", "1")], ids=["one process", "workers"]
)
def test_a_leak_that_is_kept_fails_the_session(tmp_path, options):
    """R17: a secret in a file, a log of SQLite or a repr fails a session all of whose tests passed."""
    status, shown = run(tmp_path, KEPT, *options)
    assert status == 1 and "3 passed" in shown, shown
    for find in FINDS:
        assert re.search(find, shown, re.MULTILINE), (find, shown)
