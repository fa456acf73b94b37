"""`ingest --follow --listen` and `webhooks listen` as processes, told by an emulator in this one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from aiohttp import web
from click.testing import CliRunner

from paragon_async.cli.address import Address
from paragon_async.cli.forward import Forward, ForwardError
from paragon_async.cli.root import cli
from paragon_async.cli.signals import GO_ON
from paragon_async.emulator.events import KINDS, PROBE
from paragon_async.emulator.remote import call
from paragon_async.webhooks import Counts, Inbox, RecordUpdated, Router, serving
from tests.webhooks.sending import OTHER, SECRET, event

COMMAND = [sys.executable, "-m", "paragon_async"]
PIPE = asyncio.subprocess.PIPE
URL = re.compile(r"at (http://127\.0\.0\.1:(\d+)/webhook)")


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirror"


@pytest.fixture
async def spawn(emulator):
    """Start a command as a process of its own; at the end none is left."""
    started = []

    async def spawn(*arguments, secret=SECRET, **streams):
        environ = os.environ | emulator.environ
        if secret is not None:
            environ["PARAGON_WEBHOOK_SECRET"] = secret
        streams = {"stdout": PIPE, "stderr": PIPE} | streams
        given = [*COMMAND, *map(str, arguments)]
        started.append(await asyncio.create_subprocess_exec(*given, env=environ, **streams))
        return started[-1]

    yield spawn
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@pytest.fixture
def invoke(emulator):
    """Run a command that ends by itself, in a thread."""

    async def invoke(*arguments, **environ):
        runner = CliRunner(env=emulator.environ | {"PARAGON_WEBHOOK_SECRET": None} | environ)
        return await asyncio.to_thread(runner.invoke, cli, list(map(str, arguments)))

    return invoke


@pytest.fixture
async def server():
    """A program of somebody's, that answers as it is set to and keeps what it was told."""

    async def take(request):
        told.append(await request.json())
        status = statuses.pop(0) if statuses else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async def elsewhere(_):
        return web.Response()

    told, statuses = [], []
    app = web.Application()
    app.router.add_post("/hook", take)
    app.router.add_get("/elsewhere", elsewhere)
    async with serving(app) as url:
        yield f"{url}/hook?key={OTHER}", told, statuses


async def line(stream):
    return (await asyncio.wait_for(stream.readline(), 30)).decode()


async def until(is_so):
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110  # it happens in another process
            await asyncio.sleep(0.01)


async def place(process):
    """Return the URL without its secret, and the port."""
    found = URL.search(await line(process.stderr))
    assert "tunnel" in await line(process.stderr)
    return found[1], int(found[2])


async def ended(process, number=signal.SIGINT):
    """Send a signal; return the status and the rest of what was said."""
    process.send_signal(number)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out.decode(), err.decode()


async def post(url, body):
    """Post one body and return the status."""

    def sent():
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    return await asyncio.to_thread(sent)


async def aimed(emulator, url):
    """Let the emulator's events go to *url*."""
    await call(emulator.url, "PUT", "/_emulator/webhook", {"url": url})


async def test_follow(spawn, sync_id, mirror, folder, emulator):
    """With an hour between looks, a saved file is mirrored because of its event, a deleted one too."""
    given = ("ingest", sync_id, "--user", "user-1", "--to", mirror)
    follow = ("--follow", "--every", 3600, "--listen")
    process = await spawn(*given, *follow, secret=None)
    first = await line(process.stderr)
    file = mirror / ".paragon" / "webhook-secret"
    url, port = URL.search(first).groups()
    assert first.endswith(f"/webhook/<secret>, with the secret in {file}\n")
    assert "tunnel" in await line(process.stderr)
    assert json.loads(await line(process.stdout))["files"] == 4
    secret = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(secret) == 32
    await aimed(emulator, f"{url}/{secret}")
    (folder / "new.txt").write_text("new")
    await emulator.refresh()
    told = json.loads(await line(process.stdout))
    assert (told["created"], told["files"]) == (1, 1)
    assert [p.read_text() for p in (mirror / "files").rglob("new.txt")] == ["new"]
    (folder / "new.txt").unlink()
    await emulator.refresh()
    assert json.loads(await line(process.stdout))["deleted"] == 1
    status, out, err = await ended(process)
    assert (status, out) == (130, "")
    assert err.endswith(f"paragon-async: {GO_ON}\n")
    assert secret not in err + first
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))
    # The next one has the same URL.
    again = await spawn(*given, *follow, port, "-q", secret=None)
    assert await line(again.stderr) == first
    assert await post(f"{url}/{secret}", event()) == 200
    assert await ended(again, signal.SIGTERM) == (143, "", f"paragon-async: {GO_ON}\n")


