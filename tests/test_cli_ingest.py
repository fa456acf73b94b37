"""`paragon-async ingest` as a person or a script runs it, against an emulator in this process."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import pty
import signal
import sys

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from paragon_async import Paragon
from paragon_async.cli.figures import Course, rate, size, span, told
from paragon_async.cli.root import Commands, cli
from paragon_async.cli.signals import GO_ON
from paragon_async.cli.watch import Watch
from paragon_async.emulator import Emulator
from paragon_async.emulator.auth import new_signing_key
from paragon_async.ingest import FolderSink, Ingest, LinesSink, Progress, Report, State

COMMAND = [sys.executable, "-m", "paragon_async", "ingest"]


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


@pytest.fixture
def call(emulator):
    """Run the command in a thread, for the emulator answers from this loop."""

    async def call(*arguments, **environ):
        runner = CliRunner(env=emulator.environ | environ)
        given = ["ingest", *map(str, arguments)]
        return await asyncio.to_thread(runner.invoke, cli, given)

    return call


@pytest.fixture
def run(call, sync_id, mirror):
    async def run(*arguments, **environ):
        return await call(sync_id, "--user", "user-1", "--to", mirror, *arguments, **environ)

    return run


@pytest.fixture
def spawn(emulator):
    """Start the command as a process of its own; at the end none is left."""
    started = []

    async def spawn(*arguments, **options):
        environ = os.environ | emulator.environ
        streams = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE} | options
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *map(str, arguments), env=environ, **streams
        )
        started.append(process)
        return process

    yield spawn
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def contents(mirror):
    """The contents by name: all names in the sources are different."""
    return {p.name: p.read_bytes() for p in (mirror / "files").rglob("*") if p.is_file()}


def sources(folder):
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fetched(emulator):
    return sum(one.path.endswith("/content") for one in emulator.requests)


async def until(is_so):
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110  # it happens in another process
            await asyncio.sleep(0.005)


async def test_run(run, sync_id, mirror, folder, emulator):
    """A sync is mirrored; the next run moves nothing, and one after a change only the change."""
    first = await run()
    assert (first.exit_code, first.stderr) == (0, "")
    assert first.stdout.count("\n") == 1
    told = json.loads(first.stdout)
    assert told.keys() == {
        "sync", "records", "created", "updated", "deleted", "unchanged", "files", "bytes",
        "dead_letters", "seconds", "cursor", "status",
    }  # fmt: skip
    assert told["status"] == "IDLE"
    assert (told["sync"], told["records"], told["files"], told["dead_letters"]) == (sync_id, 7, 4, 0)  # fmt: skip
    assert contents(mirror) == sources(folder)
    again = json.loads((await run("--quiet")).stdout)
    assert (again["records"], again["files"], fetched(emulator)) == (0, 0, 4)
    (folder / "hello.txt").write_text("changed")
    (folder / "zero.bin").unlink()
    await emulator.refresh()
    changed = json.loads((await run("--durability", "batch", "--concurrency", "2")).stdout)
    assert (changed["records"], changed["files"], changed["deleted"]) == (2, 1, 1)
    assert fetched(emulator) == 5
    assert contents(mirror) == sources(folder)


async def test_no_content(run, call, mirror, folder):
    """Records alone stay alone, until contents are asked for."""
    assert json.loads((await run("--no-content")).stdout)["files"] == 0
    assert json.loads((await call("reconcile", mirror)).stdout)["files"] == 0
    assert contents(mirror) == {}
    brought = await call("reconcile", mirror, "--content")
    assert (brought.exit_code, json.loads(brought.stdout)["files"]) == (0, 4)
    assert contents(mirror) == sources(folder)


async def test_parquet(run, call, mirror, folder, emulator):
    """A mirror keeps the format of its rows; another one is refused."""
    assert (await run("--parquet")).exit_code == 0
    (folder / "new.txt").write_text("new")
    await emulator.refresh()
    assert (await run()).exit_code == 0
    names = [p.suffix for p in (mirror / "records").iterdir() if not p.name.startswith(".")]
    assert set(names) == {".parquet"}
    verified = await call("verify", mirror)
    assert (verified.exit_code, json.loads(verified.stdout)["contents"]) == (0, 5)
    assert json.loads((await call("status", mirror)).stdout)["format"] == "parquet"


async def test_parquet_on_lines(run, mirror):
    """Rows that are JSON lines already do not become Parquet."""
    await run()
    refused = await run("--parquet")
    assert refused.exit_code == 2
    assert "keeps its rows as JSON lines: --parquet needs a new folder" in refused.stderr
    assert not list((mirror / "records").glob("*.parquet"))


async def test_verify(run, call, mirror, folder):
    """What is gone or altered is found without credentials, and fetched again with them."""
    await run()
    nobody = dict.fromkeys(["PARAGON_SIGNING_KEY", "PARAGON_PROJECT_ID", "PARAGON_USER_TOKEN"])
    good = await call("verify", mirror, "--offline", **nobody)
    assert (good.exit_code, good.stderr, json.loads(good.stdout)["is_good"]) == (0, "", True)
    (kept,) = (mirror / "files").rglob("hello.txt")
    kept.write_text("HELLO")
    bad = await call("verify", mirror, "--offline", **nobody)
    assert bad.exit_code == 1
    assert list(json.loads(bad.stdout)["damaged"].values()) == [kept.relative_to(mirror).as_posix()]
    assert bad.stderr == f"gone or altered: {kept.relative_to(mirror).as_posix()}\n"
    assert kept.read_text() == "HELLO"
    assert (await call("verify", mirror, **nobody)).exit_code == 2
    mended = await call("verify", mirror)
    assert (mended.exit_code, json.loads(mended.stdout)["restored"]) == (0, 1)
    assert mended.stderr == f"mended: {kept.relative_to(mirror).as_posix()}\n"
    assert contents(mirror) == sources(folder)


async def test_verify_mends_what_it_can(run, call, mirror, emulator):
    """What was mended is told from what still is gone, and so for files of rows."""
    await run()
    (rows,) = (mirror / "records").glob("*.jsonl")
    rows.write_bytes(rows.read_bytes()[:100])
    (hello,) = (mirror / "files").rglob("hello.txt")
    (zero,) = (mirror / "files").rglob("zero.bin")
    hello.unlink()
    zero.unlink()
    emulator.fault(path=f"*/{hello.parent.name}/content", status=404, times=None)
    done = await call("verify", mirror, "-q")
    told = json.loads(done.stdout)
    assert (done.exit_code, len(told["damaged"]), told["restored"]) == (1, 2, 1)
    assert (told["places_mended"], told["is_good"]) == (1, False)
    first, *others = [one for one in done.stderr.splitlines() if "dead letter" not in one][:3]
    assert first == f"gone or altered: {hello.relative_to(mirror).as_posix()}"
    assert others == [f"mended: {zero.relative_to(mirror).as_posix()}", f"mended: {rows.name}"]
    emulator.faults.clear()
    assert (await call("retry", mirror)).exit_code == 0
    good = await call("verify", mirror)
    assert (good.exit_code, good.stderr) == (0, "")


async def test_dead_letters(run, call, mirror, folder, emulator):
    """Dead letters are listed and counted in the exit status, until a retry brings them."""
    (folder / "bad\x1b[31m.txt").write_text("odd")
    await emulator.refresh()
    emulator.fault(path="*/content", status=403, times=None)
    first = await run()
    assert first.exit_code == 1
    assert json.loads(first.stdout)["dead_letters"] == 5
    listed = [line for line in first.stderr.splitlines() if line.startswith("dead letter: ")]
    assert len(listed) == 5
    assert any(line.startswith("dead letter: hello.txt (403): 403 from GET") for line in listed)
    assert "\x1b" not in first.stderr
    assert first.stderr.endswith(f"try them again: paragon-async ingest retry {mirror}\n")
    looked = await call("status", mirror)
    assert (looked.exit_code, json.loads(looked.stdout)["dead"]) == (1, {"403": 5})
    assert (await call("retry", mirror)).exit_code == 1
    assert (await call("verify", mirror, "--offline")).exit_code == 1
    emulator.faults.clear()
    retried = await call("retry", mirror)
    assert (retried.exit_code, json.loads(retried.stdout)["files"]) == (0, 5)
    assert (await call("status", mirror, "-q")).exit_code == 0
    assert len(contents(mirror)) == 5


async def test_many_dead_letters(run, folder, emulator):
    """Ten are listed, the others counted."""
    for number in range(8):
        (folder / f"{number}.txt").write_text("x")
    await emulator.refresh()
    emulator.fault(path="*/content", status=404, times=None)
    done = await run()
    assert done.stderr.count("dead letter: ") == 10
    assert "and 2 more\n" in done.stderr


@pytest.mark.parametrize("command", ["status", "verify", "retry", "reconcile"])
async def test_no_mirror(call, tmp_path, command):
    """A folder that is no mirror is named, and stays as it is."""
    (tmp_path / "bare").mkdir()
    for place in (tmp_path / "bare", tmp_path / "absent"):
        done = await call(command, place)
        assert done.exit_code == 2
        assert done.stderr == f"paragon-async: there is no mirror in {place}\n"
    assert list((tmp_path / "bare").iterdir()) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["s", "--user", "u"], "Missing option '--to'"),
        ([], "Missing argument 'SYNC'"),
        (["s", "--to", "d"], "Name the user: --user USER"),
        (["s", "--user", "u", "--to", "d", "--max-delete", "0.5"], "say it like 50%"),
        (["s", "--user", "u", "--to", "d", "--max-delete", "101%"], "say it like 50%"),
        (["s", "--user", "u", "--to", "d", "--max-delete", "half"], "say it like 50%"),
        (["s", "--user", "u", "--to", "d", "--concurrency", "0"], "--concurrency"),
        (["s", "--user", "u", "--to", "d", "--durability", "none"], "--durability"),
        (["s", "--user", "u", "--to", "d", "--every", "5"], "--every is the pause of --follow"),
        (["s", "--user", "u", "--to", "d", "--follow", "--every", "0"], "--every"),
        (["status"], "Missing argument 'DIR'"),
        (["s", "--user", "u", "--to", ""], "--to': it is empty"),
        (["s", "--user", "", "--to", "d"], "--user': it is empty"),
        (["", "--user", "u", "--to", "d"], "SYNC': it is empty"),
        (["status", ""], "DIR': it is empty"),
        (["verify", "", "--offline"], "DIR': it is empty"),
        (["retry", ""], "DIR': it is empty"),
        (["reconcile", ""], "DIR': it is empty"),
    ],
)
async def test_wrong_calls(call, tmp_path, monkeypatch, given, sentence):
    """A call that cannot be meant says why, with status 2, before anything is made."""
    monkeypatch.chdir(tmp_path)
    done = await call(*given)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert not (tmp_path / "d").exists()


async def test_credentials(run, call, mirror):
    """Missing credentials, or those of another project, are a wrong call."""
    absent = await run(PARAGON_SIGNING_KEY=None, PARAGON_PROJECT_ID=None, PARAGON_USER_TOKEN=None)
    assert absent.exit_code == 2
    assert "no credentials" in absent.stderr
    await run()
    for other in (
        await call("retry", mirror, PARAGON_PROJECT_ID="another-project"),
        await run(PARAGON_PROJECT_ID="another-project"),
    ):
        assert other.exit_code == 2
        assert "the credentials are of another-project" in other.stderr


async def test_another_user(call, run, sync_id, mirror):
    """The mirror of one user's sync is not taken for another's; a mistyped user is not kept."""
    mistyped = await call(sync_id, "--user", "usr-1", "--to", mirror)
    assert (mistyped.exit_code, "404" in mistyped.stderr) == (3, True)
    assert (await run()).exit_code == 0
    other = await call(sync_id, "--user", "user-2", "--to", mirror)
    assert other.exit_code == 2
    assert f"is of sync {sync_id} of user user-1, not of user-2" in other.stderr


async def test_another_sync(call, run, user, mirror):
    """A folder that holds another sync is taken, which is no matter of how it was called."""
    other = await user.syncs.enable("googledrive", "files", configuration_name="other")
    await run()
    done = await call(other.id, "--user", "user-1", "--to", mirror)
    assert (done.exit_code, "already holds" in done.stderr) == (3, True)


async def test_a_mirror_of_nothing(call, mirror):
    """A state that knows no sync is no mirror to look at or to verify."""
    async with State(mirror):
        pass
    for command in ("status", "verify", "retry", "reconcile"):
        done = await call(command, mirror)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr == f"paragon-async: no sync is mirrored in {str(mirror)!r}\n"


async def test_chosen_contents(call, user, sync_id, mirror, folder, emulator):
    """Where a program chooses the contents, the command does not guess which; it may be told."""

    def small(record):
        return record.data.get("size", 0) < 10

    await Ingest(user, sync_id, FolderSink(mirror), mirror, contents=small).run()
    chosen = contents(mirror).keys()
    assert chosen < sources(folder).keys()
    for command in ("verify", "retry", "reconcile"):
        done = await call(command, mirror)
        assert done.exit_code == 2
        assert "say --content for all, --no-content for none" in done.stderr
    assert (await call("verify", mirror, "--offline")).exit_code == 0
    assert contents(mirror).keys() == chosen
    assert (await call("reconcile", mirror, "--content")).exit_code == 0
    assert contents(mirror) == sources(folder)


async def test_a_sync_that_still_works(folder, signing_key, mirror):
    """A first sync that is not through is mirrored as far as it is, and that more will come is said."""
    async with Emulator(folder, signing_key=signing_key, pace="manual") as emulator:
        async with Paragon(
            project_id=emulator.project_id, signing_key=signing_key, base_url=emulator.url
        ) as paragon:
            sync = await paragon.user("u").syncs.enable("googledrive", "files")
        given = ["ingest", sync.id, "--user", "u", "--to", str(mirror)]
        runner = CliRunner(env=emulator.environ)
        done = await asyncio.to_thread(runner.invoke, cli, given)
        assert (done.exit_code, json.loads(done.stdout)["status"]) == (0, "INITIALIZING")
        assert done.stderr == (
            "the sync is still INITIALIZING: more will come; run again later or use --follow\n"
        )
        quiet = await asyncio.to_thread(runner.invoke, cli, [*given, "-q"])
        assert (quiet.exit_code, quiet.stderr) == (0, "")


async def test_stopped_by_an_error(run, call, tmp_path):
    """A refused token, a sync that is not there: one sentence, a hint, status 3, no traceback."""
    refused = await run(PARAGON_SIGNING_KEY=new_signing_key())
    assert refused.exit_code == 3
    assert (refused.stdout, refused.stderr.count("\n")) == ("", 2)
    assert "\nhint: `paragon-async doctor` tells what is wrong" in refused.stderr
    assert "401" in refused.stderr
    unknown = "00000000-0000-4000-8000-000000000000"
    absent = await call(unknown, "--user", "u", "--to", tmp_path / "unknown")
    assert absent.exit_code == 3
    assert "404" in absent.stderr


async def test_fuse(run, call, mirror, folder, emulator):
    """More deletes than the share allows stop the run; a larger share lets them through."""
    await run()
    (folder / "hello.txt").unlink()
    (folder / "zero.bin").unlink()
    await emulator.refresh()
    stopped = await run("--max-delete", "10 %")
    assert stopped.exit_code == 3
    assert "2 of 7 records" in stopped.stderr
    assert len(contents(mirror)) == 4
    looked = await call("status", mirror)
    assert (looked.exit_code, json.loads(looked.stdout)["doomed"]) == (1, 2)
    assert json.loads((await run("--max-delete", "100%")).stdout)["deleted"] == 2
    assert contents(mirror) == sources(folder)


async def test_held_state(run, call, mirror):
    """Whoever comes second is told who is at work; status works all the same."""
    await run()
    async with State(mirror):
        held = await run()
        looked = json.loads((await call("status", mirror)).stdout)
    assert held.exit_code == 3
    assert f"process {os.getpid()} on" in held.stderr
    assert looked["held_by"].startswith(f"process {os.getpid()} on")
    assert json.loads((await call("status", mirror)).stdout)["held_by"] is None


async def test_destinations_that_refuse(call, sync_id, tmp_path):
    """A file in the way, or files of somebody else's, stop it with a sentence that names them."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "other" / "files").mkdir(parents=True)
    (tmp_path / "other" / "files" / "mine").write_text("x")
    for place, sentence in (("file", "cannot use"), ("file/in", "cannot use"), ("other", "empty")):  # fmt: skip
        done = await call(sync_id, "--user", "user-1", "--to", tmp_path / place)
        assert (done.exit_code, done.stderr.count("\n")) == (3, 1), done.stderr
        assert sentence in done.stderr
    assert (tmp_path / "other" / "files" / "mine").read_text() == "x"


