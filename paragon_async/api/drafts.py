"""From the bytes of a page to its records, in two steps, and without dicts between where it can be.

    parser     first the paging, of which the next request is made; large pages wait with the rest
    Drafted    then the records, decoded straight into drafts, which generated code finishes

Both are for pages of the documented form. Every other one is read at once, as plain JSON, which has the
words for what is wrong with it. Source: performance.md 1 and 2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from paragon_async.convert import parse, shape, undisturbed
from paragon_async.errors import NotJsonError
from paragon_async.models import Record

if TYPE_CHECKING:
    from paragon_async.convert.compiled import Shape

_FIRST_RECORD = b'{"data":[{'
_PAGING = b',"paging":'
_LONGEST_PAGING = 4096
# A smaller page is decoded in less time than its request takes to leave.
_LARGE = 1 << 16


@attrs.frozen(eq=False, repr=False)
class Drafted:
    """A page as far as drafts, and its bytes in case that one of them cannot be finished."""

    items: list[Any]
    paging: Any
    made: Shape
    body: bytes

    def records(self) -> list[Any] | None:
        """Finish the drafts; None when one is unfit, and plain JSON must say why."""
        try:
            made = self.made.finish_all(self.items)
        except Exception:  # noqa: BLE001  # whatever it was: plain JSON decides, and has the words
            self.made.page.failed()
            return None
        self.made.page.worked()
        return made


@attrs.frozen(eq=False, repr=False)
class Unread:
    """A page of which the paging is known, and that it holds records."""

    body: bytes
    paging: Any


def parser(model: Any, *, may_wait: bool = True) -> Callable[[bytes], Any]:
    """Return how a page of *model* is decoded: `Unread` where that may wait, else by `decode`."""

    def read(body: bytes) -> Any:
        return (may_wait and _unread(body)) or decode(body, model)

    return read


def decode(body: bytes, model: Any) -> Any:
    """Decode a page to `Drafted` where that works, else to plain JSON."""
    made = None if model is Record else shape(model)
    if made is None or not made.page.is_due():
        return parse(body)
    try:
        with undisturbed():
            sheet = _decoder(made.draft)(body)
    except Exception:  # noqa: BLE001  # as above
        made.page.failed()
        return parse(body)
    return Drafted(sheet.data, sheet.paging, made, body)


def _unread(body: bytes) -> Unread | None:
    """Read the two ends of a large page.

    What begins with a record, and ends with a paging that is whole up to the last brace, has that
    paging on its outermost level: inside a string its quotes would be escaped. Should what lies between
    not be JSON, that is found when the page is settled; it is then fetched again, and may not wait.
    """
    at = body.rfind(_PAGING, -_LONGEST_PAGING) if len(body) >= _LARGE else -1
    if at < 0 or not body.startswith(_FIRST_RECORD):
        return None
    try:
        tail = parse(b"{" + body[at + 1 :])
    except NotJsonError:
        return None
    return Unread(body, tail["paging"]) if len(tail) == 1 else None


@functools.lru_cache(maxsize=32)
def _decoder(draft: Any) -> Callable[[bytes], Any]:
    import msgspec  # noqa: PLC0415  # paid at the first answer, not at import

    items: Any = list.__class_getitem__(draft)
    sheet = msgspec.defstruct(
        "Sheet", [("data", items), ("paging", Any, None)], forbid_unknown_fields=True
    )
    return msgspec.json.Decoder(sheet).decode
