"""What `paragon-async webhooks listen` does: print events as they come, and pass them on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from paragon_async.cli import output, receiving
from paragon_async.cli.address import Address
from paragon_async.cli.answers import has_reader
from paragon_async.cli.forward import Forward
from paragon_async.cli.outcome import plain
from paragon_async.errors import ParagonError
from paragon_async.threads import in_thread
from paragon_async.webhooks import Event, Inbox, Router, WebhookVerification, parse_event
from paragon_async.webhooks.events import LARGEST_BODY

_AT_ONCE = 8


async def listen(
    address: Address,
    *,
    forward: str | None = None,
    inbox: str | None = None,
    secret_file: str | None = None,
    insecure: bool = False,
) -> None:
    """Print events until cancelled, each after it was kept in *inbox*, or in a passing one.

    With *forward* each is posted there, again and again until it is answered 2xx. What an earlier run
    gave up is tried anew. Raises what stops it: the inbox, the port, standard output.
    """
    who = None
    if not insecure:
        who = await in_thread(receiving.given, secret_file) or receiving.passing()
    with tempfile.TemporaryDirectory(prefix="paragon-webhooks-") as place:
        printer, router = Printer(), Router()
        router.on(Event)(printer.show)
        if forward is not None:
            router.on(Event)(Forward(forward).pass_on)
        # One by one they are printed in the order in which they came.
        workers = _AT_ONCE if forward else 1
        kept = Probed(inbox or Path(place, "inbox.db"), printer=printer, workers=workers)
        async with receiving.receiving(router, kept, address, who):
            if again := await kept.unpark():
                _say(f"{again} events that were given up are tried again")
            try:
                await printer.failed()
            finally:
                counts = await kept.counts()
                if forward is not None and (left := counts.waiting + counts.parked):
                    where = f"wait in {inbox}" if inbox else "are lost: --inbox FILE keeps them"
                    _say(f"{left} events were not passed on and {where}")


class Printer:
    """Prints events on standard output: a line for a person, a line of JSON for a program."""

    def __init__(self) -> None:
        self._form = _line if has_reader() else _json
        self._lock = threading.Lock()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def show(self, event: Event) -> None:
        """Print one event; while nobody reads, this waits, and others are still received."""
        try:
            await in_thread(self._print, self._form(event))
        except OSError as error:
            if not self._failure.done():
                self._failure.set_exception(
                    ParagonError(f"cannot write to standard output: {error.strerror or error}")
                )
            # The command ends now; what was not printed stays in the inbox.
            await asyncio.get_running_loop().create_future()

    async def failed(self) -> None:
        """Wait until nothing can be printed any more, and raise why."""
        await self._failure

    def _print(self, line: str) -> None:
        with self._lock:
            try:
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
            except OSError:
                # What is left in the buffer would fail once more when the process ends.
                with contextlib.suppress(OSError, ValueError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise


class Probed(Inbox):
    """An inbox that lets *printer* show the probes of a new URL, which are answered and not kept."""

    def __init__(self, path: str | Path, *, printer: Printer, workers: int) -> None:
        # A terminal that nobody reads is waited for, and a forward has a limit of its own.
        super().__init__(path, workers=workers, handler_timeout=None)
        self._printer = printer
        self._shown: set[asyncio.Task[None]] = set()

    async def put(self, body: bytes, *, limit: int = LARGEST_BODY) -> bool:
        """Store the event in *body*, as every inbox does."""
        is_new = await super().put(body, limit=limit)
        # The answer does not wait for the terminal, and many probes do not fill the memory.
        if not is_new and len(self._shown) < _AT_ONCE:
            probe = parse_event(body, limit=limit)
            if isinstance(probe, WebhookVerification):
                task = asyncio.create_task(self._printer.show(probe))
                self._shown.add(task)
                task.add_done_callback(self._shown.discard)
        return is_new

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in (shown := tuple(self._shown)):
            task.cancel()
        await asyncio.gather(*shown, return_exceptions=True)
        await super().__aexit__(kind, error, trace)


def _line(event: Event) -> str:
    record, message = _about(event)
    parts = (event.sync_id, record, event.user_id)
    told = [time.strftime("%H:%M:%S"), f"{event.name:20}", *(part or "-" for part in parts)]
    return plain("  ".join(told + ([message] if message else [])))


def _json(event: Event) -> str:
    record, _ = _about(event)
    stamp = event.timestamp
    return json.dumps(
        {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event.name,
            "integration": event.integration,
            "sync": event.sync_id,
            "record": record,
            "user": event.user_id,
            "timestamp": None if stamp is None else stamp.isoformat(),
            "raw": event.raw,
        }
    )


def _about(event: Event) -> tuple[Any, Any]:
    """Return the record's id and the complaint of an event, where it has them."""
    return getattr(event, "record_id", None), getattr(event, "message", None)


def _say(sentence: str) -> None:
    output.warn(sentence)
