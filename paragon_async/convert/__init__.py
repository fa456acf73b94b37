"""The one converter between JSON and our values, and the one JSON decoder.

    hooks      what stands on the converter
    plain      how an object becomes an attrs class, the obvious way: it decides, and names places
    compiled   the same by generated code, for what is in order: nearly everything, nearly always
    writing    the code that is generated
    scalars    strict scalars and dates
    collector  a quiet moment for building a page

What it promises, for every attrs class it is asked to build:

- keys are found in camelCase and in snake_case; an alias can be named in the field's metadata;
- everything with a default may be missing or null; unknown keys are kept in a field called `extra`,
  in no promised order;
- scalars are never coerced: `"5"` is no int, `1` is no bool, `5` is no str; a float field takes an int;
- a date comes from ISO 8601 (no zone means UTC), from epoch seconds or from epoch milliseconds;
- a mismatch is a `DecodeError` that names the place, as in `$.data[3].updatedAt`.

cattrs and msgspec are imported at the first use: programs import this package long before.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from paragon_async.convert.collector import undisturbed
from paragon_async.convert.scalars import FILLED, Mismatch, either, kind_of, moment
from paragon_async.errors import DecodeError, NotJsonError

if TYPE_CHECKING:
    from cattrs import Converter

    from paragon_async.convert.compiled import Shape, Shapes

__all__ = [
    "FILLED", "Mismatch", "converter", "dump", "either", "kind_of", "moment", "parse",
    "shape", "structure", "undisturbed",
]  # fmt: skip

T = TypeVar("T")
_BOM = b"\xef\xbb\xbf"
_LARGE = 1 << 16


def parse(body: bytes | bytearray) -> Any:
    """Decode a JSON body strictly: UTF-8 (a byte order mark is allowed), no NaN, exact integers."""
    body = body.removeprefix(_BOM)
    import msgspec  # noqa: PLC0415  # paid at the first answer, not at import

    try:
        if len(body) < _LARGE:
            return msgspec.json.decode(body)
        with undisturbed():
            return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        kind = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise NotJsonError("$", f"not JSON ({kind})") from None


def dump(value: object) -> bytes:
    """Encode a value as JSON bytes."""
    import msgspec  # noqa: PLC0415  # as above

    return msgspec.json.encode(value)


def structure(value: Any, model: type[T], place: str = "$") -> T:
    """Build *model* from decoded JSON, or raise a `DecodeError` that names the place below *place*."""
    try:
        return converter().structure(value, model)
    except Mismatch as mismatch:
        raise DecodeError(place + mismatch.place, mismatch.problem) from None


def converter() -> Converter:
    """Return the converter that the whole package shares."""
    return _shared()[0]


def shape(model: Any) -> Shape | None:
    """Return how *model* is built by generated code, None where it has none.

    It is good for one page: when keys are learned, or a hook is registered, the next one differs.
    """
    shapes = _shared()[1]
    return shapes.of(model) if isinstance(model, type) and attrs.has(model) else None


@functools.cache
def _shared() -> tuple[Converter, Shapes]:
    from paragon_async.convert import hooks  # noqa: PLC0415  # paid at the first answer, as cattrs is

    return hooks.make()
