"""The emulator as the server of a benchmark: a sync of its generated files, and what they hold."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import attrs
import jwt

from benchmarks.canned import await_ready
from benchmarks.task import Item
from paragon_async.emulator.virtual import PIECE, VirtualFile

_LIFE = 24 * 3600
_LONGEST_WAIT = 120.0


@attrs.define
class Emulated:
    """A sync in a running emulator."""

    base_url: str
    sync_id: str
    token: str
    _numbers: dict[str, int] = attrs.field(factory=dict)

    def items(self) -> list[Item]:
        """List the sync's files."""
        found: list[Item] = []
        for page in self._pages():
            for record in page["data"]:
                self._numbers[record["id"]] = int(record["externalId"].rpartition("-")[2])
                name = f"{record['id']}.bin"
                found.append(Item(id=record["id"], size=record["size"], name=name))
        return found

    def cursor_before(self, count: int) -> str:
        """Return the cursor that stands behind *count* records, a number of whole pages."""
        for page in self._pages():
            count -= len(page["data"])
            if count <= 0:
                break
        cursor: str = page["paging"]["cursor"]
        return cursor

    def _pages(self) -> Iterator[dict[str, Any]]:
        cursor, remain = "", 1
        while remain:
            query = urlencode({"pageSize": 1000} | ({"cursor": cursor} if cursor else {}))
            place = f"/api/syncs/{self.sync_id}/records?{query}"
            page = _ask(self.base_url + place, self.token)
            yield page
            cursor, remain = page["paging"]["cursor"], page["paging"]["remainingRecords"]

    def digest(self, item: Item) -> str:
        """Return the SHA-256 of a listed file, in hex."""
        file = VirtualFile(0, self._numbers[item.id], item.size)
        hasher = hashlib.sha256()
        for start in range(0, item.size, PIECE):
            hasher.update(file.read(start, start + PIECE))
        return hasher.hexdigest()


@contextlib.contextmanager
def running(*options: str) -> Iterator[dict[str, str]]:
    """Run an emulator in a process of its own; yield the variables that lead to it."""
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready"
        command = [sys.executable, "-m", "paragon_async", "emulator", "--port", "0"]
        command += ["--ready-file", str(ready), "--rescan", "0", *options]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603  # ours
        try:
            lines = await_ready(ready, child).splitlines()
            yield dict(shlex.split(line)[1].split("=", 1) for line in lines)
        finally:
            child.terminate()
            child.wait(10)


def enabled(
    given: dict[str, str], *, integration: str = "googledrive", pipeline: str = "files"
) -> Emulated:
    """Enable a sync in the emulator that *given* leads to, and wait until it is idle."""
    base_url, token = given["PARAGON_BASE_URL"], _token(given)
    body = {"integration": integration, "pipeline": pipeline}
    sync_id = _ask(f"{base_url}/api/syncs", token, body)["id"]
    deadline = time.monotonic() + _LONGEST_WAIT
    while _ask(f"{base_url}/api/syncs/{sync_id}", token)["status"] != "IDLE":
        if time.monotonic() > deadline:
            raise TimeoutError("the emulator's sync does not become idle")
        time.sleep(0.05)
    return Emulated(base_url, sync_id, token)


def _token(given: dict[str, str]) -> str:
    now = int(time.time())
    audience = f"useparagon.com/{given['PARAGON_PROJECT_ID']}"
    claims = {"sub": "user-1", "aud": audience, "iat": now, "exp": now + _LIFE}
    return jwt.encode(claims, given["PARAGON_SIGNING_KEY"].replace("\\n", "\n"), "RS256")


def _ask(url: str, token: str, body: dict[str, str] | None = None) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, headers)  # noqa: S310  # the emulator's own address
    with urllib.request.urlopen(request) as answer:  # noqa: S310  # as above
        return json.load(answer)
