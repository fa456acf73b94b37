"""Records of one user's syncs: pages, single records, contents. Source: api.md 1.7, 1.8, 3 to 5."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar, overload

import attrs

from paragon_async.api import drafts, endpoints
from paragon_async.api.paging import follow
from paragon_async.api.shapes import Envelope
from paragon_async.errors import (
    BadRequestError,
    ConfigurationError,
    MalformedAnswerError,
    NotJsonError,
)
from paragon_async.models import Page, Record
from paragon_async.models.records import build
from paragon_async.threads import Inline
from paragon_async.transport.channel import LARGEST_PAGE, Channel
from paragon_async.transport.protocols import Response

if TYPE_CHECKING:
    from paragon_async.api.bulk import OnError, Source
    from paragon_async.api.contents import Contents, DurabilityOfMany
    from paragon_async.disk import Disk
    from paragon_async.download import Durability, Progress, Saved

M = TypeVar("M")
_MODEST_PAGE = 100


@attrs.frozen(eq=False)
class Content:
    """The content of a record, open. Read it by *chunks*, or whole with *read*, once."""

    _response: Response = attrs.field(repr=False)

    @property
    def content_type(self) -> str | None:
        """The MIME type that the service gave; an exported document's differs from its record's."""
        return self._response.headers.get("Content-Type")

    @property
    def size(self) -> int | None:
        """The announced size in bytes, None where the service announces none."""
        return self._response.length

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes as they come, in pieces of no fixed size.

        Raises `CutShortError` when the body ends before its announced end.
        """
        while chunk := await self._response.next_chunk():
            yield chunk

    async def read(self, limit: int = LARGEST_PAGE) -> bytes:
        """Return the whole content; `DecodeError` when it is larger than *limit* bytes."""
        return await self._response.read(limit)


