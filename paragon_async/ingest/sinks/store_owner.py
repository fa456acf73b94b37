"""Whose a place in an object store is: the object `.paragon-owner` below its prefix."""

from __future__ import annotations

from paragon_async.ingest.sinks.bucket import Bucket
from paragon_async.ingest.sinks.owner import OWNER, judge, read, written


def claim(bucket: Bucket, where: str, owner: str, *, is_new: bool) -> None:
    """Put the *owner*'s name durably; blocks, raises `SinkError` as `judge`, or the store's errors."""
    is_empty = bucket.is_empty(but=OWNER)
    data = bucket.small(OWNER)
    found = None if data is None else read(data)
    if not judge(where, found, owner, is_new=is_new, is_empty=is_empty):
        return
    if data is None:
        bucket.create(OWNER, written(owner))
    else:
        bucket.put(OWNER, written(owner), len(written(owner)))
    # Whoever was quicker is there now; so is the last one, where the store cannot tell.
    data = bucket.small(OWNER)
    judge(where, read(data or b""), owner, is_new=is_new, is_empty=is_empty)
