"""S3, S4, S5, S7 and S10: who gets the token, who is asked, and whom we believe to be the service."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import datetime as dt
import os
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import paragon_async
from paragon_async import CertificateError, RedirectRefusedError, Secret, Timeouts
from paragon_async.errors import ConnectionFailedError, ServerError
from paragon_async.transport.redirects import is_private, target
from paragon_async.transport.session import AiohttpSession
from paragon_async.transport.wire import Request
from tests.ingest.fakes import quick_user

TOKEN = "canary-token-of-a-user"
GET = Request(method="GET", path="/content", reads=lambda value: value, streams=True)
POST = Request(method="POST", path="/content", reads=lambda value: value, body={"a": 1})


class Origin:
    """A server on an address of its own, which keeps what it was sent."""

    def __init__(
        self, host, answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", context=None
    ):
        self.host, self.answer, self.seen = host, answer, []
        self._context = context

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, self.host, 0, ssl=self._context)
        scheme = "https" if self._context else "http"
        self.url = f"{scheme}://{self.host}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = [
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            ]
            self.seen.append(head.lower() + await reader.readexactly(sum(length)))
            writer.write(self.answer.replace(b"200 OK\r\n", b"200 OK\r\nConnection: close\r\n"))
            await writer.drain()
        writer.close()


def redirect(status, location):
    lines = [
        f"HTTP/1.1 {status} Elsewhere",
        f"Location: {location}",
        "Set-Cookie: session=canary-cookie; Path=/",
    ]
    return "\r\n".join([*lines, "Content-Length: 0", "Connection: close", "", ""]).encode()


async def ask(url, request=GET, given=None):
    session = AiohttpSession(url, Timeouts(connect=20, headers=20, idle=20), given)
    try:
        async with session.open(request, Secret(TOKEN)) as response:
            return await response.read(1000)
    finally:
        await session.aclose()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_two_origins(status):
    """S3: a redirect to another origin brings no token, no cookie, nothing of ours but the wish."""
    async with (
        Origin("127.0.0.2") as store,
        Origin("127.0.0.1", redirect(status, store.url + "/signed")) as service,
    ):
        assert await ask(service.url) == b"ok"
    assert TOKEN.encode() in service.seen[0]
    names = {line.split(b":")[0] for line in store.seen[0].split(b"\r\n")[1:] if line}
    assert names <= {b"host", b"user-agent", b"accept", b"accept-encoding"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_body_goes_elsewhere(status):
    """S3: a redirect of a POST is refused: its body arrives nowhere else."""
    async with (
        Origin("127.0.0.2") as store,
        Origin("127.0.0.1", redirect(status, store.url)) as service,
    ):
        with pytest.raises(RedirectRefusedError):
            await ask(service.url, POST)
    assert len(service.seen) == 1 and store.seen == []


ODD = ["127.1", "0x7f000001", "2130706433", "0177.0.0.1.5", "localhost.", "LOCALHOST", "[::ffff:10.0.0.1]",
       "169.254.169.254", "[fe80::1]", "[fd00::1]", "0.0.0.1", "metadata.google.internal", "x.local."]  # fmt: skip


@pytest.mark.parametrize("host", ODD)
def test_no_way_inside(host):
    """S3: however an address of a private network is written, no redirect leads there from outside."""
    base = "https://sync.useparagon.com"
    with pytest.raises(RedirectRefusedError):
        target(f"{base}/content", f"https://{host}/x", base=base)
    assert target(f"{base}/c", "https://8.8.8.8/x", base=base) == "https://8.8.8.8/x"
    assert not is_private("2130706433")  # what decides about a base URL takes it for a name


PACKAGE = Path(paragon_async.__file__).parent


def test_the_token_is_attached_in_one_place():
    """S4: one function writes the header that carries the token, and no middleware touches it."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        if "emulator" in path.parts or "Authorization" not in path.read_text():
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                words = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
                if "Authorization" in words:
                    found.add((path.relative_to(PACKAGE).as_posix(), node.name))
    assert found == {("transport/session.py", "_headers")}


async def test_a_given_session_keeps_nothing():
    """S4: a session that the caller gave learns no token: neither its headers nor its cookies hold it."""
    async with Origin("127.0.0.1") as service, aiohttp.ClientSession() as given:
        await ask(service.url, given=given)
        assert TOKEN.encode() in service.seen[0]
        assert "Authorization" not in given.headers and given.auth is None
        async with given.get(service.url) as answer:
            await answer.read()
    assert TOKEN.encode() not in service.seen[1]