@attrs.frozen(eq=False)
class Records:
    """What the syncs of one connected user hold."""

    _channel: Channel = attrs.field(repr=False)
    _user: str | None
    _inline: Inline = attrs.field(factory=Inline, repr=False)

    @overload
    def pull(
        self, sync_id: str, *, after: str | None = ..., page_size: int = ..., pages_ahead: int = ...
    ) -> AsyncGenerator[Record, None]: ...

    @overload
    def pull(
        self,
        sync_id: str,
        model: type[M],
        *,
        after: str | None = ...,
        page_size: int = ...,
        pages_ahead: int = ...,
    ) -> AsyncGenerator[M, None]: ...

    async def pull(
        self,
        sync_id: str,
        model: type[Any] = Record,
        *,
        after: str | None = None,
        page_size: int = 1000,
        pages_ahead: int = 1,
    ) -> AsyncGenerator[Any, None]:
        """Yield every record after the cursor *after*, in the feed's order, following the cursor.

        The records are *model*: the thin `Record`, or a typed one such as `File`. The feed is
        at-least-once: an id can come again, the later one counts; `deleted` ones are tombstones. The
        next page is fetched while the caller works. To resume later, use `pages`, whose pages carry
        the cursor. The loop can be left in any way; nothing stays open. Raises `StalledCursorError`
        when the feed stops leading on, `DecodeError` for a record that does not fit *model*.
        Source: api.md 3.4 and 3.5.
        """
        feed = self._feed(sync_id, model, after, page_size, pages_ahead)
        async with aclosing(feed):
            async for page in feed:
                for record in page.records(model):
                    yield record

    @overload
    def pages(
        self, sync_id: str, *, after: str | None = ..., page_size: int = ..., pages_ahead: int = ...
    ) -> AsyncGenerator[Page[Record], None]: ...

    @overload
    def pages(
        self,
        sync_id: str,
        model: type[M],
        *,
        after: str | None = ...,
        page_size: int = ...,
        pages_ahead: int = ...,
    ) -> AsyncGenerator[Page[M], None]: ...

    async def pages(
        self,
        sync_id: str,
        model: type[Any] = Record,
        *,
        after: str | None = None,
        page_size: int = 1000,
        pages_ahead: int = 1,
    ) -> AsyncGenerator[Page[Any], None]:
        """Yield the pages that `pull` takes its records from.

        Save `page.cursor` once a page's records are safe, and pass it as *after* next time. When the
        service refuses the first page for its size, the pull goes on with pages of 100. A page that
        the service sends empty is yielded too: it says that there is nothing
        new, or, with *remaining* above 0, that the service contradicts itself, asked three times.
        Source: api.md 1.7 and 3.4.
        """
        feed = self._feed(sync_id, model, after, page_size, pages_ahead)
        last = after
        async with aclosing(feed):
            async for found in feed:
                # A cursor that leads somewhere is never replaced by none.
                last = found.cursor or last
                yield Page([*found.records(model)], last, found.remaining, found.total)

    @overload
    async def get(self, sync_id: str, record_id: str) -> Record: ...

    @overload
    async def get(self, sync_id: str, record_id: str, model: type[M]) -> M: ...

    async def get(self, sync_id: str, record_id: str, model: type[Any] = Record) -> Any:
        """Return one record by Paragon's id; `NotFoundError` if it is gone. Source: api.md 1.8."""
        found = await self._channel.call(endpoints.get_record(sync_id, record_id), self._user)
        return build(found, model)

    def content(self, sync_id: str, record_id: str) -> AbstractAsyncContextManager[Content]:
        """Open the content of a file or ticket: `async with records.content(…) as content`.

        The connection is held until the block is left, in whatever way. Retries cover the time up to
        the headers; a body that breaks raises, `download` is what resumes. Source: api.md 5.
        """
        return self._content(sync_id, record_id)

    async def download(
        self,
        sync_id: str,
        record: object,
        to: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        durability: Durability = "file",
        sha256: bool = True,
        disk: Disk | None = None,
    ) -> Saved:
        """Store the content of a file or ticket on disk, whole and checked, or not at all.

        *record* is an id, or better a record, whose size and hash then serve as evidence. *to* is a
        file, or a folder that exists: there the name is made safe and distinct from the record's own
        (`report~1a2b3c4d5e6f.pdf`). *progress* is called with the bytes that have come and the total or
        None; it can go back when a body is begun anew. With *durability* `file` the file and its name
        last through a power cut once this returns; with `none` the operating system writes them when
        it likes. That is faster for many small files: up to 256 KiB are then written within the event
        loop, as long as the disk answers at once. Without *sha256* only the hash that the record names
        is computed. *disk* stands in for the machine's, in tests.

        Returns `Saved`; without any evidence its `verified` is False. A file that was there is
        replaced only by a complete one. Raises `DownloadError` for folders, for a disk that refuses,
        and when the content contradicts the evidence. Cancelling removes the part file, or
        lets the new one stand if it is complete already; a process that is killed leaves it behind as
        `.paragon-….part`. Source: api.md 5.
        """
        contents = self._contents(sync_id, durability, sha256, disk)
        return await contents.bring(record, to, progress)

    async def download_all(
        self,
        sync_id: str,
        records: Source,
        folder: str | os.PathLike[str],
        *,
        concurrency: int = 32,
        durability: DurabilityOfMany = "file",
        sha256: bool = True,
        on_error: OnError | None = None,
        disk: Disk | None = None,
    ) -> AsyncGenerator[Saved, None]:
        """Store the contents of many *records* in *folder*, some at once, and yield each as it is done.

        *records* are ids or records, from a list or from `pull(…)` itself; folders and tombstones are
        passed over. Names are made safe and distinct, as by `download`, and `Saved.record_id` tells
        whose file it is. Of a record that comes twice the later content stays. *concurrency* bounds
        what is under way, as does the client's `Limits(downloads=…)`. *durability* is as for
        `download`, or `batch`: what has come meanwhile is flushed together, and only then yielded;
        before that, a power cut can leave such a file empty.

        A record that fails, such as one whose file changed since its version in the feed, goes to
        `on_error(record, error)`, which may be async, and the others go on; without *on_error*, and
        where the error concerns them all (a refused token, a full disk), it is raised after what was
        done is yielded. A slow caller slows the downloads. The loop can be left in any way: what is
        under way is dropped, or complete and not told, nothing stays open, and a generator given as
        *records* is closed. It is drawn from by one task after another.
        """
        from paragon_async.api.bulk import close  # noqa: PLC0415  # who only pulls does not pay

        try:
            contents = self._contents(sync_id, durability, sha256, disk)
            made = contents.bring_all(records, folder, concurrency, on_error)
        except BaseException:
            await close(records)
            raise
        async with aclosing(made):
            async for saved in made:
                yield saved

    def _contents(
        self,
        sync_id: str,
        durability: DurabilityOfMany,
        sha256: bool,  # noqa: FBT001  # handed on
        disk: Disk | None,
    ) -> Contents:
        from paragon_async.api.contents import Contents  # noqa: PLC0415  # who only pulls does not pay
        from paragon_async.disk import SystemDisk  # noqa: PLC0415  # as above

        return Contents(
            channel=self._channel,
            user=self._user,
            inline=self._inline,
            sync_id=sync_id,
            durability=durability,
            sha256=sha256,
            disk=disk or SystemDisk(),
        )

    async def _feed(
        self, sync_id: str, model: type[Any], after: str | None, page_size: int, pages_ahead: int
    ) -> AsyncGenerator[Envelope, None]:
        """Yield pages whose bytes are JSON; where one's are not, go on from the page before it.

        From there on pages are decoded before the next is asked for, within the call, which retries.
        """
        if page_size < 1 or pages_ahead < 0:
            raise ConfigurationError("page_size must be at least 1 and pages_ahead at least 0")
        may_wait = True
        while True:
            parses = drafts.parser(model, may_wait=may_wait)
            fetch = _Fetcher(self._channel, self._user, sync_id, parses, page_size).fetch
            pause = self._channel.clock.sleep
            feed = follow(fetch, after, pages_ahead=pages_ahead, pause=pause)
            async with aclosing(feed):
                async for page in feed:
                    try:
                        page.settle(model)
                    except NotJsonError:
                        may_wait = False
                        break
                    after = page.cursor or after
                    yield page
                else:
                    return

    @asynccontextmanager
    async def _content(self, sync_id: str, record_id: str) -> AsyncGenerator[Content, None]:
        request = endpoints.record_content(sync_id, record_id)
        async with self._channel.open(request, self._user) as response:
            if response.status != HTTPStatus.OK:
                raise MalformedAnswerError(f"{response.status} is no status for a content")
            yield Content(response)


@attrs.define(eq=False, repr=False)
class _Fetcher:
    """Fetches pages of one sync, in a size that the service accepts."""

    channel: Channel
    user: str | None
    sync_id: str
    parses: Callable[[bytes], Any]
    page_size: int
    accepted: bool = False

    async def fetch(self, cursor: str | None) -> Envelope:
        try:
            page = await self._page(cursor)
        except BadRequestError:
            if self.accepted or self.page_size <= _MODEST_PAGE:
                raise
            self.page_size = _MODEST_PAGE
            page = await self._page(cursor)
        self.accepted = True
        return page

    async def _page(self, cursor: str | None) -> Envelope:
        request = endpoints.pull_records(self.sync_id, cursor, self.page_size, self.parses)
        return await self.channel.call(request, self.user)
