"""Many syncs of many users in one process: fair between users, one room for all, one outcome each."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

import anyio
import attrs

from paragon_async.errors import ConfigurationError, ParagonError
from paragon_async.ingest.engine import MIB, Ingest
from paragon_async.ingest.groups import first
from paragon_async.ingest.room import Room
from paragon_async.ingest.values import Report


@attrs.frozen(kw_only=True)
class Outcome:
    """How one ingest of many went: its *report*, and the *error* that stopped it, or None."""

    ingest: Ingest
    report: Report
    error: ParagonError | None = None


class IngestMany:
    """Runs many ingests: `await IngestMany([Ingest(…), …]).run()`.

    At most *at_once* syncs are under way. The next one is of the user who has the fewest, so that a
    user with a thousand syncs does not keep one with a single sync waiting; contents share one room of
    *concurrency* and *bytes_at_once*, fair between users as well. All of them should come from one
    `Paragon`, whose gate then bounds the calls. One that fails stops no other.
    """

    def __init__(
        self,
        ingests: Iterable[Ingest],
        *,
        at_once: int = 8,
        concurrency: int = 32,
        bytes_at_once: int = 512 * MIB,
        on_outcome: Callable[[Outcome], None] | None = None,
    ) -> None:
        if at_once < 1 or concurrency < 1 or bytes_at_once < 1:
            raise ConfigurationError("at_once, concurrency and bytes_at_once must be 1 or more")
        self._ingests = list(ingests)
        if len({ingest.feed for ingest in self._ingests}) < len(self._ingests):
            raise ConfigurationError("one sync stands twice among the ingests")
        self._at_once = at_once
        self._room = Room(concurrency, bytes_at_once)
        self._on_outcome = on_outcome

    async def run(self) -> list[Outcome]:
        """Run them all; return one outcome each, in the order given.

        Cancelling cancels every run, each with its cursor safe. What is no `ParagonError`, such as an
        error in a caller's filter, stops them all and is raised.
        """
        waiting: dict[str, deque[int]] = {}
        for number, ingest in enumerate(self._ingests):
            waiting.setdefault(ingest.feed.user, deque()).append(number)
        running: Counter[str] = Counter()
        outcomes: dict[int, Outcome] = {}

        async def work() -> None:
            while waiting:
                user = min(waiting, key=lambda name: running[name])
                theirs = waiting.pop(user)
                number = theirs.popleft()
                if theirs:
                    # To the end of the line: among equals, turns are taken.
                    waiting[user] = theirs
                running[user] += 1
                try:
                    outcomes[number] = await self._one(self._ingests[number])
                finally:
                    running[user] -= 1

        try:
            async with anyio.create_task_group() as group:
                for _ in range(min(self._at_once, len(self._ingests))):
                    group.start_soon(work)
        except BaseExceptionGroup as errors:
            raise first(errors) from None
        return [outcomes[number] for number in range(len(self._ingests))]

    async def _one(self, ingest: Ingest) -> Outcome:
        error = None
        try:
            await ingest.sharing(self._room).run()
        except ParagonError as stopped:
            error = stopped
        outcome = Outcome(ingest=ingest, report=ingest.progress.report, error=error)
        if self._on_outcome:
            self._on_outcome(outcome)
        return outcome
