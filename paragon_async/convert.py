"""The one converter between JSON and our values, and the one JSON decoder.

What it promises, for every attrs class it is asked to build:

- keys are found in camelCase and in snake_case; an alias can be named in the field's metadata;
- everything with a default may be missing or null; unknown keys are kept in a field called `extra`;
- scalars are never coerced: `"5"` is no int, `1` is no bool, `5` is no str; a float field takes an int;
- a date comes from ISO 8601 (no zone means UTC), from epoch seconds or from epoch milliseconds;
- a mismatch is a `DecodeError` that names the place, as in `$.data[3].updatedAt`.

cattrs and msgspec are imported at the first use: programs import this package long before.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from paragon_async.errors import DecodeError, NotJsonError

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")

Hook = Callable[[Any, Any], Any]
_BOM = b"\xef\xbb\xbf"
# Epoch values beyond this are milliseconds: as seconds they would lie after the year 5000.
_LATEST_SECONDS = 1e11


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


def parse(body: bytes | bytearray) -> Any:
    """Decode a JSON body strictly: UTF-8 (a byte order mark is allowed), no NaN, exact integers."""
    body = body.removeprefix(_BOM)
    import msgspec  # noqa: PLC0415  # paid at the first answer, not at import

    try:
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


def kind_of(value: object) -> str:
    """Name a JSON value's kind without showing the value, which may be private."""
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number"}
    names |= {str: "a string", list: "an array", dict: "an object"}
    return names.get(type(value), type(value).__name__)


@functools.cache
def converter() -> Converter:
    """Return the converter that the whole package shares."""
    from cattrs import Converter  # noqa: PLC0415  # paid at the first answer, not at import

    shared = Converter()
    for scalar, wanted in ((str, "a string"), (bool, "a boolean"), (int, "an integer")):
        shared.register_structure_hook(scalar, _exactly(scalar, wanted))
    shared.register_structure_hook(float, _number)
    shared.register_structure_hook(datetime, lambda value, _: moment(value))
    shared.register_structure_hook(date, lambda value, _: moment(value).date())
    shared.register_structure_hook_func(_is_dict, _exactly(dict, "an object"))
    shared.register_structure_hook_factory(_is_list, lambda kind: _list_hook(shared, kind))
    shared.register_structure_hook_factory(attrs.has, lambda model: _object_hook(shared, model))
    return shared


def moment(value: Any) -> datetime:
    """Read a point in time, in any of the forms seen, as an aware datetime."""
    try:
        if type(value) is str:
            read = datetime.fromisoformat(value)
            return read if read.tzinfo else read.replace(tzinfo=UTC)
        if type(value) in {int, float}:
            seconds = value / 1000 if abs(value) > _LATEST_SECONDS else value
            return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise Mismatch("not a date") from None
    raise Mismatch(f"a date is wanted, this is {kind_of(value)}")


def _exactly(kind: type, wanted: str) -> Hook:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise Mismatch(f"{wanted} is wanted, this is {kind_of(value)}")
        return value

    return hook


def _number(value: Any, _: Any) -> float:
    if type(value) not in {int, float}:
        raise Mismatch(f"a number is wanted, this is {kind_of(value)}")
    return float(value)


def _is_list(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is list


def _is_dict(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is dict


def _list_hook(shared: Converter, kind: Any) -> Hook:
    item = kind.__args__[0]
    build = shared.get_structure_hook(item)

    def hook(value: Any, _: Any) -> list[Any]:
        if type(value) is not list:
            raise Mismatch(f"an array is wanted, this is {kind_of(value)}")
        made = []
        try:
            for entry in value:
                made.append(build(entry, item))  # noqa: PERF401  # the index of a mismatch is needed
        except Mismatch as mismatch:
            raise mismatch.inside(f"[{len(made)}]") from None
        return made

    return hook


@attrs.define(eq=False, repr=False)
class _Plan:
    """How the keys of an object lead to the fields of one attrs class."""

    table: dict[str, tuple[str, Hook, Any]] = attrs.field(factory=dict)
    required: dict[str, str] = attrs.field(factory=dict)


def _plan(shared: Converter, model: type) -> _Plan:
    attrs.resolve_types(model)
    plan = _Plan()
    for field in attrs.fields(model):
        if field.name == "extra" or not field.init:
            continue
        kind = _without_none(field.type)
        keys = [_camel(field.name), field.name, *field.metadata.get("aliases", ())]
        plan.table |= {key: (field.alias, shared.get_structure_hook(kind), kind) for key in keys}
        if field.default is attrs.NOTHING:
            plan.required[field.alias] = keys[0]
    return plan


def _object_hook(shared: Converter, model: type) -> Hook:
    """Build the hook of one attrs class: a single pass over the keys that came.

    One look-up per key finds the field under every spelling and the unknown ones as well, which is
    both shorter and several times faster than asking for each field under each of its names.
    """
    plan = _plan(shared, model)
    find = plan.table.get
    keeps_extra = "extra" in attrs.fields_dict(model)

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch(f"an object is wanted, this is {kind_of(value)}")
        made: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        key = ""
        try:
            for key, found in value.items():
                entry = find(key)
                if entry is None:
                    extra[key] = found
                elif found is not None:
                    made[entry[0]] = entry[1](found, entry[2])
        except Mismatch as mismatch:
            raise mismatch.inside(f".{key}") from None
        if extra and keeps_extra:
            made["extra"] = extra
        for name, wanted in plan.required.items():
            if name not in made:
                raise Mismatch("missing").inside(f".{wanted}")
        return model(**made)

    return hook


def _without_none(kind: Any) -> Any:
    options = [option for option in getattr(kind, "__args__", ()) if option is not type(None)]
    nullable = len(options) == 1 and type(None) in kind.__args__
    return options[0] if nullable else kind


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def either(raw: Mapping[str, Any], camel: str, snake: str) -> Any:
    """Return the value under its current key or, failing that, under its older spelling."""
    value = raw.get(camel)
    return raw.get(snake) if value is None else value
