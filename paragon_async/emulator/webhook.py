"""The settings of the webhook: what may be set, what may be shown, and what was asked to go wrong.

Duplicates, disorder and loss are drawn from the seed and an event's number alone, so they repeat, over
restarts too. An event out of order is one that is late by up to two seconds of the emulator's clock.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from yarl import URL

from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.events import OPTIONS

_LONGEST_DELAY = 2.0
_LARGEST = (1 << 63) - 1
_HIDDEN = "***"
_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_OURS = {"content-type", "content-length", "transfer-encoding", "host", "connection"}


@attrs.frozen(kw_only=True)
class Webhook:
    """Where events go, how they go wrong on request, and how it went so far."""

    url: str
    headers: dict[str, str]
    variants: list[str]
    duplicate: float
    reorder: float
    drop: float
    seed: int
    give_up_after: int
    disable_after: int
    verified: bool = False
    disabled: str | None = None
    failures: int = 0
    numbered: int = 0

    def shown(self) -> dict[str, Any]:
        """Return it as JSON without secrets: no header's value, and no query of the URL."""
        url = URL(self.url)
        bare = url.with_query(None).with_fragment(None)
        shown = attrs.asdict(self, filter=attrs.filters.exclude("numbered"))
        shown["url"] = f"{bare}?{_HIDDEN}" if url.query_string else str(bare)
        shown["headers"] = dict.fromkeys(self.headers, _HIDDEN)
        return shown

    def delays(self, number: int) -> list[float]:
        """Draw how late an event is told, once for each time; never, if it is to be lost."""
        if not (self.drop or self.duplicate or self.reorder):
            return [0.0]
        draw = random.Random(f"{self.seed}:{number}")  # noqa: S311  # chaos that repeats, no secret
        if draw.random() < self.drop:
            return []
        times = 2 if draw.random() < self.duplicate else 1
        return [
            draw.uniform(0.0, _LONGEST_DELAY) if draw.random() < self.reorder else 0.0
            for _ in range(times)
        ]

    def after_failure(self, error: str) -> Webhook:
        """Return it with one more failure in a row, which may disable it."""
        failures = self.failures + 1
        disabled = self.disabled
        if disabled is None and failures >= self.disable_after:
            disabled = f"it failed {failures} times in a row, last: {error}; configure it again"
        return attrs.evolve(self, failures=failures, disabled=disabled)


def checked(
    *,
    url: Any,
    headers: Any,
    variants: Any,
    duplicate: Any,
    reorder: Any,
    drop: Any,
    seed: Any,
    give_up_after: Any,
    disable_after: Any,
) -> Webhook:
    """Build a webhook of what somebody sent; raises `Refusal` 400 naming what to change."""
    return Webhook(
        url=_url(url),
        headers=_headers(headers),
        variants=_variants(variants),
        duplicate=_share("duplicate", duplicate),
        reorder=_share("reorder", reorder),
        drop=_share("drop", drop),
        seed=_whole("seed", seed, -_LARGEST),
        give_up_after=_whole("give_up_after", give_up_after, 1),
        disable_after=_whole("disable_after", disable_after, 1),
    )


def _url(value: Any) -> str:
    try:
        url = URL(value)
        is_good = bool(url.scheme in {"http", "https"} and url.host and url.port)
    except (TypeError, ValueError):
        is_good = False
    if not is_good:
        raise Refusal(400, "The webhook's url must be an absolute http or https URL")
    if url.user is not None or url.password is not None:
        raise Refusal(400, "The webhook's url must not hold a user or password: use a header")
    return str(value)


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping | None):
        raise Refusal(400, "The webhook's headers must be an object of names and values")
    for name, text in (value or {}).items():
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise Refusal(400, "The webhook's headers hold a name that no header can have")
        if name.lower() in _OURS:
            raise Refusal(400, f"The webhook's header {name} is set by the emulator: leave it out")
        if not (isinstance(text, str) and text.isascii() and text.isprintable()):
            raise Refusal(400, f"The webhook's header {name} must be printable ASCII text")
    return dict(value or {})


def _variants(value: Any) -> list[str]:
    if isinstance(value, Iterable) and not isinstance(value, str):
        names = list(value)
        if all(isinstance(name, str) and name in OPTIONS for name in names):
            return names
    raise Refusal(400, f"The webhook's variants must be some of {', '.join(OPTIONS)}")


def _share(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Refusal(400, f"The webhook's {name} must be a share from 0 to 1")
    return float(value)


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _LARGEST:
        raise Refusal(400, f"The webhook's {name} must be a whole number, at least {least}")
    return value