async def test_nothing_of_the_environment(monkeypatch, tmp_path):
    """S5: proxies, netrc and cookies of before play no part, with the service and with others."""
    netrc = tmp_path / "netrc"
    netrc.write_text(
        "".join(f"machine 127.0.0.{n} login me password canary-netrc\n" for n in (1, 2))
    )
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    async with (
        Origin("127.0.0.2") as store,
        Origin("127.0.0.1", redirect(302, store.url)) as service,
    ):
        session = AiohttpSession(service.url, Timeouts(connect=20, headers=20, idle=20))
        for _ in range(2):
            async with session.open(GET, Secret(TOKEN)) as response:
                assert await response.read(10) == b"ok"
        await session.aclose()
    assert len(service.seen) == len(store.seen) == 2
    for seen in (*service.seen, *store.seen):
        assert b"basic" not in seen and b"cookie" not in seen and b"proxy" not in seen


async def test_errors_tell_enough(emulator):
    """S7: an error has method, path, status, the service's words and the attempts, and no secret."""
    emulator.fault(path="*/records", status=503, times=None)
    async with quick_user(emulator) as user:
        with pytest.raises(ServerError) as caught:
            _ = [record async for record in user.records.pull("s-1")]
    error = caught.value
    assert (error.method, error.status) == ("GET", 503) and error.attempts > 1
    assert "/sync" in error.path and "?" not in error.path
    assert "503" in str(error) and "GET" in str(error)
    assert set(vars(error)) <= {
        "method",
        "path",
        "status",
        "message",
        "request_id",
        "code",
        "attempts",
        "retry_after",
        "hint",
    }


def issue(name, signer=None, *, days=1, host=None, ca=False):
    """Make a key and its certificate, signed by *signer* or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    begins = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
    builder = builder.issuer_name(signer[1].subject if signer else subject)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(begins)
    builder = builder.not_valid_after(begins + dt.timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if host:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
        )
    return key, builder.sign(signer[0] if signer else key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority():
    return issue("an authority of the tests", days=9, ca=True)


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def server_side(folder, authority, *, host="localhost", days=9):
    key, certificate = issue(host, authority, days=days, host=host)
    form = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "server.pem"
    path.write_bytes(pem(certificate) + key.private_bytes(*form))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def over_tls(folder, authority, *, trust=True, minimum=None, **how):
    context = server_side(folder, authority, **how)
    if minimum:
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, minimum
        context.set_ciphers("ALL:@SECLEVEL=0")
    async with Origin("localhost", context=context) as service:
        trusted = ssl.create_default_context(cadata=pem(authority[1]).decode()) if trust else True
        connector = aiohttp.TCPConnector(ssl=trusted)
        async with aiohttp.ClientSession(connector=connector) as given:
            return await ask(service.url, given=given)


async def test_an_authority_of_ones_own(tmp_path, authority):
    """S10: whoever trusts an authority of their own gives a session that does."""
    assert await over_tls(tmp_path, authority) == b"ok"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.parametrize(
    "how",
    [
        {"trust": False},
        {"host": "elsewhere.example"},
        {"days": 1},
        {"minimum": ssl.TLSVersion.TLSv1_1},
    ],
    ids=["unknown authority", "another host", "expired", "TLS 1.1"],
)
async def test_untrusted(tmp_path, authority, how):
    """S10: an unknown authority, another host, a certificate of before and TLS 1.1 end at once, for good."""
    with pytest.raises((CertificateError, ConnectionFailedError)) as caught:
        await over_tls(tmp_path, authority, **how)
    assert how.get("minimum") or not caught.value.retryable


def test_the_system_decides_whom_to_trust(tmp_path, authority):
    """S10: without a session of one's own the system's store counts, and what the system is told of it."""
    ours = tmp_path / "ca.pem"
    ours.write_bytes(pem(authority[1]))
    server_side(tmp_path, authority)
    program = (
        "import asyncio, ssl, sys\nsys.path.insert(0, sys.argv[1])\n"
        "from tests.security.test_wire import Origin, ask\n"
        "async def main():\n"
        "    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[2])\n"
        "    async with Origin('localhost', context=c) as o: print(await ask(o.url))\n"
        "asyncio.run(main())"
    )
    command = [sys.executable, "-c", program, str(PACKAGE.parent), str(tmp_path / "server.pem")]
    told = os.environ | {"SSL_CERT_FILE": str(ours)}
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    assert done.stdout == "b'ok'\n", done.stderr
    told["SSL_CERT_FILE"] = str(tmp_path / "none.pem")
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=False)
    assert "CertificateError" in done.stderr and TOKEN not in done.stderr


def test_there_is_no_switch_to_trust_everybody():
    """S10: nothing in the package turns the check of certificates off."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        assert not any(
            word in text
            for word in (
                "CERT_NONE",
                "check_hostname",
                "_create_unverified",
                "ssl=False",
                "verify=False",
            )
        ), path
