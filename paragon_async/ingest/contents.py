"""One record's content: is it wanted, is it new, and what does its failure mean.

    same version, same name      nothing to do
    same version, new name       moved, not fetched
    left by a killed run         taken up, when size and hash of the record agree
    else                         downloaded beside, verified, put, its receipt written

What fails for good becomes a dead letter; what stops everything is raised. `judge` decides which.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from paragon_async.api import subject
from paragon_async.client import ConnectedUser
from paragon_async.convert import either
from paragon_async.disk import OF_ONE_NAME
from paragon_async.errors import (
    ApiError,
    AuthenticationError,
    CertificateError,
    DecodeError,
    DestinationError,
    DownloadError,
    ParagonError,
    RedirectRefusedError,
)
from paragon_async.ingest.book import Book
from paragon_async.ingest.sinks.protocol import Sink
from paragon_async.ingest.statements import Known
from paragon_async.ingest.values import DeadLetter, Receipt, Wanted, version_of
from paragon_async.models import Record
from paragon_async.models.records import FOLDER
from paragon_async.names import safe_name
from paragon_async.threads import in_thread

if TYPE_CHECKING:
    from paragon_async.download import Progress
    from paragon_async.ingest.state import State

_log = logging.getLogger("paragon_async.ingest")
# What can concern one content alone, though it looks as if it concerned them all.
ELSEWHERE = (AuthenticationError, CertificateError, RedirectRefusedError)
_LONGEST_REASON = 500
_WITH_CONTENT = {"files", "tickets"}
_PIPELINES = _WITH_CONTENT | {"contacts", "companies", "deals", "custom_objects"}


class Need(enum.Enum):
    """What a record's content needs.

    Nothing where none is wanted; dropping, where none is wanted and an old one is there; keeping,
    where it is there under its name; else bringing.
    """

    NOTHING = enum.auto()
    DROP = enum.auto()
    KEEP = enum.auto()
    BRING = enum.auto()


@attrs.frozen(kw_only=True)
class Fetched:
    """What came of a content: its receipt, whether it is new, was moved, or why there is none."""

    receipt: Receipt | None = None
    is_new: bool = False
    size: int = 0
    dead: DeadLetter | None = None
    passing: ParagonError | None = None


@attrs.frozen(eq=False, kw_only=True)
class Contents:
    """Brings contents of one sync into a sink.

    Where *pipeline* is not known, the look of a record decides whether it has one. *mode* is what
    *wanted* comes to: nothing where it is False.
    """

    user: ConnectedUser
    sync_id: str
    sink: Sink
    book: Book
    state: State
    wanted: Wanted
    pipeline: str | None = None
    mode: bool | str = True

    @property
    def brings_any(self) -> bool:
        """Whether any record can want its content: false, `plan` needs to see none that has none."""
        return self.sink.contents and self.mode is not False and self._may_have_any

    @property
    def _may_have_any(self) -> bool:
        return self.pipeline in _WITH_CONTENT or self.pipeline not in _PIPELINES

    def plan(self, record: Record, known: Known) -> Need | DeadLetter:
        """Decide what a record's content needs; a record that cannot be read becomes a letter."""
        receipt = known.receipt
        is_old = receipt is not None and receipt.version != version_of(record.data)
        if not self.sink.contents or not self._is_wanted(record):
            return Need.DROP if is_old else Need.NOTHING
        try:
            subject.of(record)
        except DecodeError as error:
            return judge(error, record)
        is_there = receipt and not is_old and Path(receipt.path).name == content_name(record)
        return Need.KEEP if is_there else Need.BRING

    def _is_wanted(self, record: Record) -> bool:
        return self._may_have_any and has_content(record) and self.wanted(record)

    async def bring(
        self, record: Record, known: Known, *, progress: Progress | None = None
    ) -> Fetched:
        """Bring a record's content; raises only what concerns all records.

        Cancelling leaves the old content, or the new one, with or without its receipt.
        """
        try:
            return await self._bring(record, known, progress)
        except ParagonError as error:
            if isinstance(error, ELSEWHERE):
                # Of the provider, or of one host that it sent us to; or of the API, which tells now.
                await self.user.syncs.status(self.sync_id)
            dead = judge(error, record)
            _log.warning("no content of %r, %r: %s", dead.id, dead.name, error)
            return Fetched(
                dead=dead,
                receipt=await self._left(record, known, error),
                passing=error if dead.passing and dead.kind != "corrupt" else None,
            )

    async def _bring(self, record: Record, known: Known, progress: Progress | None) -> Fetched:
        found = await self._kept(record, known)
        if found is None:
            found = await self._fetch(record, progress)
        # Where the sink settles once a page, a receipt before that would promise too much; and until
        # the receipt names the new content, the old one is what the mirror has.
        if found.receipt and not self.sink.settles:
            await self.book.receive(found.receipt)
            if known.receipt or known.is_suspect:
                await self.sink.remove(record.id, found.receipt.path)
        return found

    async def _fetch(self, record: Record, progress: Progress | None) -> Fetched:
        """Download a content beside the mirror, and give it to the sink."""
        target = self.state.spool / secrets.token_hex(8)
        try:
            saved = await self.user.records.download(
                self.sync_id,
                record,
                target,
                progress=progress,
                durability="none",
                disk=self.state.disk,
            )
            path = await self.sink.put(saved.path, record.id, content_name(record))
        finally:
            # A sink that moved it left nothing: looking costs less than a hop to a thread.
            if _is_there(target):
                await in_thread(self._drop, target)
        assert saved.sha256 is not None  # noqa: S101  # it was asked for
        receipt = Receipt(
            id=record.id,
            version=version_of(record.data),
            path=path,
            size=saved.size,
            sha256=saved.sha256,
            content_type=saved.content_type,
            verified_by=saved.verified_by,
        )
        return Fetched(receipt=receipt, is_new=True, size=saved.size)

    async def _kept(self, record: Record, known: Known) -> Fetched | None:
        """Make do with a content that is there already, or return None."""
        version = version_of(record.data)
        receipt = known.receipt
        if receipt and receipt.version == version and await self._is_true(known, receipt):
            path = await self.sink.move(receipt.path, record.id, content_name(record))
            if path:
                return Fetched(receipt=attrs.evolve(receipt, path=path))
        evidence = subject.of(record).evidence
        if not known.is_suspect or not evidence.digest or not evidence.size:
            return None
        adopted = await self.sink.adopt(record.id, content_name(record), evidence)
        if adopted is None:
            return None
        return Fetched(
            receipt=Receipt(
                id=record.id,
                version=version,
                path=adopted.location,
                size=evidence.size,
                sha256=adopted.sha256,
                verified_by=("size", evidence.algorithm or "sha256"),
            ),
            is_new=True,
        )

    def _drop(self, path: Path) -> None:
        # A sink that moved it left nothing; what cannot be removed is swept with the next opening.
        with contextlib.suppress(OSError):
            self.state.disk.unlink(path)

    async def _left(self, record: Record, known: Known, error: ParagonError) -> Receipt | None:
        """Return the receipt of the old content after a failure, if that is still what lies there."""
        receipt = known.receipt
        if receipt is None or not (known.is_suspect or isinstance(error, DestinationError)):
            return receipt
        if not await self.sink.holds(receipt.path, receipt.size, receipt.sha256):
            return None
        # What an earlier run may have put beside it goes now: nobody will look again.
        await self.sink.remove(record.id, receipt.path)
        return receipt

    async def _is_true(self, known: Known, receipt: Receipt) -> bool:
        """Tell whether a receipt can be believed: of a suspect, its content is read."""
        return not known.is_suspect or await self.sink.holds(
            receipt.path, receipt.size, receipt.sha256
        )


