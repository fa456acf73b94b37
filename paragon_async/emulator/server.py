"""The emulator as a server on loopback, in the running event loop.

journal → refusals → place → (production:) token → rate → faults → handler
"""

from __future__ import annotations

import logging
import math
import secrets
import sqlite3
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from paragon_async.emulator.acting import Handler, act
from paragon_async.emulator.admin import Admin
from paragon_async.emulator.asking import Asking
from paragon_async.emulator.auth import Gatekeeper, new_signing_key
from paragon_async.emulator.catalogue import RECORDS
from paragon_async.emulator.contents import Contents
from paragon_async.emulator.elsewhere import Elsewhere
from paragon_async.emulator.errors import EmulatorError, Refusal, refused
from paragon_async.emulator.faults import Fault, Faults
from paragon_async.emulator.generate import parse_spec
from paragon_async.emulator.guard import check_place
from paragon_async.emulator.handlers import USER, Handlers
from paragon_async.emulator.journal import Call
from paragon_async.emulator.limiter import Limiter, parse_rate
from paragon_async.emulator.pace import parse_pace
from paragon_async.emulator.seeds import read_lines
from paragon_async.emulator.telling import Telling
from paragon_async.emulator.world import World

_log = logging.getLogger("paragon_async.emulator")
_HOST = "127.0.0.1"
_LARGEST_BODY = 1 << 20
_FAULT = web.RequestKey("fault_id", int)