async def test_damaged_state(run, call, mirror):
    """A state that is damaged stops every command and is left as it is."""
    await run()
    state = mirror / ".paragon" / "state.db"
    state.write_bytes(state.read_bytes()[:5000])
    before = state.read_bytes()
    for done in (await run(), await call("status", mirror), await call("verify", mirror)):
        assert (done.exit_code, done.stderr.count("\n")) == (3, 1), done.stderr
        assert "restore it, or move the whole mirror aside and ingest again" in done.stderr
    assert state.read_bytes() == before


async def test_several_syncs(call, user, sync_id, mirror):
    """A mirror of several syncs is looked at and verified sync by sync, each where it lies."""
    other = await user.syncs.enable("googledrive", "files", configuration_name="other")
    await user.syncs.wait_until_idle(other.id, timeout=10)
    for name, one in (("a", sync_id), ("b", other.id)):
        await Ingest(user, one, FolderSink(mirror / name), mirror).run()
    found = [json.loads(line) for line in (await call("status", mirror)).stdout.splitlines()]
    assert [(one["sync"], one["sink"]) for one in found] == [(sync_id, "folder:a"), (other.id, "folder:b")]  # fmt: skip
    (kept,) = (mirror / "b").rglob("hello.txt")
    kept.unlink()
    done = await call("verify", mirror)
    assert (done.exit_code, done.stdout.count("\n")) == (0, 2)
    assert kept.read_text() == "hello"
    assert (await call("reconcile", mirror)).exit_code == 0