def judge(error: ParagonError, record: Record) -> DeadLetter:
    """Return the dead letter that *error* makes of one record, or raise it: it concerns them all."""
    match error:
        case DestinationError():
            if error.errno not in OF_ONE_NAME:
                raise error
            kind = "name"
        case ApiError():
            kind = str(error.status)
        case DownloadError():
            kind = "corrupt"
        case DecodeError():
            kind = "shape"
        case CertificateError() | RedirectRefusedError():
            kind = "redirect"
        case _ if error.retryable:
            kind = "unreachable"
        case _:
            raise error
    return DeadLetter(
        id=record.id,
        name=label_of(record),
        kind=kind,
        reason=str(error)[:_LONGEST_REASON],
        # A file that changed since its record was pulled is whole again with its next record, an
        # account that the provider refuses is connected anew, and hosts are mended.
        passing=error.retryable or kind in {"corrupt", "401", "redirect"},
    )


def has_content(record: Record) -> bool:
    """Tell files and tickets from folders, tombstones and all that lives in a CRM. Pure."""
    data = record.data
    if record.deleted or "objectType" in data or "object_type" in data:
        return False
    if "title" in data or "originalRecord" in data or "original_record" in data:
        return True
    mime_type, size = either(data, "mimeType", "mime_type"), data.get("size")
    return bool(mime_type or size) and mime_type != FOLDER


def label_of(record: Record) -> str | None:
    """Return what a record is called at its source."""
    for key in ("name", "fileName", "file_name", "title"):
        found = record.data.get(key)
        if isinstance(found, str):
            return found
    return None


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def content_name(record: Record) -> str:
    """Return the name that a content has in a mirror."""
    return safe_name(subject.of(record).label or record.id, record.id)
