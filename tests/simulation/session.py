"""The service as the engine's `Session`: it answers from the source, late, wrongly, in part, or never.

Weather decides. A *calm* world answers; in a *rough* one each request can meet any of the faults below;
an *outage* is a stretch of time in which nobody gets through. Every fault is one that its client can
know of: by status, by length, by hash, by a clock.
"""

from __future__ import annotations

import asyncio
import email.utils
import hashlib
import itertools
from contextlib import asynccontextmanager

from multidict import CIMultiDict

from paragon_async import Timeouts
from paragon_async.auth import Secret
from paragon_async.convert import dump
from paragon_async.errors import (
    ConnectionFailedError,
    CutShortError,
    DecodeError,
    MalformedAnswerError,
    TimedOutError,
)
from tests.simulation.world import START

SYNC = "sync-1"
_HEADS = ("refused", "lost", "stall", "malformed", "429", "500", "502", "503", "504", "408", "401")
_BODIES = ("cut", "reset", "stalled", "slow", "html", "other")


class SimTokens:
    """Tokens that the service can take back; a rejected one is replaced, as a signing key does."""

    project_id = "project-1"

    def __init__(self):
        self.number = 0

    async def token(self, user_id, *, rejected=None):
        if rejected is not None and rejected.token == Secret(f"token-{self.number}"):
            self.number += 1
        return Secret(f"token-{self.number}")


class Weather:
    """When faults come, and which."""

    def __init__(self, world, rate):
        self._dice = world.dice("weather")
        self._rate = rate
        self._begins, self._ends = self._next_outage(0.0)

    def calm_down(self):
        self._rate = 0.0

    def head(self, now):
        """Return what happens to a request before its answer, None for nothing."""
        while now >= self._ends:
            self._begins, self._ends = self._next_outage(self._ends)
        if self._rate and now >= self._begins:
            return self._dice.choice(("refused", "503", "stall"))
        return self._dice.choice(_HEADS) if self._dice.random() < self._rate else None

    def body(self):
        """Return what happens to a body, None for nothing."""
        return self._dice.choice(_BODIES) if self._dice.random() < self._rate else None

    def latency(self):
        if self._dice.random() < self._rate / 4:
            return self._dice.uniform(1, 40)
        return self._dice.uniform(0.005, 0.3)

    def _next_outage(self, now):
        begins = now + self._dice.expovariate(1 / 4000)
        return begins, begins + self._dice.uniform(1, 600)


class SimResponse:
    """An answer that comes in pieces; *fault* says how its body ends."""

    def __init__(self, session, status, body, headers=(), *, framed=True, fault=None):
        self.status = status
        self.headers = CIMultiDict(headers)
        self.headers["Date"] = email.utils.formatdate(START + session.world.loop.now, usegmt=True)
        self.framed = framed
        self.length = len(body) if framed else None
        self._session = session
        self._fault = fault
        dice = session.dice
        end = dice.randrange(len(body) + 1) if fault in {"cut", "reset", "stalled"} else len(body)
        cuts = sorted({0, *(dice.randrange(end + 1) for _ in range(dice.choice((0, 1, 2)))), end})
        self._chunks = [body[a:b] for a, b in itertools.pairwise(cuts)]

    def bulk(self):
        return None

    async def next_chunk(self):
        dice = self._session.dice
        slow = dice.uniform(0, 50) if self._fault == "slow" else dice.uniform(0, 0.05)
        await asyncio.sleep(slow)
        if self._chunks:
            chunk = self._chunks.pop(0)
            self._session.event("chunk", len(chunk))
            return chunk
        self._session.event("end", self._fault or "")
        if self._fault == "cut":
            raise CutShortError("the simulated answer ended too early")
        if self._fault == "reset":
            raise ConnectionFailedError("the simulated connection was lost")
        if self._fault == "stalled":
            await asyncio.sleep(self._session.timeouts.idle)
            raise TimedOutError("the simulated answer stalled")
        return b""

    async def read(self, limit):
        body = b""
        while chunk := await self.next_chunk():
            body += chunk
        if len(body) > limit:
            raise DecodeError("$", "too large")
        return body


