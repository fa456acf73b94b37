"""Records of one user's syncs: pages, single records, contents. Source: api.md 1.7, 1.8, 3 to 5."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import attrs

from paragon_async.api import endpoints
from paragon_async.api.paging import follow
from paragon_async.api.shapes import Envelope
from paragon_async.errors import (
    BadRequestError,
    ConfigurationError,
    DownloadError,
    MalformedAnswerError,
    ParagonError,
)
from paragon_async.models import Page, Record
from paragon_async.models.records import build
from paragon_async.transport.channel import LARGEST_PAGE, Channel
from paragon_async.transport.protocols import Response

if TYPE_CHECKING:
    from paragon_async.api.subject import Subject
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
        pages = self.pages(
            sync_id, model, after=after, page_size=page_size, pages_ahead=pages_ahead
        )
        async with aclosing(pages):
            async for page in pages:
                for record in page.records:
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
        if page_size < 1 or pages_ahead < 0:
            raise ConfigurationError("page_size must be at least 1 and pages_ahead at least 0")
        fetcher = _Fetcher(self._channel, self._user, sync_id, page_size)
        feed = follow(
            fetcher.fetch, after, pages_ahead=pages_ahead, pause=self._channel.clock.sleep
        )
        last = after
        async with aclosing(feed):
            async for found in feed:
                # A cursor that leads somewhere is never replaced by none.
                last = found.cursor or last
                records = [build(item, model, f"$.data[{n}]") for n, item in enumerate(found.items)]
                yield Page(records, last, found.remaining, found.total)

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
        disk: Disk | None = None,
    ) -> Saved:
        """Store the content of a file or ticket on disk, whole and checked, or not at all.

        *record* is an id, or better a record, whose size and hash then serve as evidence. *to* is a
        file, or a folder that exists: there the name is made safe and distinct from the record's own
        (`report~1a2b3c4d.pdf`). *progress* is called with the bytes that have come and the total or
        None; it can go back when a body is begun anew. With *durability* `file` the file and its name
        last through a power cut once this returns; with `none` the operating system writes them when
        it likes, which is faster for many small files. *disk* stands in for the machine's, in tests.

        Returns `Saved`; without any evidence its `verified` is False. A file that was there is
        replaced only by a complete one. Raises `DownloadError` for folders, for a disk that refuses,
        and when the content contradicts the evidence. Cancelling removes the part file; a
        process that is killed leaves it behind as `.paragon-….part`. Source: api.md 5.
        """
        from paragon_async.api import subject  # noqa: PLC0415  # who only pulls does not pay
        from paragon_async.download import save  # noqa: PLC0415  # as above

        item = subject.of(record)
        target = _target(to, item)

        def fetch(headers: Mapping[str, str]) -> AbstractAsyncContextManager[Response]:
            request = endpoints.record_content(sync_id, item.id, headers)
            return self._channel.open(request, self._user)

        return await save(
            fetch,
            target,
            item.evidence,
            again=self._again,
            progress=progress,
            durability=durability,
            disk=disk,
        )

    @asynccontextmanager
    async def _content(self, sync_id: str, record_id: str) -> AsyncGenerator[Content, None]:
        request = endpoints.record_content(sync_id, record_id)
        async with self._channel.open(request, self._user) as response:
            if response.status != HTTPStatus.OK:
                raise MalformedAnswerError(f"{response.status} is no status for a content")
            yield Content(response)

    async def _again(self, error: ParagonError, attempt: int) -> bool:
        wait = self._channel.patience(error, attempt)
        if wait is None:
            return False
        await self._channel.clock.sleep(wait)
        return True


@attrs.define(eq=False, repr=False)
class _Fetcher:
    """Fetches pages of one sync, in a size that the service accepts."""

    channel: Channel
    user: str | None
    sync_id: str
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
        request = endpoints.pull_records(self.sync_id, cursor, self.page_size)
        return await self.channel.call(request, self.user)


def _target(given: str | os.PathLike[str], item: Subject) -> Path:
    if item.is_folder:
        raise DownloadError(f"record {item.id} is a folder: it has no content to download")
    to = Path(given)
    try:
        if to.is_dir():
            return to / item.file_name
        if os.fspath(given).endswith(os.sep):
            raise DownloadError(f"there is no folder {to}")
        if to.exists() and not to.is_file():
            raise DownloadError(f"cannot write {to}: it is no regular file")
        if not to.parent.is_dir():
            raise DownloadError(f"cannot write {to}: the folder {to.parent} does not exist")
    except OSError as error:
        raise DownloadError(f"cannot write {to}: {error.strerror}") from error
    return to