async def test_what_an_earlier_process_left(spawn, invoke, user, sync_id, mirror, emulator):
    """An event that was answered and not worked on is heard by the next process: it asks."""
    given = ("ingest", sync_id, "--user", "user-1", "--to", mirror)
    assert (await invoke(*given)).exit_code == 0
    record = (await anext(user.records.pull(sync_id))).id
    async with Inbox(mirror / ".paragon" / "inbox.db") as inbox:
        body = event(record, "record_deleted", sync_id, user={"id": "user-1"})
        assert await inbox.put(body)
    assert not any(record in one.path for one in emulator.requests)
    process = await spawn(*given, "--follow", "--every", 3600, "--listen")
    await place(process)
    await until(lambda: any(record in one.path for one in emulator.requests))
    assert (await ended(process))[0] == 130
    async with Inbox(mirror / ".paragon" / "inbox.db") as inbox:
        assert await inbox.counts() == Counts(0, 0, 1)


async def test_a_mirror_is_followed_once(spawn, invoke, sync_id, mirror):
    """A second one beside it is refused, by the process that has the inbox."""
    given = ("ingest", sync_id, "--user", "user-1", "--to", mirror, "--follow", "--listen")
    process = await spawn(*given)
    await place(process)
    done = await invoke(*given)
    assert (done.exit_code, done.stdout) == (3, "")
    assert f"in use by process {process.pid}" in done.stderr


async def test_a_mistyped_sync(invoke, mirror):
    """A sync that is none ends before anything is made, also with a receiver."""
    done = await invoke("ingest", "none", "--user", "u", "--to", mirror, "--follow", "--listen")
    assert (done.exit_code, done.stderr.count("\n")) == (3, 2)
    assert "404" in done.stderr
    assert not mirror.exists()


async def test_listen_prints_all_events(spawn, emulator, user, sync_id):
    """Each kind of event is one line of JSON, with the same keys and the whole body."""
    process = await spawn("webhooks", "listen")
    url, _ = await place(process)
    await aimed(emulator, f"{url}/{SECRET}")
    told = [json.loads(await line(process.stdout))]
    record = (await anext(user.records.pull(sync_id))).id
    for kind in KINDS:
        if kind != PROBE:
            asked = {"sync": sync_id} if kind.startswith("sync") else {"record": record}
            await call(emulator.url, "POST", "/_emulator/events", {"event": kind, **asked})
            told.append(json.loads(await line(process.stdout)))
    keys = ["time", "event", "integration", "sync", "record", "user", "timestamp", "raw"]
    assert [list(one) for one in told] == [keys] * len(KINDS)
    assert [one["event"] for one in told] == [PROBE, *(kind for kind in KINDS if kind != PROBE)]
    assert [one["raw"]["event"] for one in told] == [one["event"] for one in told]
    assert {(one["sync"], one["user"]) for one in told[1:]} == {(sync_id, "user-1")}
    assert [one["record"] for one in told[1:]] == [None, None] + [record] * 4
    assert await ended(process, signal.SIGTERM) == (143, "", "paragon-async: interrupted\n")


async def test_wrong_secret(spawn, tmp_path):
    """Who does not know a secret is not heard; all of a file's are valid, and none is shown."""
    (tmp_path / "secrets").write_text(f"{OTHER}\n{SECRET}\n")
    process = await spawn("webhooks", "listen", "--secret-file", tmp_path / "secrets", secret=None)
    url, _ = await place(process)
    for wrong in (url, f"{url}/wrong", f"{url}/{SECRET[::-1]}"):
        assert await post(wrong, event("forged")) == 401
    assert await post(f"{url}/{SECRET}", b"nonsense") == 400
    assert await post(f"{url}/{SECRET}", event("one")) == 200
    assert await post(f"{url}/{OTHER}", event("two")) == 200
    assert [json.loads(await line(process.stdout))["record"] for _ in range(2)] == ["one", "two"]
    assert await ended(process) == (130, "", "paragon-async: interrupted\n")


async def test_insecure(spawn):
    """Who says so is told by anybody, whatever the environment has."""
    process = await spawn("webhooks", "listen", "--insecure")
    url, _ = await place(process)
    assert await post(url, event("any")) == 200
    assert json.loads(await line(process.stdout))["record"] == "any"