async def test_other_destinations(call, user, sync_id, mirror):
    """A mirror that goes elsewhere than to a folder is for a program, and the command says so."""
    await Ingest(user, sync_id, LinesSink(mirror / "log"), mirror).run()
    assert (await call("status", mirror)).exit_code == 0
    done = await call("verify", mirror)
    assert done.exit_code == 2
    assert "use `Ingest` in a program" in done.stderr


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_interrupted(spawn, run, sync_id, mirror, folder, emulator, number, status):
    """A signal in the middle: the run says that it is saved, and the same command goes on."""
    for one in range(40):
        (folder / f"{one}.txt").write_text(str(one))
    await emulator.refresh()
    # Some come, the others would take for ever.
    emulator.fault(path="*/content", delay=60, skip=20, times=None)
    process = await spawn(sync_id, "--user", "user-1", "--to", mirror, "-q")
    await until(lambda: len(contents(mirror)) == 20)
    process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, out, err.decode()) == (status, b"", f"paragon-async: {GO_ON}\n")
    assert not list((mirror / ".paragon" / "tmp").iterdir())
    assert len(contents(mirror)) == 20
    emulator.faults.clear()
    done = await run()
    assert (done.exit_code, contents(mirror)) == (0, sources(folder))
    assert json.loads(done.stdout)["files"] >= 24
    whole = [c for c in emulator.requests if c.path.endswith("/content") and c.fault is None]
    assert 44 <= len(whole) <= 45  # an empty file cannot be recognised, when it was the last one


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal(number):
    """Work that does not let go is ended by the second signal, at once."""
    program = (
        "import asyncio, time\n"
        "from paragon_async.cli.outcome import perform\n"
        "async def work():\n"
        "    print('ready', flush=True)\n"
        "    try:\n"
        "        await asyncio.sleep(60)\n"
        "    finally:\n"
        "        print('held', flush=True)\n"
        "        time.sleep(60)\n"
        "perform(work())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    assert await process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert await process.stdout.readline() == b"held\n"
    process.send_signal(number)
    assert await asyncio.wait_for(process.wait(), 10) == 128 + number


async def test_follow(spawn, sync_id, mirror, folder, emulator):
    """It runs again and again, says what changed, and nothing while nothing does."""
    given = (sync_id, "--user", "user-1", "--to", mirror, "-q", "--follow", "--every", "0.1")
    process = await spawn(*given)
    assert json.loads(await process.stdout.readline())["files"] == 4
    pulls = len(emulator.requests)
    await until(lambda: len(emulator.requests) > pulls + 2)
    (folder / "new.txt").write_text("new")
    emulator.fault(path="*/content", status=403)
    (folder / "more.txt").write_text("more")
    await emulator.refresh()
    told = json.loads(await process.stdout.readline())
    assert (told["records"], told["created"], told["files"], told["dead_letters"]) == (2, 2, 1, 1)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, out) == (130, b"")
    assert err.decode().splitlines() == [
        f"1 dead letters; try them again: paragon-async ingest retry {mirror}",
        f"paragon-async: {GO_ON}",
    ]


