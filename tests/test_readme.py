"""README's examples, run as they stand, against the emulator."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from paragon_async.cli.exits import MEANING
from paragon_async.cli.root import cli
from paragon_async.ingest import FolderSink, Ingest
from tests.emulator.asker import token
from tests.ingest.fakes import contents, source

README = (Path(__file__).parent.parent / "README.md").read_text()
EXAMPLES = {
    title.strip(): code
    for title, code in re.findall(
        r"^##+ ([^\n]+)\n(?:(?!^##).)*?```python\n(.*?)```", README, re.DOTALL | re.MULTILINE
    )
}


@pytest.fixture
async def environment(emulator, monkeypatch, tmp_path):
    for name, value in emulator.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


def loaded(title):
    names: dict[str, object] = {}
    exec(compile(EXAMPLES[title], title, "exec"), names)
    return names


async def test_the_emulators_curl_lines(emulator, tmp_path):
    """Every line of curl is answered with JSON, and none with a refusal."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not on this machine")
    code = re.search(r"```bash\n(# is it there\n.*?)```", README, re.DOTALL)[1]
    commands = re.findall(r"^curl (.*(?:\n  .*)*)", code.replace("\\\n", ""), re.MULTILINE)
    assert len(commands) == code.count("curl") > 15
    for command in commands:
        shell = f"curl --fail-with-body {command}"
        child = await asyncio.create_subprocess_shell(
            shell,
            stdout=subprocess.PIPE,
            cwd=tmp_path,
            env=dict(os.environ) | {"PARAGON_BASE_URL": emulator.url},
        )
        shown, _ = await child.communicate()
        assert child.returncode == 0, (command, shown)
        json.loads(shown or (tmp_path / "state.json").read_text())


async def test_the_lines_of_the_guide(emulator, folder):
    """The vendor's own lines of curl, run as written but for the host, are answered as documented."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not on this machine")
    bearer = token(emulator.signing_key)

    async def curl(method, path, body=None):
        command = ["curl", "-s", "--request", method, "--url", f"{emulator.url}/api/{path}"]
        command += ["--header", f"Authorization: Bearer {bearer}"]
        if body is not None:
            command += ["--header", "Content-Type: application/json", "--data", f"\n{body}\n"]
        child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        return (await child.communicate())[0]

    wanted = {"integration": "googledrive", "pipeline": "files", "configuration": {}, "configurationName": "default"}  # fmt: skip
    made = json.loads(await curl("POST", "syncs", json.dumps(wanted, indent=2)))
    assert list(made) == ["id", "userId", "integration", "pipeline", "projectId", "status"]
    assert made["status"] == "INITIALIZING"
    sync = made["id"]
    await emulator.refresh()
    page = json.loads(await curl("GET", f"syncs/{sync}/records"))
    assert set(page["paging"]) == {"totalRecords", "totalActiveRecords", "remainingRecords", "cursor", "lastSeen"}  # fmt: skip
    one = next(record for record in page["data"] if record["name"] == "hello.txt")
    assert json.loads(await curl("GET", f"syncs/{sync}/records/{one['id']}")) == {"data": one}
    assert await curl("GET", f"syncs/{sync}/records/{one['id']}/content") == b"hello"
    check = {"object": one["id"], "user": "user:owner@example.com", "role": "can_read"}
    answer = json.loads(await curl("POST", f"permissions/{sync}/batch-check", json.dumps({"checks": [check]})))  # fmt: skip
    assert answer == {"result": [{"allowed": True, "request": check | {"object": f"file:{one['id']}"}}]}  # fmt: skip
    asked = json.dumps({"object": one["id"], "role": "can_read"})
    answer = json.loads(await curl("POST", f"permissions/{sync}/list-users", asked))
    assert answer == {"users": ["owner@example.com"]}
    asked = json.dumps({"objectType": "file", "user": "owner@example.com", "role": "can_read"})
    answer = json.loads(await curl("POST", f"permissions/{sync}/list-objects", asked))
    assert one["id"] in answer["objects"]


def test_the_examples_are_found():
    """Every example of the page is among those that are run here."""
    assert set(EXAMPLES) == {
        "Pull records", "Download files", "Resume", "Ask permissions", "In tests of your own",
        "Mirror a sync", "Mirrors", "Webhooks",
    }  # fmt: skip
    assert README.count("```python") == len(EXAMPLES)


async def test_pull(environment, capsys):
    """Pulling prints every file of the folder."""
    await loaded("Pull records")["main"]()
    assert len(capsys.readouterr().out.splitlines()) == 7


async def test_download(environment, sync_id, capsys, tmp_path):
    """Downloading stores and verifies every file."""
    await loaded("Download files")["main"]()
    assert capsys.readouterr().out.count("('length', 'size', 'sha256')") == 3
    assert len(list((tmp_path / "contents").iterdir())) == 4


async def test_resume(environment, sync_id, emulator, folder, capsys):
    """From the saved cursor only the change comes."""
    changes = loaded("Resume")["changes"]
    cursor = await changes(None)
    (folder / "new.txt").write_text("new")
    (folder / "hello.txt").unlink()
    await emulator.refresh()
    capsys.readouterr()
    await changes(cursor)
    shown = capsys.readouterr().out.splitlines()
    assert [line.rpartition(" ")[0] for line in shown] == ["new or changed", "gone"]


async def test_mirror(environment, sync_id, folder, capsys):
    """The example mirrors the whole drive, and DuckDB's line reads it."""
    await loaded("Mirror a sync")["main"]()
    assert capsys.readouterr().out == "7 0 0 0\n"
    assert set(contents("mirror").values()) == set(source(folder).values())
    loaded("Mirrors")
    shown = capsys.readouterr().out
    assert "hello.txt" in shown and "files/" in shown