async def test_on_a_terminal(spawn):
    """A person gets the whole URL once, and a line for an event, which no event can break out of."""
    terminal, end = pty.openpty()
    process = await spawn("webhooks", "listen", "--listen", "[::1]:0", secret=None, stdout=end, stderr=end)  # fmt: skip
    os.close(end)
    shown = ""

    async def comes(text):
        nonlocal shown
        async with asyncio.timeout(30):
            while text not in shown:
                with contextlib.suppress(OSError):  # that is how a terminal on Linux ends
                    shown += (await asyncio.to_thread(os.read, terminal, 65_536)).decode()

    await comes("dashboard\r\n")
    url = re.search(r"at (http://\[::1\]:\d+/webhook/([\w-]{32}))\r\n", shown)
    evil = {"id": "\x1b[2Ju\n1\u202e"}
    failed = {"message": "no\rtoken"}
    assert await post(url[1], event("r\x07", user=evil)) == 200
    await comes("u\\n1\\u202e\r\n")
    assert await post(url[1], event(kind="sync_errored", error=failed)) == 200
    await comes("no\\rtoken\r\n")
    assert re.search(
        r"\n\d\d:\d\d:\d\d  record_updated        s1  r\\x07  \\x1b\[2Ju\\n1\\u202e\r\n", shown
    )
    assert re.search(r"\n\d\d:\d\d:\d\d  sync_errored          s1  -  u1  no\\rtoken\r\n", shown)
    assert shown.count(url[2]) == 1
    process.send_signal(signal.SIGINT)
    await comes("paragon-async: interrupted\r\n")
    assert await process.wait() == 130
    os.close(terminal)


async def test_forward(spawn, server):
    """What is not answered 2xx is posted again until it is, and printed once."""
    target, told, statuses = server
    statuses += [500]
    process = await spawn("webhooks", "listen", "--forward", target)
    url, _ = await place(process)
    body = event("zürich")
    assert await post(f"{url}/{SECRET}", body) == 200
    assert re.fullmatch(
        r"an event failed and is tried again in \d\.\d s: http://127\.0\.0\.1:\d+ answered 500\n",
        await line(process.stderr),
    )
    await until(lambda: len(told) == 2)
    assert told == [json.loads(body)] * 2
    assert json.loads(await line(process.stdout))["raw"] == json.loads(body)
    status, out, err = await ended(process)
    assert (status, out) == (130, "")
    assert err.endswith("paragon-async: interrupted\n")


async def test_forward_through_a_restart(spawn, server, tmp_path, unused_tcp_port):
    """What nobody took waits in the file and is passed on by the next run; without a file it is lost."""
    target, told, _ = server
    file = tmp_path / "inbox.db"
    nobody = f"http://127.0.0.1:{unused_tcp_port}/"
    for inbox, where in ((("--inbox", file), f"wait in {file}"), ((), "are lost: --inbox FILE keeps them")):  # fmt: skip
        process = await spawn("webhooks", "listen", "--forward", nobody, *inbox)
        url, _ = await place(process)
        assert await post(f"{url}/{SECRET}", event()) == 200
        assert f"no answer from {nobody[:-1]}: Connection refused" in await line(process.stderr)
        status, _, err = await ended(process)
        assert (status, f"1 events were not passed on and {where}\n" in err) == (130, True)
    process = await spawn("webhooks", "listen", "--forward", target, "--inbox", file)
    assert json.loads(await line(process.stdout))["record"] == "r1"
    await until(lambda: told)
    assert told == [json.loads(event())]


async def test_given_up_is_tried_anew(spawn, server, tmp_path):
    """An event that an earlier run gave up is passed on by the next one."""
    target, told, _ = server
    file = tmp_path / "inbox.db"

    async def failing(event):
        raise ForwardError("no")

    router = Router()
    router.on(RecordUpdated)(failing)
    async with Inbox(file, attempts=1) as inbox:
        await inbox.put(event())
        await inbox.drain(router)
        assert (await inbox.counts()).parked == 1
    process = await spawn("webhooks", "listen", "--forward", target, "--inbox", file)
    await place(process)
    assert await line(process.stderr) == "1 events that were given up are tried again\n"
    assert json.loads(await line(process.stdout))["record"] == "r1"
    await until(lambda: told)
    assert told == [json.loads(event())]


async def test_a_redirect_is_no_success(server):
    """A redirect is not followed: it would drop the body. And nothing of the path is told."""
    target, told, statuses = server
    statuses += [302, 304]
    for status in (302, 304):
        with pytest.raises(ForwardError, match=f"^http://127.0.0.1:[0-9]+ answered {status}$"):
            await Forward(target).pass_on(RecordUpdated(record_id="r", raw={"a": 1}))
    assert told == [{"a": 1}] * 2


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200"])
async def test_what_is_no_answer(answer):
    """A connection that ends early, or holds no HTTP, is a failure like any other."""

    async def take(reader, writer):
        await reader.readuntil(b"{}")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        forward = Forward(f"http://127.0.0.1:{port}")
        if answer.startswith(b"HTTP"):
            await forward.pass_on(RecordUpdated(record_id="r"))
            return
        with pytest.raises(ForwardError, match=f"^no answer from http://127.0.0.1:{port}: "):
            await forward.pass_on(RecordUpdated(record_id="r"))


