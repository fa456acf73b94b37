"""How answers look, in all the forms seen, and what they become. Pure. Source: api.md 9."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs

from paragon_async import models
from paragon_async.api.drafts import Drafted, Unread, decode
from paragon_async.convert import either, kind_of, parse, structure, undisturbed
from paragon_async.errors import DecodeError, NotJsonError
from paragon_async.models.records import Record, build_all, thin

if TYPE_CHECKING:
    from paragon_async.models import Check, Sync, Tree, Verdict

M = TypeVar("M")
_LONGEST_CURSOR = 4096


@attrs.define(eq=False, repr=False)
class Envelope:
    """A page before its records are built: enough to fetch the next one."""

    items: list[Any]
    cursor: str | None
    remaining: int | None
    total: int | None
    rest: Drafted | Unread | None = None
    is_empty: bool = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.is_empty = not self.items and not isinstance(self.rest, Unread)

    def settle(self, model: type[Any]) -> None:
        """Decode what was left of a large page; `NotJsonError` where it is no JSON."""
        if isinstance(self.rest, Unread):
            whole = envelope(decode(self.rest.body, model))
            self.items, self.rest = whole.items, whole.rest

    def records(self, model: type[M]) -> Iterable[M]:
        """Give the records, once, for one pass; a `DecodeError` names the place in the page.

        All are looked at before the first is given, so that a page is good or bad as a whole.
        """
        self.settle(model)
        items, rest = self.items, cast("Drafted | None", self.rest)
        # Given up at once: the page is remembered for its cursor longer than its records are wanted.
        self.items, self.rest = [], None
        if rest is None and model is Record:
            return cast("Iterable[M]", thin(items, "$.data"))
        with undisturbed():
            finished = rest.records() if rest else None
            if finished is None:
                items = parse(rest.body)["data"] if rest else items
                finished = build_all(items, model, "$.data")
            return finished


def envelope(value: Any) -> Envelope:
    """Read a page of records: paging may be missing, in snake_case, or hold nulls."""
    if isinstance(value, Unread):
        return _paged([], value.paging, value)
    if isinstance(value, Drafted):
        return _paged(value.items, value.paging, value)
    if not isinstance(value, dict):
        raise DecodeError("$", f"an object is wanted, this is {kind_of(value)}")
    items = value.get("data")
    if not isinstance(items, list):
        raise DecodeError("$.data", f"an array is wanted, this is {kind_of(items)}")
    return _paged(items, value.get("paging"))


def _paged(items: list[Any], paging: Any, rest: Drafted | Unread | None = None) -> Envelope:
    if paging is None:
        paging = {}
    if not isinstance(paging, dict):
        raise DecodeError("$.paging", f"an object is wanted, this is {kind_of(paging)}")
    cursor = paging.get("cursor")
    if cursor is not None and not isinstance(cursor, str):
        raise DecodeError("$.paging.cursor", f"a string is wanted, this is {kind_of(cursor)}")
    if len(cursor or "") > _LONGEST_CURSOR:
        raise DecodeError("$.paging.cursor", f"it is longer than {_LONGEST_CURSOR} characters")
    return Envelope(
        items,
        cursor or None,
        _count(paging, "remainingRecords", "remaining_records"),
        _count(paging, "totalRecords", "total_records"),
        rest,
    )


def record(value: Any) -> dict[str, Any]:
    """Read one record, in its envelope or bare."""
    found = unwrapped(value)
    if not isinstance(found, dict):
        raise DecodeError("$", f"an object is wanted, this is {kind_of(found)}")
    return found


def syncs(value: Any) -> list[Sync]:
    """Read a list of syncs, in its envelope or bare."""
    enveloped = isinstance(value, dict)
    items = value.get("data") if enveloped else value
    place = "$.data" if enveloped else "$"
    return structure(items, list[models.Sync], place)


def nothing(_: Any) -> None:
    """Take any answer, or none, for done."""


def access(value: Any) -> bool:
    """Read the answer to one check: only a true `hasAccess` grants."""
    found = either(record(value), "hasAccess", "has_access")
    return structure(found, bool, "$.hasAccess")


def names(value: Any, key: str) -> list[str]:
    """Read a list of users or objects; an object's type prefix is dropped."""
    found = structure(record(value).get(key), list[str], f"$.{key}")
    return [bare_object(name) for name in found] if key == "objects" else found


