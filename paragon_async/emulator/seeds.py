"""Records to begin with, from JSON lines: one object a line, for any pipeline. Entirely ours.

Blank lines are passed over. `externalId`, or else `id`, is needed: a text or a whole number. What JSON
cannot say again (NaN, half a surrogate pair) is an error, so that whatever is loaded can be sent.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from paragon_async.emulator.errors import EmulatorError

LONGEST = 4 << 20


def read_lines(source: Path | str) -> Iterator[dict[str, Any]]:
    """Yield the records of a file, given as a Path, or of a text; all have `externalId` as text.

    Raises `EmulatorError` with the file's name and the line.
    """
    if isinstance(source, str):
        yield from _records(io.BytesIO(source.encode(errors="surrogatepass")), "the text")
        return
    try:
        with source.open("rb") as file:
            yield from _records(file, str(source))
    except OSError as error:
        raise EmulatorError(f"cannot read {source}: {error.strerror}") from None


def _records(file: BinaryIO, name: str) -> Iterator[dict[str, Any]]:
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        place = f"{name}, line {number}"
        if len(line) > LONGEST:
            raise EmulatorError(f"{place}: a line has at most {LONGEST >> 20} MiB")
        if line.strip():
            yield _record(line, place)


def _record(line: bytes, place: str) -> dict[str, Any]:
    try:
        record = json.loads(line.decode())
        # Parsing lets NaN, 1e999 and lone surrogates through; writing it out again does not.
        json.dumps(record, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise EmulatorError(f"{place} is no JSON: write one object a line, in UTF-8") from None
    if not isinstance(record, dict):
        raise EmulatorError(f"{place} is no JSON object: write one object a line")
    external = _named(record.get("externalId")) or _named(record.get("id"))
    if external is None:
        raise EmulatorError(f"{place} has no externalId, nor an id: give it one, as a text")
    return record | {"externalId": external}


def _named(value: object) -> str | None:
    is_name = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value) or None if is_name else None