async def test_a_reader_that_is_gone(spawn):
    """When nobody reads standard output any more, the command says so and ends."""
    reading, writing = os.pipe()
    process = await spawn("webhooks", "listen", stdout=writing)
    os.close(writing)
    url, _ = await place(process)
    os.close(reading)
    assert await post(f"{url}/{SECRET}", event()) == 200
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err.decode()) == (3, "paragon-async: cannot write to standard output: Broken pipe\n")  # fmt: skip


async def test_taken_port(invoke, sync_id, mirror):
    """A port that is taken is one sentence and status 3, for both commands."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = ("--listen", taken.getsockname()[1])
        for given in (
            ("webhooks", "listen", "--insecure"),
            ("ingest", sync_id, "--user", "user-1", "--to", mirror, "--follow"),
        ):
            done = await invoke(*given, *listen)
            assert (done.exit_code, done.stdout) == (3, "")
            assert f"cannot listen on 127.0.0.1 port {listen[1]}: " in done.stderr
            assert "address already in use" in done.stderr.lower()
            assert done.stderr.count("\n") == 1


INGEST = ("ingest", "s", "--user", "u", "--to", "m")
LISTEN = ("webhooks", "listen")


@pytest.mark.parametrize(
    ("given", "environ", "sentence"),
    [
        ((*INGEST, "--listen"), {}, "--listen is for the events of --follow"),
        ((*INGEST, "--follow", "--secret-file", "x"), {}, "--secret-file is for the webhook of --listen"),
        ((*LISTEN, "--insecure", "--secret-file", "x"), {}, "leave --secret-file out"),
        ((*LISTEN, "--listen", "http://here"), {}, "no place to listen"),
        ((*LISTEN, "--listen", "::1"), {}, "[::1]:8080"),
        ((*LISTEN, "--listen", "h:65536"), {}, "no place to listen"),
        ((*LISTEN, "--listen", ""), {}, "no place to listen"),
        ((*LISTEN, "--forward", "ftp://here/x"), {}, "http or https"),
        ((*LISTEN, "--forward", "file:///etc/passwd"), {}, "http or https"),
        ((*LISTEN, "--forward", "http://me:pass@here/"), {}, "without user and password"),
        ((*LISTEN, "--forward", "http://here:port/"), {}, "http or https"),
        ((*LISTEN, "--forward", "http://here/\r\n"), {}, "http or https"),
        ((*LISTEN, "--inbox", ""), {}, "it is empty"),
        (LISTEN, {}, "no terminal would show a secret"),
        (LISTEN, {"PARAGON_WEBHOOK_SECRET": " "}, "no secret in PARAGON_WEBHOOK_SECRET"),
        (LISTEN, {"PARAGON_WEBHOOK_SECRET": "canary"}, "webhook secret 1 is shorter than 16"),
        (LISTEN, {"PARAGON_WEBHOOK_SECRET": f"{SECRET}/x"}, "cannot hold a slash"),
        ((*LISTEN, "--secret-file", "absent"), {}, "there is no secret file 'absent'"),
    ],
)  # fmt: skip
async def test_wrong_calls(invoke, given, environ, sentence):
    """What cannot be is status 2 and says what to do, and no secret or password is repeated."""
    done = await invoke(*given, **environ)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in " ".join(done.stderr.split())
    assert not re.search(r"canary|pass@", done.stderr)


async def test_secret_files_that_cannot_be(invoke, tmp_path):
    """A secret file that is no text, or cannot be read, is said so."""
    (tmp_path / "binary").write_bytes(b"\xff" * 32)
    (tmp_path / "file").touch()
    for name, sentence in (("binary", "is no text"), ("file", "it is empty"), ("file/x", "Not a directory")):  # fmt: skip
        done = await invoke(*LISTEN, "--secret-file", tmp_path / name)
        assert (done.exit_code, sentence in done.stderr, done.stderr.count("\n")) == (2, True, 1)


def test_names_that_come_later():
    """Every name of the package is there, and what needs a server comes when it is first named."""
    names = (
        "import sys, paragon_async.webhooks as w\n"
        "assert not {'sqlite3', 'aiohttp.web'} & set(sys.modules)\n"
        "assert all(getattr(w, name).__name__ == name for name in w.__all__)\n"
        "assert issubclass(w.InboxFullError, w.InboxError)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", names], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("127.0.0.1", Address()), ("8080", Address(port=8080)), (":8080", Address(port=8080)),
        ("10.0.0.1:1", Address("10.0.0.1", 1)), ("localhost:80", Address("localhost", 80)), ("[::1]", Address("::1")),
        ("[::1]:80", Address("::1", 80)),
    ],
)  # fmt: skip
def test_addresses(given, found):
    """A host, a port, or both."""
    from paragon_async.cli.address import address

    assert address(None, None, given) == found