async def test_a_sync_that_failed(run, sync_id, mirror, folder, emulator):
    """What a failed sync has is mirrored, and then the command is stopped by its error."""
    emulator.world.life.enter(sync_id, "ERRORED", reason="the token was revoked")
    done = await run()
    assert (done.exit_code, done.stdout) == (3, "")
    assert f"sync {sync_id} is ERRORED" in done.stderr
    assert contents(mirror) == sources(folder)


async def test_follow_through_trouble(spawn, sync_id, mirror, emulator):
    """A service in trouble is said in one line each time, and tried again."""
    emulator.fault(path="/api/*", status=503, times=None, retry_after=300)
    given = (sync_id, "--user", "user-1", "--to", mirror, "-q", "--follow", "--every", "0.1")
    process = await spawn(*given)
    line = (await process.stderr.readline()).decode()
    assert "503" in line
    assert line.endswith("; trying again in 1 s\n")
    emulator.faults.clear()
    assert json.loads(await process.stdout.readline())["files"] == 4
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 130


async def on_a_terminal(spawn, *arguments):
    """Return what a terminal was sent, and the exit status."""
    terminal, end = pty.openpty()
    process = await spawn(*arguments, stdout=end, stderr=end)
    os.close(end)

    def read():
        shown = b""
        # That is how a terminal on Linux ends.
        with contextlib.suppress(OSError):
            while piece := os.read(terminal, 65536):
                shown += piece
        return shown.decode()

    shown = await asyncio.to_thread(read)
    os.close(terminal)
    return shown, await process.wait()