class SimSession:
    """What the client of one process sends through."""

    def __init__(self, world, source, weather, tokens):
        self.world = world
        self.timeouts = Timeouts()
        self.dice = world.dice(f"session {world.events}")
        self.open_now = 0
        self._source = source
        self._weather = weather
        self._tokens = tokens

    def event(self, kind, *words):
        """Tell the world; a process that is dead hears nothing any more."""
        if not self.world.dead:
            self.world.happens(kind, *words)
        if self.world.dead:
            raise ConnectionFailedError("the process is dead", sent=False)

    @asynccontextmanager
    async def open(self, request, token):
        query = (
            "?" + "&".join(f"{k}={v}" for k, v in request.query.items()) if request.query else ""
        )
        self.event(request.method, request.path + query, *request.headers.values())
        await asyncio.sleep(self._weather.latency())
        self._source.advance(self.world.loop.now)
        answer = await self._answer(request, token)
        self.event("answer", answer.status, request.path, len(answer._chunks))
        self.open_now += 1
        try:
            yield answer
        finally:
            self.open_now -= 1

    async def aclose(self):
        """Nothing is held."""

    async def _answer(self, request, token):
        match self._weather.head(self.world.loop.now):
            case "refused":
                raise ConnectionFailedError("nobody listens", sent=False)
            case "lost":
                raise ConnectionFailedError("the connection was lost")
            case "malformed":
                raise MalformedAnswerError("this is no HTTP")
            case "stall":
                await asyncio.sleep(self.timeouts.headers)
                raise TimedOutError("no answer in time")
            case "401":
                self._tokens.number += self.dice.random() < 0.9
                return SimResponse(self, 401, b'{"message":"no"}')
            case "429" | "503" | "408" as status:
                headers = {"Retry-After": self._retry_after()} if self.dice.random() < 0.7 else {}
                return SimResponse(self, int(status), b"{}", headers)
            case "500" | "502" | "504" as status:
                return SimResponse(self, int(status), b"<html>trouble</html>")
        if token.reveal() != f"token-{self._tokens.number}":
            return SimResponse(self, 401, b'{"message":"old"}')
        return self._true(request)

    def _retry_after(self):
        seconds = self.dice.choice((0, 1, 5, 30, 100))
        date = email.utils.formatdate(START + self.world.loop.now + seconds, usegmt=True)
        return self.dice.choice((str(seconds), date, "soon", "-1", "1000000"))

    def _true(self, request):
        fault = self._weather.body()
        parts = request.path.split("/")[2:]
        if parts == ["syncs"]:
            return self._json([{"id": SYNC, "status": "IDLE", "pipeline": "files"}], fault)
        if parts[1] != SYNC:
            return SimResponse(self, 404, b"{}")
        match parts[2:]:
            case []:
                return self._json({"id": SYNC, "status": self._source.status, "summary": {}}, fault)
            case ["records"]:
                return self._page(request.query, fault)
            case ["records", id_]:
                found = self._source.record(id_)
                return self._json(found, fault) if found else SimResponse(self, 404, b"{}")
            case ["records", id_, "content"]:
                return self._content(self._source.items.get(id_), request.headers, fault)

    def _json(self, value, fault):
        if fault == "html":
            return SimResponse(self, 200, b"<html>sign in</html>")
        return SimResponse(self, 200, dump(value), fault=fault)

    def _page(self, query, fault):
        cursor = query.get("cursor")
        records, after, remaining = self._source.page(cursor, int(query["pageSize"]))
        if fault == "other" and remaining:
            records, after = [], cursor  # it contradicts itself
        elif cursor and self.dice.random() < 0.1:
            records = [*self._source.before(cursor, 2), *records]  # at least once is more than once
        paging = {
            "cursor": after,
            "remainingRecords": remaining,
            "totalRecords": self._source.total,
        }
        return self._json({"data": records, "paging": paging}, fault)

    def _content(self, item, headers, fault):
        if item is None or item.is_deleted:
            return SimResponse(self, 404, b"{}")
        body = item.body
        tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        given = {"Content-Type": item.mime, "ETag": tag, "Accept-Ranges": "bytes"}
        if fault == "other" and item.has_hash and body:
            # Right in length, wrong in content: only the record's hash can tell.
            body = bytes(len(body) - 1) + b"?"
        start = self._start(headers, tag, len(body))
        if start and fault != "other":
            given["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            return SimResponse(self, 206, body[start:], given, fault=fault)
        framed = not item.has_hash or fault is not None or self.dice.random() < 0.8
        return SimResponse(self, 200, body, given, framed=framed, fault=fault)

    def _start(self, headers, tag, size):
        asked = headers.get("Range", "")
        if not asked or headers.get("If-Range") != tag:
            return 0
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        return start if start < size else 0
