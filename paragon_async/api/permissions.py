"""Who may read what: questions to the permission graph. Source: api.md 7."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import TypeVar

import attrs

from paragon_async.api import endpoints, shapes
from paragon_async.errors import (
    BadRequestError,
    CutShortError,
    IncompleteListError,
    NotFoundError,
)
from paragon_async.models import Check, Role, Tree, Verdict
from paragon_async.transport.channel import Channel

R = TypeVar("R")
_BATCH = 50
_CAP = 1000
_TOO_LARGE = 413
_LONGEST_LINE = 1 << 16


@attrs.frozen(eq=False)
class Permissions:
    """The permission graph of one connected user's file syncs. *user* is always an e-mail address."""

    _channel: Channel = attrs.field(repr=False)
    _user: str | None

    async def check(self, sync_id: str, *, object: str, user: str, role: Role = "can_read") -> bool:
        """Return whether *user* has *role* on the record *object*. Source: api.md 7.2."""
        request = endpoints.check_access(sync_id, Check(object, user, role))
        return await self._channel.call(request, self._user)

    async def batch_check(self, sync_id: str, checks: Iterable[Check]) -> list[Verdict]:
        """Answer any number of checks, in their order.

        They are asked in batches, several at once. A check that the service leaves out or answers
        with an error is denied, and its verdict holds the *error*. A call that fails raises for all.
        Cancelling ends all calls. Source: api.md 7.2.
        """
        asked = list(checks)
        batches = [asked[n : n + _BATCH] for n in range(0, len(asked), _BATCH)]
        calls = [asyncio.create_task(self._batch(sync_id, batch)) for batch in batches]
        try:
            answers = await asyncio.gather(*calls)
        finally:
            await _end(calls)
        return [verdict for batch in answers for verdict in batch]

    async def list_users(self, sync_id: str, *, object: str, role: Role = "can_read") -> list[str]:
        """Return everybody who has *role* on *object*, as the service names them.

        The service cuts this list without a word: one that reaches its cap raises
        `IncompleteListError`, which holds what came. Source: api.md 7.2.
        """
        request = endpoints.list_users(sync_id, object, role)
        return _complete(await self._channel.call(request, self._user))

    async def list_objects(
        self, sync_id: str, *, user: str, role: Role = "can_read", object_type: str = "file"
    ) -> list[str]:
        """Return the ids of all objects on which *user* has *role*: complete, or an error.

        It reads the stream, which is not cut. Where a service has no stream, the plain list serves,
        and raises `IncompleteListError` when it reaches its cap. Source: api.md 7.2, 7.4.
        """
        request = endpoints.list_objects(sync_id, user, role, object_type)
        try:
            stream = self.stream_objects(sync_id, user=user, role=role, object_type=object_type)
            return [found async for found in stream]
        except (NotFoundError, BadRequestError):
            return _complete(await self._channel.call(request, self._user))

    async def stream_objects(
        self, sync_id: str, *, user: str, role: Role = "can_read", object_type: str = "file"
    ) -> AsyncGenerator[str, None]:
        """Yield the ids of all objects on which *user* has *role*, as they come.

        The stream is read in the background to its end, whatever the pace of the loop, so that
        nothing hangs on a loop that is left; ids that wait are kept in memory. Raises `DecodeError`
        when the service breaks the list off. Source: api.md 7.2.
        """
        request = endpoints.stream_objects(sync_id, user, role, object_type)
        queue: asyncio.Queue[str | None] = asyncio.Queue()

        async def read() -> None:
            try:
                async with self._channel.open(request, self._user) as response:
                    rest = b""
                    while chunk := await response.next_chunk():
                        *lines, rest = (rest + chunk).split(b"\n")
                        _put(queue, lines)
                        if len(rest) > _LONGEST_LINE:
                            raise CutShortError("a line of the stream does not end")
                    _put(queue, [rest])
                    if not response.framed:
                        raise CutShortError("nothing marks the end of the list: it may be cut")
            finally:
                queue.put_nowait(None)

        reader = asyncio.create_task(read())
        reader.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            while (found := await queue.get()) is not None:
                yield found
            await reader
        finally:
            await _end([reader])

    async def expand(self, sync_id: str, *, object: str, relation: str = "can_read") -> Tree:
        """Return why: one level of the graph below *relation* on *object*. Source: api.md 7.3."""
        request = endpoints.expand(sync_id, object, relation)
        return await self._channel.call(request, self._user)

    async def filter_allowed(
        self, sync_id: str, records: Iterable[R], *, user: str, role: Role = "can_read"
    ) -> list[R]:
        """Return those of *records* that *user* may see, in their order; in doubt, not.

        The records are ids, or anything with an `id`, such as search hits. An error on a single check
        denies that record; a call that fails raises.
        """
        kept = list(records)
        ids = [record if isinstance(record, str) else str(getattr(record, "id")) for record in kept]  # noqa: B009  # R is any type
        verdicts = await self.batch_check(sync_id, [Check(i, user, role) for i in ids])
        return [record for record, verdict in zip(kept, verdicts, strict=True) if verdict.allowed]

    async def _batch(self, sync_id: str, checks: Sequence[Check]) -> list[Verdict]:
        """Ask one batch, halving it where the service finds it too large."""
        try:
            return await self._channel.call(endpoints.batch_check(sync_id, checks), self._user)
        except BadRequestError as error:
            if error.status != _TOO_LARGE or len(checks) == 1:
                raise
        middle = len(checks) // 2
        first = await self._batch(sync_id, checks[:middle])
        return first + await self._batch(sync_id, checks[middle:])


def _put(queue: asyncio.Queue[str | None], lines: Sequence[bytes]) -> None:
    for line in lines:
        found = shapes.streamed_object(line)
        if found is not None:
            queue.put_nowait(found)


def _complete(names: list[str]) -> list[str]:
    if len(names) >= _CAP:
        raise IncompleteListError(
            f"the service cuts lists at {_CAP} and sent {len(names)}: there may be more",
            partial=names,
        )
    return names


async def _end(tasks: Sequence[asyncio.Task[object]]) -> None:
    under_way = [task for task in tasks if not task.done()]
    for task in under_way:
        task.cancel()
    if under_way:
        await asyncio.wait(under_way)
