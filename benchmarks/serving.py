"""The server of a benchmark: nginx over the corpus where it is installed, else the emulator.

    with serving(corpus) as served: ...             plain HTTP on loopback
    with serving(corpus, is_tls=True) as served:    https, with a certificate made for the run

nginx gets a configuration of its own, one worker (two cores are for the server and the client), and is
ended by its process id. It answers as the service does: pages by cursor, contents by record.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from benchmarks import certificate
from benchmarks.corpus import SYNC, Corpus
from benchmarks.task import Item, Task

_NGINX = """\
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 10000000;
    client_body_temp_path temporary;
    proxy_temp_path temporary;
    fastcgi_temp_path temporary;
    uwsgi_temp_path temporary;
    scgi_temp_path temporary;
    map $arg_cursor $page {{ "" first; default $arg_cursor; }}
    server {{
        listen 127.0.0.1:{port} {tls};
        {certificate}
        default_type application/octet-stream;
        location = /api/syncs/{sync}/records {{
            default_type application/json;
            root {corpus}/pages;
            try_files /$arg_pageSize/$page =404;
        }}
        location ~ ^/api/syncs/{sync}/records/(?<id>[^/]+)/content$ {{
            root {corpus}/files;
            try_files /$id =404;
        }}
    }}
}}
"""


class UnavailableError(Exception):
    """There is no such server on this machine; the message says why."""


@attrs.frozen(kw_only=True)
class Served:
    """A running service. *name* says which server it is, and of which version.

    *digest* returns the SHA-256 of an item's content.
    """

    base_url: str
    sync_id: str
    token: str
    items: list[Item]
    name: str
    digest: Callable[[Item], str]
    ca_file: str | None = None

    def task(self, *, concurrency: int = 1, **options: object) -> Task:
        """Make the task to fetch from it."""
        return Task(
            base_url=self.base_url,
            sync_id=self.sync_id,
            token=self.token,
            ca_file=self.ca_file,
            items=self.items,
            concurrency=concurrency,
            options=options,
        )


@contextlib.contextmanager
def serving(corpus: Corpus, *, is_tls: bool = False, is_emulated: bool = False) -> Iterator[Served]:
    """Serve *corpus* until the block ends; with *is_emulated* by the emulator in any case.

    Raises `UnavailableError` for TLS without nginx.
    """
    program = None if is_emulated else nginx()
    if program is None and is_tls:
        raise UnavailableError("nginx is not on this machine, and the emulator speaks no TLS")
    with _nginx(program, corpus, is_tls) if program else _emulator(corpus) as served:
        yield served


def nginx() -> str | None:
    """Find nginx, also where only administrators' paths lead."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def server_name(*, is_emulated: bool = False) -> str:
    """Name the server that `serving` takes, with its version."""
    program = nginx()
    if program is None or is_emulated:
        from paragon_async import __version__  # noqa: PLC0415  # only then

        return f"the emulator of paragon-async {__version__}"
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True)  # noqa: S603
    return said.stderr.strip().rpartition(": ")[2].split(" ")[0].replace("/", " ")


@contextlib.contextmanager
def _nginx(program: str, corpus: Corpus, is_tls: bool) -> Iterator[Served]:  # noqa: FBT001
    with tempfile.TemporaryDirectory() as folder:
        room, port = Path(folder), _free_port()
        ca_file = certificate.make(room) if is_tls else None
        (room / "nginx.conf").write_text(_configuration(corpus, port, ca_file))
        command = [program, "-p", folder, "-c", str(room / "nginx.conf"), "-e", "stderr"]
        child = subprocess.Popen(command)  # noqa: S603  # found above
        try:
            _await_port(port, child)
            yield Served(
                base_url=f"{'https' if is_tls else 'http'}://127.0.0.1:{port}",
                sync_id=SYNC,
                token="token-of-the-benchmark",  # noqa: S106  # nobody looks at it
                items=corpus.items,
                name=server_name(),
                digest=corpus.digest,
                ca_file=str(ca_file) if ca_file else None,
            )
        finally:
            child.terminate()
            child.wait(10)


def _configuration(corpus: Corpus, port: int, ca_file: Path | None) -> str:
    # Started by root, nginx would read the corpus as somebody who may not.
    user = "user root;" if hasattr(os, "geteuid") and os.geteuid() == 0 else ""
    lines = ""
    if ca_file:
        lines = f"ssl_certificate {ca_file}; ssl_certificate_key {certificate.key_of(ca_file)};"
    return _NGINX.format(
        user=user,
        port=port,
        tls="ssl" if ca_file else "",
        certificate=lines,
        sync=SYNC,
        corpus=corpus.folder,
    )


@contextlib.contextmanager
def _emulator(corpus: Corpus) -> Iterator[Served]:
    from benchmarks import emulated  # noqa: PLC0415  # who has nginx does not need it

    options = [option for spec in corpus.specs for option in ("--generate", spec)]
    with emulated.running(*options) as given:
        sync = emulated.enabled(given)
        yield Served(
            base_url=sync.base_url,
            sync_id=sync.sync_id,
            token=sync.token,
            items=sync.items() if corpus.items else [],
            name=server_name(is_emulated=True),
            digest=sync.digest,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _await_port(port: int, child: subprocess.Popen[bytes]) -> None:
    while child.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"nginx ended with {child.returncode} before it listened")
