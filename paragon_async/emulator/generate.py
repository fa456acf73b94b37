"""Records out of nothing, for tests of scale: `contacts:100000`, `files:1000x32MiB`. Entirely ours.

A record depends on its pipeline, the seed and its number, which counts from 1, and on nothing else: the
same seed gives the same records in every run, and any of them can be made alone. Deals point to the
first hundred companies of their seed. Two specs of one pipeline, size and seed share ids: the later
wins.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence

import attrs

from paragon_async.emulator import samples
from paragon_async.emulator.errors import EmulatorError
from paragon_async.emulator.feed import Row
from paragon_async.emulator.virtual import VirtualFile, parse_size

_FORM = "write it like contacts:100000, files:50000 or files:1000x32MiB"
_MOST = 100_000_000
_VARIANT = {digit: f"{int(digit, 16) & 3 | 8:x}" for digit in "0123456789abcdef"}
_Make = Callable[[bytes, int, int], str]
_MAKERS: dict[str, _Make] = {
    "contacts": samples.contact,
    "companies": samples.company,
    "deals": samples.deal,
    "tickets": samples.ticket,
}
PIPELINES = ("files", *_MAKERS, "custom_objects")


@attrs.frozen
class Spec:
    """How many records a pipeline gets; *size* is that of each file, None for small ones."""

    pipeline: str
    count: int
    size: int | None = None
    seed: int = 0

    def external(self, number: int) -> str:
        """Return the integration's id of the record with a number."""
        sized = "" if self.size is None else f"{self.size}-"
        return f"gen-{self.pipeline}-{sized}{self.seed}-{number:06d}"


def parse_spec(text: str, seed: int = 0) -> Spec:
    """Read a spec, or raise an error that names the form."""
    found = re.fullmatch(r"([a-z_]+):([0-9]{1,18})(?:x(.+))?", text.strip())
    if found is None:
        raise EmulatorError(f"cannot generate {text!r:.80}: {_FORM}")
    pipeline, count, size = found[1], int(found[2]), found[3]
    if pipeline not in PIPELINES:
        raise EmulatorError(f"cannot generate {pipeline}: the pipelines are {', '.join(PIPELINES)}")
    if count > _MOST:
        raise EmulatorError(f"cannot generate {count} records: {_MOST} are the most")
    if size is not None and pipeline != "files":
        raise EmulatorError(f"cannot generate {text!r:.80}: only files have a size; {_FORM}")
    return Spec(pipeline, count, None if size is None else parse_size(size), seed)


def rows(
    spec: Spec, sync_id: str, start: int = 0, *, object_type: str = "Product_Catalog__c"
) -> Iterator[Row]:
    """Yield the records of a spec for a sync, without the first *start*.

    *object_type* is what custom objects say they are: the sync's `customObjectName`.
    """
    make = _maker(spec, object_type)
    is_file = spec.pipeline == "files"
    kind, parent = ("file", "root") if is_file else ("record", None)
    space = uuid.UUID(sync_id).bytes
    for number in range(start + 1, spec.count + 1):
        external = spec.external(number)
        record = _uuid5(space, external)
        digest = hashlib.sha1(external.encode(), usedforsecurity=False).digest()
        body = f'{{"id":"{record}","externalId":"{external}",{make(digest, number, spec.seed)}}}'
        yield Row(
            id=record, body=body, external=external, parent=parent, kind=kind, origin="generated"
        )


def virtual_of(external: str, specs: Sequence[Spec]) -> VirtualFile | None:
    """Return the file behind a generated record's external id, None if no spec makes it."""
    found = re.fullmatch(r"gen-files-(?:[0-9]+-)?-?[0-9]+-([0-9]{6,12})", external)
    if found is None:
        return None
    number = int(found[1])
    for spec in reversed(specs):
        is_ours = spec.pipeline == "files" and 1 <= number <= spec.count
        if is_ours and spec.external(number) == external:
            return _file_of(spec, number)
    return None


def _maker(spec: Spec, object_type: str) -> _Make:
    if spec.pipeline == "files":
        return lambda digest, number, _: samples.file(digest, _file_of(spec, number))
    if spec.pipeline == "custom_objects":
        # What a sync's configuration says may need to be escaped.
        quoted = json.dumps(object_type)
        return lambda digest, number, seed: samples.custom_object(digest, number, seed, quoted)
    return _MAKERS[spec.pipeline]


def _file_of(spec: Spec, number: int) -> VirtualFile:
    size = spec.size
    if size is None:
        digest = hashlib.sha1(f"size {spec.seed} {number}".encode(), usedforsecurity=False).digest()
        # As on real drives: many small ones, a few of 64 KiB, now and then an empty one.
        size = int.from_bytes(digest[:4], "big") % (1 << (4 + digest[4] % 13))
    return VirtualFile(spec.seed, number, size)


def _uuid5(space: bytes, name: str) -> str:
    """Do what uuid.uuid5 does, in a third of its time."""
    digest = hashlib.sha1(space + name.encode(), usedforsecurity=False).hexdigest()
    tail = f"{_VARIANT[digest[16]]}{digest[17:20]}-{digest[20:32]}"
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{tail}"
