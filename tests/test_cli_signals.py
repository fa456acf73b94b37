"""Signals at every moment of a command: one sentence, a status, nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from paragon_async.cli.outcome import perform
from paragon_async.cli.signals import GO_ON

# Runs the command, and stands still where a module is first asked for.
AT_AN_IMPORT = """
import sys
import time
from paragon_async.cli import main

def wait():
    for _ in range(6000):
        time.sleep(0.01)

module = sys.argv.pop()

class Gate:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            print("here", flush=True)
            # A read could begin just after the signal came, and wait for ever.
            wait()

sys.meta_path.insert(0, Gate())
main()
"""
# Runs the command, and says when it heeds signals.
FROM_THE_FIRST = AT_AN_IMPORT.replace("wait()\n\nsys", "return\n\nsys")
ENDS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.fixture
def start(emulator):
    """Start a program beside a service that never answers."""
    emulator.fault(path="/api/*", delay=60, times=None)

    async def start(program, *given):
        return await asyncio.create_subprocess_exec(
            sys.executable, "-W", "always", "-c", program, *given,
            env=os.environ | emulator.environ, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    return start


async def ended(process, number):
    """Send a signal; return the status, and what was said."""
    process.send_signal(number)
    async with asyncio.timeout(20):
        _, err = await process.communicate()
    return process.returncode, err.decode()


@pytest.mark.parametrize(("number", "status"), ENDS)
@pytest.mark.parametrize(
    "module",
    ["paragon_async.cli.root", "click", "paragon_async.cli.ingest", "paragon_async.cli.mirror",
     "paragon_async.ingest", "sqlite3", "asyncio"],
)  # fmt: skip
async def test_during_an_import(start, tmp_path, module, number, status):
    """While modules are being imported the process ends at once, and says how it goes on."""
    given = ("ingest", "sync", "--user", "u", "--to", str(tmp_path / "mirror"), module)
    process = await start(AT_AN_IMPORT, *given)
    assert await process.stdout.readline() == b"here\n"
    assert await ended(process, number) == (status, f"paragon-async: {GO_ON}\n")
    assert not (tmp_path / "mirror").exists()


@pytest.mark.parametrize("delay", [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1])
async def test_in_the_first_second(start, tmp_path, delay):
    """However early it comes, in an import, between two steps or in the first call."""
    given = ("ingest", "s", "--user", "u", "--to", str(tmp_path / "mirror"))
    process = await start(FROM_THE_FIRST, *given, "paragon_async.cli.root")
    assert await process.stdout.readline() == b"here\n"
    await asyncio.sleep(delay)
    assert await ended(process, signal.SIGINT) == (130, f"paragon-async: {GO_ON}\n")


async def test_commands_that_do_not_go_on(start, tmp_path):
    """Where running the command again goes on with nothing, nothing of the kind is said."""
    for given in (("ingest", "status", str(tmp_path)), ("demo",)):
        process = await start(AT_AN_IMPORT, *given, "click")
        assert await process.stdout.readline() == b"here\n"
        assert await ended(process, signal.SIGINT) == (130, "paragon-async: interrupted\n")


def test_handlers_are_given_back():
    """After a command in somebody else's process its signals are as they were."""

    async def work():
        return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert not set(perform(work())) & set(before)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