def verdicts(value: Any, checks: Sequence[Check]) -> list[Verdict]:
    """Match answers to questions by what they echo, else by position; what is missing denies."""
    results = structure(record(value).get("result"), list[dict[str, Any]], "$.result")
    echoed = {_echo(result): result for result in results}
    by_position = len(results) == len(checks) and not any(_is_echo(r) for r in results)
    return [
        _verdict(check, results[n] if by_position else echoed.get(_key(check)))
        for n, check in enumerate(checks)
    ]


def tree(value: Any) -> Tree:
    """Read one level of the graph."""
    outer = record(value)
    inner = outer.get("tree", outer)
    root = inner.get("root", inner) if isinstance(inner, dict) else inner
    return _node(root, "$.tree.root")


def streamed_object(line: bytes) -> str | None:
    """Read one line of a stream, in Paragon's form or in OpenFGA's; None for an empty line."""
    if not line.strip():
        return None
    try:
        value = record(parse(line))
    except NotJsonError as error:
        raise DecodeError("$", f"a line of the stream is {error.problem}") from None
    if value.get("error"):
        raise DecodeError("$.error", "the service broke off the list")
    inner = value.get("result", value)
    found = inner.get("object") if isinstance(inner, dict) else None
    return bare_object(structure(found, str, "$.object"))


def unwrapped(value: Any) -> Any:
    """Take a value out of its `data` envelope, if it is in one."""
    if isinstance(value, dict) and "id" not in value and isinstance(value.get("data"), dict):
        return value["data"]
    return value


def bare_user(user: str) -> str:
    """Strip the `user:` that some endpoints want and others do not."""
    return user.removeprefix("user:")


def prefixed_user(user: str) -> str:
    """Add `user:` unless the name already says what it is."""
    kind, colon, _ = user.partition(":")
    return user if colon and kind.isalpha() else f"user:{user}"


def bare_object(name: str) -> str:
    """Strip the type that echoes and streams put before an id."""
    kind, colon, rest = name.partition(":")
    return rest if colon and kind.isalpha() else name


def _count(paging: dict[str, Any], camel: str, snake: str) -> int | None:
    found = either(paging, camel, snake)
    return None if found is None else structure(found, int, f"$.paging.{camel}")


def _is_echo(result: dict[str, Any]) -> bool:
    return isinstance(result.get("request"), dict)


def _echo(result: dict[str, Any]) -> tuple[str, str, str]:
    asked = result.get("request")
    asked = asked if isinstance(asked, dict) else {}
    role = asked.get("role") or asked.get("relation")
    user = bare_user(str(asked.get("user")))
    return bare_object(str(asked.get("object"))), user.casefold(), str(role)


def _key(check: Check) -> tuple[str, str, str]:
    return bare_object(check.object), bare_user(check.user).casefold(), check.role


def _verdict(check: Check, result: dict[str, Any] | None) -> Verdict:
    if result is None:
        return models.Verdict(check, allowed=False, error="the service did not answer this check")
    error = result.get("error") or None
    return models.Verdict(
        check,
        allowed=result.get("allowed") is True and error is None,
        error=None if error is None else str(error),
    )


def _node(value: Any, place: str) -> Tree:
    if not isinstance(value, dict):
        raise DecodeError(place, f"an object is wanted, this is {kind_of(value)}")
    known = {"name", "leaf", "union", "intersection", "difference"}
    difference = value.get("difference") or {}
    return models.Tree(
        name=str(value.get("name", "")),
        leaf=value.get("leaf"),
        union=_nodes(value.get("union"), f"{place}.union"),
        intersection=_nodes(value.get("intersection"), f"{place}.intersection"),
        base=_node(difference["base"], f"{place}.base") if "base" in difference else None,
        subtract=_node(difference["subtract"], f"{place}.subtract")
        if "subtract" in difference
        else None,
        extra={key: found for key, found in value.items() if key not in known},
    )


def _nodes(value: Any, place: str) -> list[Tree] | None:
    if value is None:
        return None
    nodes = value.get("nodes") if isinstance(value, dict) else value
    if not isinstance(nodes, list):
        raise DecodeError(place, f"an array is wanted, this is {kind_of(nodes)}")
    return [_node(node, f"{place}[{n}]") for n, node in enumerate(nodes)]
