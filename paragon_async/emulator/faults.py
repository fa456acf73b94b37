"""Faults on request: rules that say which calls go wrong, and how.

Fault(method, path, user, sync, …)   which calls; the first rule that fits and is due acts
    times, skip, every, probability   how often
answered instead   status, headers, body, html, retry_after, redirect
answered late      delay
answered otherwise edit, page
broken on the wire cut_after, reset, stall_after, drip_body, stall_headers, drip_headers, length_off,
                   corrupt_at
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Self

import attrs
from aiohttp import web

from paragon_async.emulator import mutate
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.values import number

_LONGEST = 86_400.0
_MOST = float(1 << 53)


@attrs.define(kw_only=True)
class Fault:
    """One rule. Patterns know `*`; *times* None is for ever; *skip* lets some pass first.

    *every* n-th of the fitting calls, or each with a *probability* drawn from *seed*. Times are
    seconds, places in bodies bytes. After a wire fault the connection is closed, or reset if *reset*.
    """

    method: str = "*"
    path: str = "*"
    user: str = "*"
    sync: str = "*"
    times: int | None = 1
    skip: int = 0
    every: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    probability: float = 1.0
    seed: int = 0
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: bytes = b""
    html: bool = False
    retry_after: float | None = None
    retry_after_form: str = "seconds"
    redirect: bool = False
    delay: float = 0.0
    edit: Callable[[Any], Any] | None = None
    page: str | None = attrs.field(
        default=None, validator=attrs.validators.in_((None, *mutate.KINDS))
    )
    cut_after: int | None = None
    reset: bool = False
    stall_headers: float = 0.0
    drip_headers: float = 0.0
    stall_after: int | None = None
    stall: float = 60.0
    drip_body: int = 0
    drip_every: float = 0.1
    length_off: int = 0
    corrupt_at: int | None = None
    id: int = attrs.field(default=0, init=False)
    hits: int = attrs.field(default=0, init=False)
    met: int = attrs.field(default=0, init=False)
    cursors: dict[str, list[str]] = attrs.field(factory=dict, init=False)
    dice: random.Random = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.dice = random.Random(self.seed)  # noqa: S311  # chance that can be repeated

    @property
    def is_on_wire(self) -> bool:
        """Whether the answer is broken on its way."""
        places = (self.cut_after, self.stall_after, self.corrupt_at)
        ways = (self.stall_headers, self.drip_headers, self.drip_body, self.length_off, self.reset)
        return any(place is not None for place in places) or any(ways)

    def takes(self, method: str, path: str, user: str | None = None) -> bool:
        """Tell whether this rule acts on a call, and count it."""
        patterns = (self.method.upper(), self.path, self.user, self.sync)
        named = zip((method, path, user or "", _sync(path)), patterns, strict=True)
        if self.times == 0 or not all(fnmatchcase(name, pattern) for name, pattern in named):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.met += 1
        if self.met % self.every or self.dice.random() >= self.probability:
            return False
        self.times = None if self.times is None else self.times - 1
        self.hits += 1
        return True

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Self:
        """Read a rule; a `Refusal` names what is wrong with it."""
        unknown = set(given) - set(_FORMS)
        if unknown:
            known = ", ".join(_FORMS)
            raise Refusal(400, f"a fault has no {', '.join(sorted(unknown))}; it has {known}")
        meant = [key for key in given if key == "times" or given[key] is not None]
        values = {key: _FORMS[key](given, key) for key in meant}
        if values.get("page", mutate.KINDS[0]) not in mutate.KINDS:
            raise Refusal(400, f"page must be one of {', '.join(mutate.KINDS)}")
        if values.get("retry_after_form", "date") not in {"seconds", "date"}:
            raise Refusal(400, "retry_after_form must be seconds or date")
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """Return the rule as it stands, with how often it acted."""
        shown = {key: getattr(self, key) for key in _FORMS}
        shown["body"] = self.body.decode(errors="replace")
        return {"id": self.id, "hits": self.hits, **shown, "headers": dict(self.headers)}


def _sync(path: str) -> str:
    parts = path.split("/")
    return parts[3] if len(parts) > 3 and parts[2] in {"syncs", "permissions"} else ""  # noqa: PLR2004  # /api/syncs/ID


def _count(lowest: int, highest: float = _MOST) -> Callable[[Mapping[str, Any], str], Any]:
    def read(given: Mapping[str, Any], key: str) -> int:
        value = number(given, key, 0, lowest=lowest, highest=highest)
        if value != int(value):
            raise Refusal(400, f"{key} must be a whole number")
        return int(value)

    return read


def _seconds(given: Mapping[str, Any], key: str) -> float:
    return number(given, key, 0, lowest=0, highest=_LONGEST)


def _flag(given: Mapping[str, Any], key: str) -> bool:
    if not isinstance(given[key], bool):
        raise Refusal(400, f"{key} must be true or false")
    return bool(given[key])


def _word(given: Mapping[str, Any], key: str) -> str:
    if not isinstance(given[key], str):
        raise Refusal(400, f"{key} must be a string")
    return str(given[key])


def _headers(given: Mapping[str, Any], key: str) -> dict[str, str]:
    found = given[key]
    if not isinstance(found, dict):
        raise Refusal(400, "headers must be an object of strings")
    for name, value in found.items():
        is_fit = isinstance(value, str) and value.isprintable()
        if not is_fit or not name.isascii() or not name.replace("-", "").isalnum():
            raise Refusal(400, "headers must be an object of strings that can be printed")
        if name.lower() in {"content-length", "transfer-encoding"}:
            raise Refusal(400, f"{name} cannot be set: length_off makes a length lie")
    return found


def _bytes(given: Mapping[str, Any], key: str) -> bytes:
    return _word(given, key).encode()


def _chance(given: Mapping[str, Any], key: str) -> float:
    return number(given, key, 1, lowest=0, highest=1)


def _limited(given: Mapping[str, Any], key: str) -> int | None:
    return None if given[key] is None else int(_count(0)(given, key))


_FORMS: dict[str, Callable[[Mapping[str, Any], str], Any]] = {
    **dict.fromkeys(("method", "path", "user", "sync", "retry_after_form", "page"), _word),
    **dict.fromkeys(("html", "redirect", "reset"), _flag),
    **dict.fromkeys(("delay", "retry_after", "stall", "stall_headers"), _seconds),
    **dict.fromkeys(("drip_headers", "drip_every"), _seconds),
    **dict.fromkeys(("skip", "seed", "cut_after", "stall_after", "corrupt_at"), _count(0)),
    "every": _count(1),
    "drip_body": _count(0),
    "times": _limited,
    "probability": _chance,
    "status": _count(200, 599),
    "length_off": _count(-1_000_000, 1_000_000_000),
    "headers": _headers,
    "body": _bytes,
}
CUT = web.RequestKey("cut", Fault)


class Faults:
    """The rules of one emulator, in the order they were added."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._last = 0

    def add(self, fault: Fault) -> int:
        """Add a rule behind those there are, and return its number."""
        self._last += 1
        fault.id = self._last
        self._rules.append(fault)
        return fault.id

    def remove(self, fault: int) -> bool:
        """Take a rule back, and tell whether it was there."""
        before = len(self._rules)
        self._rules = [rule for rule in self._rules if rule.id != fault]
        return len(self._rules) < before

    def clear(self) -> None:
        """Let everything go right again."""
        self._rules.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Return all rules as JSON."""
        return [rule.as_json() for rule in self._rules]

    def pick(self, method: str, path: str, user: str | None = None) -> Fault | None:
        """Return the rule that acts on this call."""
        return next((rule for rule in self._rules if rule.takes(method, path, user)), None)