async def test_a_mirror_in_parquet(environment, user, sync_id, capsys):
    """The same line reads a mirror whose rows are Parquet, but for the ending."""
    await Ingest(user, sync_id, FolderSink("mirror", records="parquet"), "mirror").run()
    code = EXAMPLES["Mirrors"].replace(".jsonl", ".parquet")
    exec(compile(code, "Mirrors", "exec"), {})
    shown = capsys.readouterr().out
    assert "hello.txt" in shown and "files/" in shown


async def test_the_lines_of_a_mirror(environment, sync_id, emulator):
    """The shell's two lines mirror a sync, and tell how it stands."""
    code = re.search(r"```bash\n(paragon-async ingest .*?)```", README, re.DOTALL)[1]
    scripts = Path(sys.executable).parent
    for command in code.splitlines():
        child = await asyncio.create_subprocess_shell(
            command,
            stdout=subprocess.PIPE,
            env=dict(os.environ) | {"SYNC": sync_id, "PATH": f"{scripts}:{os.environ['PATH']}"},
        )
        shown, _ = await child.communicate()
        assert child.returncode == 0
        assert json.loads(shown)["records"] == 7


async def test_permissions(environment, sync_id, emulator, capsys):
    """The answers are the grants."""
    emulator.grant("reader@example.com", "can_read", "reports")
    await loaded("Ask permissions")["main"]()
    assert capsys.readouterr().out.splitlines() == ["4 of 7", "7"]


async def test_webhooks(environment, emulator, sync_id, folder, capsys):
    """The example takes an event in, tells its handler, and the mirror follows."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = asyncio.create_task(loaded("Webhooks")["main"](sync_id, "s" * 20, port))
    body = {
        "event": "record_updated",
        "syncInstanceId": sync_id,
        "user": {"id": "user-1"},
        "data": {"recordId": "r-1", "model": "files"},
    }
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        while contents("mirror") != source(folder):  # noqa: ASYNC110  # files tell nobody
            await asyncio.sleep(0.02)
        (folder / "new.txt").write_text("new")
        await emulator.refresh()
        async with session.post(f"http://127.0.0.1:{port}/webhook/{'s' * 20}", json=body) as answer:
            assert answer.status == 200
        while contents("mirror") != source(folder):  # noqa: ASYNC110  # files tell nobody
            await asyncio.sleep(0.02)
    assert "said to be changed: r-1" in capsys.readouterr().out
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_own_tests(folder):
    """The example for users' own tests passes."""
    example = loaded("In tests of your own")["test_something"]
    assert inspect.iscoroutinefunction(example)
    assert await example(folder) is None


def test_promises_name_tests_that_are_there():
    """Each promise of the page names files, and each file is there."""
    (table,) = re.findall(r"## What is promised\n(.*?)\n## ", README, re.DOTALL)
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 15
    for row in rows:
        named = re.findall(r"`(tests/[^`]+)`", row)
        assert named, row
        assert all((Path(__file__).parent.parent / name).is_file() for name in named), row


def test_the_table_of_exit_statuses():
    """The page shows each status with the meaning that the command gives."""
    for status, meaning in MEANING.items():
        assert f"| {int(status)} | {meaning} |" in README


async def test_the_lines_of_the_command(emulator, user, sync_id, folder, tmp_path, monkeypatch):
    """Each line of the section about the command runs, and ends with 0."""
    monkeypatch.chdir(tmp_path)
    record = [r.id async for r in user.records.pull(sync_id) if r.data["name"] == "hello.txt"]
    (code,) = re.findall(r"## The command\n.*?```bash\n(.*?)```", README, re.DOTALL)
    lines = code.replace("$SYNC", sync_id).replace("$RECORD", record[0]).splitlines()
    assert len(lines) >= 7
    for line in lines:
        command, *words = shlex.split(line)
        assert command == "paragon-async"
        runner = CliRunner(env=emulator.environ)
        done = await asyncio.to_thread(runner.invoke, cli, words)
        assert done.exit_code == 0, (line, done.output)
    assert {"files.parquet", "files.cursor", "pdfs", "mirror"} <= {
        p.name for p in tmp_path.iterdir()
    }