class Emulator:
    """A whole Managed Sync: `async with Emulator(folder) as emulator`.

    *folder* becomes the drive of every connected user, *mounts* those of single ones. *records* are
    JSON-lines files by pipeline, *generate* specs like `contacts:1000` or `files:10x32MiB` with
    *seed*. *state* is a file that keeps everything; without it all is forgotten. It listens on
    loopback, on *port* or, with 0, on any that is free. *project_id* and *signing_key* are made up, or
    those of the state, unless given; whoever holds them can mint tokens. *largest_page* bounds
    pageSize; *ranges* switches ETag and ranges; folders named in *skip* are left out. *webhook* is
    where events go. *pace* moves syncs (`at_once`, `polls:N`, `seconds:S`, `manual`); *deletes* are
    noticed `at_once`, or only by a `full_run`. Folders are looked at every *rescan* seconds (0: only
    by `refresh`); a file has to rest for *settle* seconds. *rate* bounds each user (`20/s`), after
    *burst* calls. *requests* holds the latest calls.

    Raises `EmulatorError` when a folder, a file or an option is none, or the port is taken.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        mounts: Mapping[str, str | Path] | None = None,
        records: Mapping[str, Iterable[str | Path]] | None = None,
        generate: Iterable[str] = (),
        seed: int = 0,
        state: str | Path | None = None,
        port: int = 0,
        project_id: str | None = None,
        signing_key: str | None = None,
        largest_page: int = 1000,
        batch_limit: int = 50,
        ranges: bool = True,
        skip: Iterable[str] = (),
        webhook: str | None = None,
        pace: str = "at_once",
        deletes: str = "at_once",
        rescan: float = 2.0,
        settle: float = 0.1,
        rate: str | None = None,
        burst: int = 40,
    ) -> None:
        kept = None if state is None else Path(state)
        self._records = _loaded(records or {})
        self._identify(kept, project_id, signing_key)
        self.world = World(
            self.project_id,
            state=kept,
            mounts=_folders(folder, mounts or {}),
            skip=frozenset(skip),
            settle=settle,
            rescan=rescan,
            specs=[parse_spec(text, seed) for text in generate],
            pace=parse_pace(pace),
            deletes=deletes,
        )
        self.faults = Faults()
        self.url = ""
        self._webhook = webhook
        self._port = port
        self._gatekeeper = Gatekeeper(self.project_id, self.signing_key)
        contents = Contents(self.world.items, self.world.mounts, self.world.specs)
        self._handlers = Handlers(self.world, contents, largest_page=largest_page, ranges=ranges)
        self._asking = Asking(self.world.graph, self._handlers.sync, batch_limit=batch_limit)
        self._limiter = Limiter(self.world.clock, parse_rate(rate), burst) if rate else None
        self._elsewhere = Elsewhere(self._handlers.elsewhere)
        self._runner: web.AppRunner | None = None

    @property
    def requests(self) -> list[Call]:
        """The latest calls, oldest first."""
        return list(self.world.journal.calls)

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

    def grant(self, user: str, role: str, path: str = "", *, account: str = "") -> None:
        """Give somebody a role on a path of a mounted folder, and on all below it.

        *user* is an e-mail address, `group:NAME`, `domain:NAME` or `anyone`. Grants on a path hold
        for what lies there, and follow it when it is moved.
        """
        self.world.grant(account, path, user, role)

    def source_of(self, sync_id: str, record_id: str) -> Path | None:
        """Return the file on this machine that a record stands for."""
        return self.world.source_of(sync_id, record_id)

    async def refresh(self) -> None:
        """Bring what changed in the folders into the feeds."""
        await self.world.refresh()

    async def start(self) -> None:
        """Begin to listen."""
        self.world.store.set("project_id", self.project_id)
        self.world.store.set("signing_key", self.signing_key)
        for pipeline, files in self._records.items():
            for file in files:
                self.world.items.load("", pipeline, read_lines(file))
        app = web.Application(
            middlewares=[self._journal, self._refusals, self._guarded, self._faulty],
            client_max_size=_LARGEST_BODY,
        )
        app.add_routes(self._handlers.routes())
        app.add_routes(self._asking.routes())
        app.add_routes(Admin(self.world, self.faults).routes())
        app.add_routes(Telling(self.world).routes())
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
        self.world.start()
        self._aim(self._webhook)

    async def aclose(self) -> None:
        """Stop listening and forget everything that is in no state file."""
        try:
            await self._elsewhere.aclose()
            if self._runner is not None:
                await self._runner.cleanup()
                self._runner = None
        finally:
            await self.world.aclose()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _identify(self, state: Path | None, project_id: str | None, key: str | None) -> None:
        """Take the identity that is given, else that of the state, else a new one."""
        kept = World.identity(state)
        if project_id and kept.get("project_id") not in {None, project_id}:
            raise EmulatorError(f"the state file {state} is of another project")
        fresh = str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
        self.project_id = project_id or kept.get("project_id") or fresh
        self.signing_key = key or kept.get("signing_key") or new_signing_key()

    def _aim(self, webhook: str | None) -> None:
        """Send events to a URL; one that a state file kept goes on without a new probe."""
        kept = self.world.hooks.webhook()
        if webhook is None or (kept is not None and kept.url == webhook):
            return
        try:
            self.world.hooks.configure(webhook)
        except Refusal as refusal:
            raise EmulatorError(f"webhook: {refusal.message}") from None
        self.world.deliverer.poke()

    @web.middleware
    async def _journal(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        status = None
        try:
            answer: web.StreamResponse = await handler(request)
            status = answer.status
            return answer
        finally:
            if not request.path.startswith("/_emulator/"):
                call = Call(
                    method=request.method,
                    path=request.path,
                    query=dict(request.query),
                    status=status,
                    user=request.get(USER),
                    fault=request.get(_FAULT),
                )
                self.world.journal.note(call)

    @web.middleware
    async def _refusals(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await handler(request)
        except Refusal as refusal:
            return refused(refusal.status, refusal.message)
        except web.HTTPException as error:
            return refused(error.status, error.reason)
        except (ValueError, OverflowError, sqlite3.InterfaceError, sqlite3.ProgrammingError):
            # Lone surrogates, endless digits, arrays for ids: no value of this service.
            _log.debug("a value was refused", exc_info=True)
            return refused(400, "The request holds a value that cannot be used")
        except sqlite3.Error as error:
            _log.error("the state cannot be used: %s", error)
            return refused(503, f"The state of the emulator cannot be used: {error}")
        except Exception:  # noqa: BLE001  # the last resort: JSON for the caller, the rest for the log
            _log.exception("%s %s failed", request.method, request.path)
            return refused(500, "The emulator failed: its log says how")
        return answer

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Ask where the call comes from, who calls, and whether too often."""
        check_place(request)
        if not request.path.startswith("/_emulator/"):
            request[USER] = self._gatekeeper.user(request.headers.get("Authorization", ""))
            wait = self._limiter.allow(request[USER]) if self._limiter else 0.0
            if wait:
                answer = refused(429, "Too many requests")
                answer.headers["Retry-After"] = str(math.ceil(wait))
                return answer
        passed: web.StreamResponse = await handler(request)
        return passed

    @web.middleware
    async def _faulty(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/_emulator/"):
            fault = None
        else:
            fault = self.faults.pick(request.method, request.path, request[USER])
        if fault is not None:
            request[_FAULT] = fault.id
            return await act(fault, request, handler, self._elsewhere, request[USER])
        answer: web.StreamResponse = await handler(request)
        return answer


def _loaded(records: Mapping[str, Iterable[str | Path]]) -> dict[str, list[Path]]:
    """Return the files of every pipeline; raise when one is no pipeline of records."""
    if unknown := set(records) - set(RECORDS):
        raise EmulatorError(f"{min(unknown)} is no pipeline of records: {', '.join(RECORDS)}")
    return {name: [Path(file) for file in files] for name, files in records.items()}


def _folders(folder: str | Path | None, mounts: Mapping[str, str | Path]) -> dict[str, Path]:
    """Return the folder of every account; raise when one is none."""
    given = {**({} if folder is None else {"": folder}), **mounts}
    for root in given.values():
        if not Path(root).is_dir():
            raise EmulatorError(f"there is no folder {root}")
    return {account: Path(root) for account, root in given.items()}
