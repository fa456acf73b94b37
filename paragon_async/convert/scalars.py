"""What a single value may be: strict scalars, dates in every form seen, and the names of kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Hook = Callable[[Any, Any], Any]
# Marks classes whose `__init__` only stores what it is given; see `writing`.
FILLED = "__paragon_filled__"
# Epoch values beyond this are milliseconds: as seconds they would lie after the year 5000.
_LATEST_SECONDS = 1e11
# Up to here Python and msgspec read a date alike. Beyond it come fractions finer than a microsecond.
_LONGEST_USUAL = 26
_from_iso = datetime.fromisoformat


class Mismatch(Exception):  # noqa: N818  # not an error of its own: it becomes a DecodeError at the edge
    """A value of the wrong kind; collects its place on the way up."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = ""

    def inside(self, step: str) -> Mismatch:
        """Add the step that leads to the place found so far."""
        self.place = step + self.place
        return self


def kind_of(value: object) -> str:
    """Name a JSON value's kind without showing the value, which may be private."""
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number"}
    names |= {str: "a string", list: "an array", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def moment(value: Any) -> datetime:
    """Read a point in time, in any of the forms seen, as an aware datetime.

    A date finer than a microsecond is rounded.
    """
    try:
        if type(value) is str:
            is_usual = len(value) <= _LONGEST_USUAL and not value.endswith("z")
            read = _from_iso(value) if is_usual else _as_drafts_do(value)
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read
        if type(value) in {int, float}:
            seconds = value / 1000 if abs(value) > _LATEST_SECONDS else value
            return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise Mismatch("not a date") from None
    raise Mismatch(f"a date is wanted, this is {kind_of(value)}")


def _as_drafts_do(value: str) -> datetime:
    """Read a date as msgspec does where it can: it rounds what Python cuts off, and takes a small z."""
    import msgspec  # noqa: PLC0415  # paid at the first answer, not at import

    try:
        return msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        return _from_iso(value)


def exactly(kind: type, wanted: str) -> Hook:
    """Make the hook that takes values of just this kind, as they are."""

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise Mismatch(f"{wanted} is wanted, this is {kind_of(value)}")
        return value

    return hook


def number(value: Any, _: Any) -> float:
    """Take a number, whole or not, as a float."""
    if type(value) not in {int, float}:
        raise Mismatch(f"a number is wanted, this is {kind_of(value)}")
    try:
        return float(value)
    except OverflowError:
        raise Mismatch("too large a number") from None


def either(raw: Mapping[str, Any], camel: str, snake: str) -> Any:
    """Return the value under its current key or, failing that, under its older spelling."""
    value = raw.get(camel)
    return raw.get(snake) if value is None else value
