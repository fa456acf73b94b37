"""From an open answer to a whole file: beside, verify, rename.

    save(fetch, target, evidence)    a part file beside the target; large batches written and hashed
                                     off the loop; resumed where the server proved it can; checked
                                     against all evidence; synced, renamed, its folder synced

Under the final name there is at every instant the old file, nothing, or the new file complete.
Source: failures.md findings 1, 2, 5, 18 and F51 to F53, F90 to F101.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Literal, Protocol

import attrs

from paragon_async.disk import Disk
from paragon_async.errors import (
    ApiError,
    CutShortError,
    DownloadError,
    MalformedAnswerError,
    ParagonError,
    TransportError,
)
from paragon_async.part import Part
from paragon_async.threads import Inline, in_thread
from paragon_async.transport.protocols import Bulk, Response

Fetch = Callable[[Mapping[str, str]], AbstractAsyncContextManager[Response]]
Progress = Callable[[int, int | None], None]
Durability = Literal["file", "none"]
_BATCH = 1 << 20
_SMALL = 256 << 10
_WHOLE = 200
_PARTIAL = 206
_UNSATISFIABLE = 416
_ALGORITHMS = {"md5": "md5", "sha1": "sha1", "sha256": "sha256", "sha512": "sha512"}


class Again(Protocol):
    """Waits before the next try of a broken body; False when there is to be none."""

    def __call__(self, error: ParagonError, attempt: int) -> Awaitable[bool]:
        """Decide about *attempt*, counted from 1."""
        ...


@attrs.frozen(kw_only=True)
class Evidence:
    """What is known of a file before it comes: *size* in bytes, *digest* as hex by *algorithm*."""

    size: int | None = None
    algorithm: str | None = None
    digest: str | None = None

    @classmethod
    def of(cls, size: int | None, kind: str | None, value: str | None) -> Evidence:
        """Keep what can serve: zero stands for unknown in some integrations."""
        algorithm = _ALGORITHMS.get((kind or "").lower().replace("-", ""))
        usable = algorithm is not None and re.fullmatch(r"[0-9a-fA-F]{32,128}", value or "")
        return cls(
            size=size or None,
            algorithm=algorithm if usable else None,
            digest=value.lower() if usable and value else None,
        )


@attrs.frozen(kw_only=True)
class Saved:
    """A file in its place. *verified_by* names the evidence that it agrees with.

    `length` stands for an announced length or a marked end of the body, `size` and the name of a
    hash for what the record promised. *sha256* is None only where it was not wanted.
    """

    path: Path
    size: int
    sha256: str | None
    content_type: str | None
    verified_by: tuple[str, ...]
    record_id: str | None = None

    @property
    def verified(self) -> bool:
        """Whether there was any evidence that the file is whole."""
        return bool(self.verified_by)


@attrs.define
class _Facts:
    """What the answers told about the file while it came."""

    content_type: str | None = None
    framed: bool = False
    total: int | None = None
    etag: str | None = None


async def save(
    fetch: Fetch,
    target: Callable[[], Path],
    evidence: Evidence,
    *,
    again: Again,
    progress: Progress | None = None,
    durability: Durability = "file",
    sha256: bool = True,
    record_id: str | None = None,
    disk: Disk | None = None,
    inline: Inline | None = None,
    complete: Callable[[Saved], None] | None = None,
) -> Saved:
    """Store a file at *target*, replacing what is there only when the new file is complete.

    *fetch* opens the content with the given request headers. A broken body is resumed or begun
    anew as long as *again* allows. With *durability* `file` the file and its name last through a
    power cut once this returns; with `none` the caller sees to that, and *inline*, if given, finishes
    small files. Without *sha256* only the hash that the evidence names is computed. Raises
    `DownloadError` when the disk refuses or the evidence contradicts. On any error the part file is
    removed and the old file stays; cancelled, too, unless the new one is being given its name already:
    then *complete*, if given, hears of it.
    """
    algorithms = {"sha256"} if sha256 else set()
    if evidence.digest and evidence.algorithm:
        algorithms.add(evidence.algorithm)
    part = Part(target, algorithms, disk)
    facts = _Facts()
    stored: list[Saved] = []
    try:
        rest = await _receive(fetch, part, evidence, facts, again, progress)

        def finish() -> Saved:
            part.write(rest)
            digests = part.digests()
            verified_by = judge(evidence, facts.framed, part.size, digests)
            part.commit(durable=durability == "file")
            saved = Saved(
                path=part.target,
                size=part.size,
                sha256=digests.get("sha256"),
                content_type=facts.content_type,
                verified_by=verified_by,
                record_id=record_id,
            )
            stored.append(saved)
            return saved

        # To flush is to wait for a device, which is never done in the loop.
        if inline and durability == "none" and part.size + sum(map(len, rest)) <= _SMALL:
            return await inline.run(finish)
        return await in_thread(finish)
    except BaseException:
        if complete:
            for saved in stored:
                complete(saved)
        await part.abandon()
        raise


def judge(
    evidence: Evidence,
    framed: bool,  # noqa: FBT001  # a fact among others
    size: int,
    digests: Mapping[str, str],
) -> tuple[str, ...]:
    """Return the names of the evidence that agrees; raise `DownloadError` where any contradicts."""
    agreed = ["length"] if framed else []
    if evidence.size is not None:
        if size != evidence.size:
            raise DownloadError(
                f"{size} bytes came where the record promises {evidence.size}: "
                "the file changed since, or the content is wrong; pull the record again"
            )
        agreed.append("size")
    if evidence.algorithm and evidence.digest:
        if digests[evidence.algorithm] != evidence.digest:
            raise DownloadError(
                f"the content's {evidence.algorithm} is not the record's: "
                "the file changed since, or the content is wrong; pull the record again"
            )
        agreed.append(evidence.algorithm)
    return tuple(agreed)


async def _receive(  # noqa: PLR0917  # one step of `save`, with all it holds
    fetch: Fetch,
    part: Part,
    evidence: Evidence,
    facts: _Facts,
    again: Again,
    progress: Progress | None,
) -> list[bytes]:
    """Read the body to its end over as many answers as it takes; return what is not yet written."""
    attempt = 1
    while True:
        begun = part.size
        wanted = _range(part.size, facts.etag)
        came = False
        try:
            async with fetch(wanted) as response:
                came = True
                if not _continues(response, part.size, facts, asked=bool(wanted)):
                    await in_thread(part.restart)
                _note(response, facts)
                return await _drain(response, part, evidence, facts, progress)
        except ApiError as error:
            if error.status != _UNSATISFIABLE or not wanted:
                raise
            # What we hold is not a beginning of what is there now: take it anew, whole.
            facts.etag = None
        except TransportError as error:
            attempt = 1 if part.size > begun and facts.etag else attempt
            # Without an answer *fetch* has tried as often as it may.
            if not came or not await again(error, attempt):
                raise
            attempt += 1


def _range(offset: int, etag: str | None) -> dict[str, str]:
    """Ask for the rest only where the server gave a strong validator to hold it to."""
    if not offset or etag is None:
        return {}
    return {"Range": f"bytes={offset}-", "If-Range": etag}


def _continues(response: Response, offset: int, facts: _Facts, *, asked: bool) -> bool:
    """Tell whether the body goes on at *offset*; raise where the server mixes things up."""
    if response.status != _WHOLE and not (asked and response.status == _PARTIAL):
        facts.etag = None
        raise MalformedAnswerError(f"{response.status} is no status for the content of a file")
    if response.status == _WHOLE:
        return offset == 0
    found = re.fullmatch(
        r"bytes ([0-9]{1,20})-[0-9]+/([0-9]+|\*)", response.headers.get("Content-Range", "").strip()
    )
    total_fits = found and found[2] in {"*", str(facts.total)}
    if not found or int(found[1]) != offset or not total_fits:
        facts.etag = None
        raise MalformedAnswerError("the server sent another range than was asked for")
    return True


def _note(response: Response, facts: _Facts) -> None:
    kind = response.headers.get("Content-Type")
    # Bytes that are no text come as half surrogates, which no receipt could hold.
    facts.content_type = None if kind is None else kind.encode(errors="replace").decode()
    facts.framed = response.framed
    if response.status == _PARTIAL:
        return
    etag = response.headers.get("ETag", "")
    ranges = response.headers.get("Accept-Ranges", "").strip().lower() == "bytes"
    facts.total = response.length
    strong = re.fullmatch(r'"[!#-~]*"', etag) and ranges and response.length is not None
    facts.etag = etag if strong else None


async def _drain(
    response: Response,
    part: Part,
    evidence: Evidence,
    facts: _Facts,
    progress: Progress | None,
) -> list[bytes]:
    """Write the body in large batches; the last one is left to whoever finishes the file."""
    intake = _Intake(part.size, evidence, facts, progress)
    if bulk := response.bulk():
        with bulk:
            await _pour(bulk, part, intake)
        return []
    batch: list[bytes] = []
    waiting = 0
    try:
        while chunk := await response.next_chunk():
            batch.append(chunk)
            waiting += len(chunk)
            intake.count(len(chunk))
            if waiting >= _BATCH:
                full, batch, waiting = batch, [], 0
                await part.write_behind(full)
        intake.end()
    except TransportError:
        await part.settle()
        await in_thread(part.write, batch)
        raise
    await part.settle()
    return batch


async def _pour(bulk: Bulk, part: Part, intake: _Intake) -> None:
    """Write a large body piece by piece: while one comes, the one before it is written."""
    try:
        while piece := await bulk.next():
            intake.count(len(piece))
            await part.write_behind([piece])
        intake.end()
    finally:
        await part.settle()


@attrs.define
class _Intake:
    """Counts what comes, and holds it against what is known of the whole file."""

    # The part itself lags behind: a batch may still be with its thread.
    come: int
    evidence: Evidence
    facts: _Facts
    progress: Progress | None

    def count(self, size: int) -> None:
        """Count *size* more bytes."""
        self.come += size
        wanted = self.evidence.size
        if wanted is not None and self.come > wanted:
            raise DownloadError(
                f"more than the {wanted} bytes that the record promises came: "
                "the file changed since, or the content is wrong; pull the record again"
            )
        if self.progress:
            self.progress(self.come, self.facts.total or wanted)

    def end(self) -> None:
        """Hold the end of a body against what the first answer announced for the whole file."""
        total = self.facts.total
        if total is None or self.come == total:
            return
        if self.come > total:
            self.facts.etag = None
            raise MalformedAnswerError(f"{self.come} bytes came of {total}")
        raise CutShortError(f"only {self.come} of {total} bytes came")