async def test_on_a_terminal(spawn, sync_id, mirror, emulator, monkeypatch):
    """On a terminal there is a bar, then a table; and every command has its own."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    emulator.fault(path="*/content", status=404)
    shown, status = await on_a_terminal(spawn, sync_id, "--user", "user-1", "--to", mirror)
    assert status == 1
    assert "\x1b[?25l" in shown  # the bar hides the cursor
    assert "\x1b[?25h" in shown
    assert f"{sync_id}, IDLE" in shown
    for name in ("records", "created", "updated", "deleted", "unchanged", "files", "bytes", "dead letters", "seconds", "rate"):  # fmt: skip
        assert f"\n{name} " in shown
    shown, status = await on_a_terminal(spawn, "status", mirror)
    assert status == 1
    assert "1 404" in shown
    assert "s ago: run, done, 7 records, 3 files" in shown
    assert "nobody works on it" in shown
    shown, status = await on_a_terminal(spawn, "retry", mirror, "-q")
    assert status == 0
    assert "\x1b[?25l" not in shown
    shown, status = await on_a_terminal(spawn, "verify", mirror)
    assert (status, "files of rows mended" in shown) == (0, True)


async def test_help(call):
    """Help shows the options of an ingest and the commands, however it is asked for."""
    asked = await call("--help")
    assert asked.exit_code == 0
    assert (await call("some-sync", "--to", "x", "-h")).stdout == asked.stdout
    for name in (
        "--user", "--to", "--no-content", "--concurrency", "--parquet", "--follow", "--every",
        "--durability", "--max-delete", "--quiet", "status", "verify", "retry", "reconcile",
        "paragon-async ingest verify mirror --offline",
    ):  # fmt: skip
        assert name in asked.stdout
    for status in ("0", "1", "2", "3", "130"):
        assert f"\n  {status:3}  " in asked.stdout
    shown = (await call("verify", "--help")).stdout
    assert "Ask the service nothing and mend nothing." in shown


def test_an_interrupt_before_it_begins():
    """Ctrl-C while a command is being imported is an interrupt like any other."""

    def interrupted():
        raise KeyboardInterrupt

    group = Commands("x", invoke_without_command=True, callback=click.pass_context(lambda _: interrupted()))  # fmt: skip
    done = CliRunner().invoke(group, [])
    assert (done.exit_code, done.stderr) == (130, "paragon-async: interrupted\n")


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_540_000, "1.5 MB"), (2 * 10**9, "2.0 GB"), (10**18, "1000.0 PB")],
)  # fmt: skip
def test_sizes(count, shown):
    """Sizes have the unit that keeps them short."""
    assert size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-1, "0 s"), (59, "59 s"), (120, "2 min"), (3 * 3600, "3 h"), (30 * 3600, "30 h"), (5 * 86_400, "5 days")],
)  # fmt: skip
def test_spans(seconds, shown):
    """Lengths of time have their largest unit."""
    assert span(seconds) == shown


def at(records, seconds, cursor, **others):
    files, created = others.pop("files", 0), others.pop("created", 0)
    report = Report(
        records=records, files=files, bytes=files * 1000, seconds=seconds, cursor=cursor,
        created=created,
    )  # fmt: skip
    return Progress(report=report, **others)


def test_time_left():
    """A first run is bounded by all there is, a later one by what is still to come."""
    course = Course()
    now = at(800, 1.0, None, files=100, remaining=200, total=1000)
    course.note(now)
    assert (course.done, course.whole, course.seconds_left) == (100, 1000, 9.0)
    assert told(now, course) == ("800 of 1,000 records, 100 files, 100.0 kB, 100.0 kB/s, 9 s left")
    later = Course()
    later.note(at(0, 1.0, "c", remaining=0, total=1000))
    assert (later.whole, later.seconds_left) == (None, None)
    later.note(at(20, 2.0, "c", remaining=30, total=1000, created=20))
    assert (later.whole, later.seconds_left) == (50, 3.0)
    silent = Course()
    silent.note(at(20, 2.0, None))
    assert told(at(20, 2.0, None), silent) == "20 records, 10 records/s"
    assert rate(5, 0) == 0


def test_records_come_before_their_contents():
    """That all records have come is not yet the end: their contents bound the time."""
    course = Course()
    course.note(at(800, 1.0, None, in_flight=16, remaining=0, total=800))
    assert (course.done, course.whole, course.seconds_left) == (0, 800, None)
    course.note(at(800, 2.0, None, files=200, remaining=0, total=800))
    assert (course.done, course.seconds_left) == (200, 6.0)
    # Folders and what is unchanged have no content to wait for.
    course.note(at(800, 4.0, None, files=300, created=800, remaining=0, total=800))
    assert (course.done, course.seconds_left) == (800, 0.0)


def test_lines_where_there_is_no_terminal():
    """Elsewhere a line comes now and then, not each time; and none when nothing has come."""
    shown = io.StringIO()
    for every, lines in ((1000.0, 0), (0.0, 2)):
        with Watch(Console(file=shown), every=every) as watch:
            watch.tell(at(0, 0.1, "c"))
            watch.tell(at(20, 2.0, "c"))
            watch.tell(at(40, 4.0, "c", files=1))
        assert shown.getvalue().count("\n") == lines
    assert "\x1b" not in shown.getvalue()


async def test_a_command_that_is_nearly_one(call, mirror):
    """A near miss of a command is told as one, not taken for a sync that lacks its folder."""
    done = await call("statsu", mirror)
    assert done.exit_code == 2
    assert "did you mean `paragon-async ingest status`?" in done.stderr
    assert "Missing option '--to'" in (await call("sync-1", "--user", "user-1")).stderr


async def test_its_commands_are_completed():
    """A shell that completes the word after `ingest` is offered its commands."""
    asks = {"_PARAGON_ASYNC_COMPLETE": "bash_complete", "COMP_WORDS": "paragon-async ingest st", "COMP_CWORD": "2"}  # fmt: skip
    runner = CliRunner(env=asks)
    done = await asyncio.to_thread(
        runner.invoke, cli, [], prog_name="paragon-async", complete_var="_PARAGON_ASYNC_COMPLETE"
    )
    assert done.stdout == "plain,status\n"
