"""The emulator's commands as a shell runs them: options, `exec`, and `webhooks trigger`."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
import urllib.request

import pytest

COMMAND = [sys.executable, "-m", "paragon_async"]
ASK = (
    "import asyncio, sys, paragon_async\n"
    "async def main():\n"
    "    async with paragon_async.Paragon() as p:\n"
    "        u = p.user('u2')\n"
    "        s = await u.syncs.enable(*sys.argv[1:3])\n"
    "        await u.syncs.wait_until_idle(s.id)\n"
    "        for r in [r async for r in u.records.pull(s.id)]:\n"
    "            print(r.data.get('name') or r.data.get('firstName'))\n"
    "asyncio.run(main())"
)


def run(*arguments, **options):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, **options)  # fmt: skip


def exec_(*arguments):
    return run("emulator", "exec", *arguments)


def test_exec_passes_on_environment_and_status(folder):
    """A command finds the emulator through its environment, and its status is that of `exec`."""
    done = exec_(folder, "--", sys.executable, "-c", ASK, "googledrive", "files")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 7
    assert exec_("--", sys.executable, "-c", "raise SystemExit(7)").returncode == 7
    assert exec_("--", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)").returncode == 137


def test_options_reach_the_emulator(folder, tmp_path):
    """A user's own folder, records from a file and generated ones are what its syncs show."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.txt").write_text("m")
    (tmp_path / "people.jsonl").write_text('{"externalId": "1", "firstName": "Ada"}\n')
    options = ["--mount", f"u2={tmp_path / 'own'}", "--records", f"contacts={tmp_path / 'people.jsonl'}", "--generate", "deals:20"]  # fmt: skip
    ask = [sys.executable, "-c", ASK]
    done = exec_(folder, *options, "--", *ask, "googledrive", "files")
    assert done.stdout.split() == ["mine.txt"]
    assert exec_(*options, "--", *ask, "hubspot", "contacts").stdout.split() == ["Ada"]
    assert len(exec_(*options, "--", *ask, "hubspot", "deals").stdout.splitlines()) == 20


BAD = [
    ([], "emulator exec [FOLDER] -- COMMAND"), (["--", "no-such-program"], "cannot run no-such-program"),
    (["--mount", "u1", "--", "true"], "--mount USER=FOLDER"), (["--mount", "u1=/absent", "--", "true"], "there is no folder /absent"),
    (["--records", "contacts=absent", "--", "true"], "absent"), (["--records", "cars=absent", "--", "true"], "pipeline"),
    (["--generate", "cars:5", "--", "true"], "cars"), (["--pace", "soon", "--", "true"], "polls:N"),
    (["--rate", "20", "--", "true"], "20/s"), (["--webhook", "ftp://x", "--", "true"], "webhook"),
    (["--state", "/absent/x", "--", "true"], "cannot open the state file"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "sentence"), BAD)
def test_options_that_cannot_be(arguments, sentence):
    """Each mistake is one sentence that names the mend, and no traceback."""
    done = exec_(*arguments)
    assert done.returncode in {2, 127}
    assert sentence in done.stderr
    assert (done.stderr.count("\n"), "Traceback" in done.stderr) == (1, False)


@contextlib.contextmanager
def serving(*arguments, cwd):
    ready = cwd / "ready"
    process = subprocess.Popen(
        [*COMMAND, "emulator", *map(str, arguments), "--port", "0", "--ready-file", str(ready)],
        stdout=subprocess.DEVNULL,
    )
    try:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.01)
        assert stat.S_IMODE(ready.stat().st_mode) == 0o600
        yield dict(shlex.split(line)[1].split("=", 1) for line in ready.read_text().splitlines())
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_trigger(folder, tmp_path, unused_tcp_port):
    """`webhooks trigger` queues an event at a running emulator, and says what is missing if it cannot."""
    hook = f"http://127.0.0.1:{unused_tcp_port}/hook"
    with serving(folder, "--webhook", hook, cwd=tmp_path) as exported:
        base = exported["PARAGON_BASE_URL"]
        records = {"pipeline": "contacts", "records": [{"externalId": "c1"}]}
        request = urllib.request.Request(f"{base}/_emulator/records", json.dumps(records).encode())
        urllib.request.urlopen(request).close()
        subprocess.run([sys.executable, "-c", ASK, "hubspot", "contacts"], env=os.environ | exported, check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        with urllib.request.urlopen(f"{base}/_emulator/syncs") as answer:
            (sync,) = json.load(answer)["data"]
        with urllib.request.urlopen(f"{base}/_emulator/records?sync={sync['id']}") as answer:
            (record,) = json.load(answer)["data"]
        done = run("webhooks", "trigger", "record_updated", "--record", record["id"], "--url", base)
        assert (done.returncode, done.stderr) == (0, "")
        with urllib.request.urlopen(f"{base}/_emulator/deliveries") as answer:
            assert "record_updated" in answer.read().decode()
        done = run("webhooks", "trigger", "record_updated", "--record", "none", "--url", base)
        assert (done.returncode, done.stderr.count("\n")) != (0, 0)
    done = run("webhooks", "trigger", "sync_complete", "--url", base)
    assert done.returncode in {2, 3}
    assert (done.stderr.count("\n"), "Traceback" in done.stderr) == (1, False)
