"""The emulator as a server on loopback, in the running event loop.

journal → refusals → faults → host check → token → handler
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import uuid
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs
from aiohttp import web

from paragon_async.emulator.auth import Gatekeeper, new_signing_key
from paragon_async.emulator.errors import EmulatorError, Refusal, refused
from paragon_async.emulator.faults import Fault, Faults, Handler, act
from paragon_async.emulator.handlers import USER, Handlers
from paragon_async.emulator.world import World

_HOST = "127.0.0.1"
_LARGEST_BODY = 1 << 20
_REMEMBERED = 10_000


@attrs.frozen(kw_only=True)
class Call:
    """One request that came in: what was asked, by whom, and how it was answered."""

    method: str
    path: str
    query: dict[str, str]
    status: int | None
    user: str | None


class Emulator:
    """A whole Managed Sync: `async with Emulator(folder) as emulator`.

    *folder* becomes the Google Drive of every connected user. It listens on loopback, on *port* or,
    with 0, on any that is free. *project_id* and *signing_key* are made up unless given; whoever holds
    them can mint tokens. *largest_page* bounds pageSize; *ranges* switches ETag and
    ranges; folders named in *skip* are left out. *requests* holds the latest calls.

    Raises `EmulatorError` when the folder is none or the port is taken.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        port: int = 0,
        project_id: str | None = None,
        signing_key: str | None = None,
        largest_page: int = 1000,
        ranges: bool = True,
        skip: Iterable[str] = (),
    ) -> None:
        root = None if folder is None else Path(folder)
        if root is not None and not root.is_dir():
            raise EmulatorError(f"there is no folder {root}")
        self.project_id = project_id or str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
        self.signing_key = signing_key or new_signing_key()
        self.world = World(self.project_id, root, frozenset(skip))
        self.faults = Faults()
        self.requests: deque[Call] = deque(maxlen=_REMEMBERED)
        self.url = ""
        self._port = port
        self._gatekeeper = Gatekeeper(self.project_id, self.signing_key)
        self._handlers = Handlers(self.world, largest_page=largest_page, ranges=ranges)
        self._runner: web.AppRunner | None = None

    @property
    def environ(self) -> dict[str, str]:
        r"""The variables that point any client here; the key has literal `\n` for its lines."""
        return {
            "PARAGON_PROJECT_ID": self.project_id,
            "PARAGON_SIGNING_KEY": self.signing_key.strip().replace("\n", "\\n"),
            "PARAGON_BASE_URL": self.url,
        }

    def fault(self, **rule: Any) -> None:
        """Make calls go wrong: the keywords are those of `Fault`."""
        self.faults.add(Fault(**rule))

    def grant(self, user: str, role: str, path: str = "") -> None:
        """Give an e-mail address a role on a path of the folder, and on all below it."""
        self.world.graph.grant(user, role, path)

    def source_of(self, sync_id: str, record_id: str) -> Path | None:
        """Return the file on this machine that a record stands for."""
        row = self.world.store.record(sync_id, record_id)
        if self.world.root is None or row is None or row["path"] is None:
            return None
        return self.world.root / os.fsdecode(row["path"])

    async def refresh(self) -> None:
        """Bring what changed in the folder into the feeds."""
        await self.world.refresh()

    async def start(self) -> None:
        """Begin to listen."""
        app = web.Application(
            middlewares=[self._journal, self._refusals, self._faulty, self._guarded],
            client_max_size=_LARGEST_BODY,
        )
        app.add_routes(self._handlers.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, _HOST, self._port)
        try:
            await site.start()
        except OSError as error:
            await self.aclose()
            reason = error.strerror or "it is not free"
            raise EmulatorError(f"cannot listen on port {self._port}: {reason}") from None
        self.url = f"http://{_HOST}:{self._runner.addresses[0][1]}"

    async def aclose(self) -> None:
        """Stop listening and forget everything."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            await self.world.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    @web.middleware
    async def _journal(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        status = None
        try:
            answer: web.StreamResponse = await handler(request)
            status = answer.status
            return answer
        finally:
            call = Call(
                method=request.method,
                path=request.path,
                query=dict(request.query),
                status=status,
                user=request.get(USER),
            )
            self.requests.append(call)

    @web.middleware
    async def _refusals(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await handler(request)
        except Refusal as refusal:
            return refused(refusal.status, refusal.message)
        except web.HTTPException as error:
            return refused(error.status, error.reason)
        except (ValueError, sqlite3.InterfaceError, sqlite3.ProgrammingError):
            # Lone surrogates, endless digits, arrays for ids: no value of this service.
            return refused(400, "The request holds a value that cannot be used")
        return answer

    @web.middleware
    async def _faulty(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        fault = self.faults.pick(request.method, request.path)
        if fault is not None:
            return await act(fault, request, handler)
        answer: web.StreamResponse = await handler(request)
        return answer

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer only to loopback names, so that no web page can reach in; then ask who calls."""
        host = request.headers.get("Host", "").rpartition(":")[0] or request.headers.get("Host", "")
        if host not in {"127.0.0.1", "localhost", "[::1]"}:
            raise Refusal(421, "This emulator answers only on loopback")
        request[USER] = self._gatekeeper.user(request.headers.get("Authorization", ""))
        answer: web.StreamResponse = await handler(request)
        return answer
