"""How the inbox runs the handlers of one event, and what it notes of those that failed."""

from __future__ import annotations

import attrs

from paragon_async.webhooks.events import parse_event
from paragon_async.webhooks.router import Router
from paragon_async.webhooks.statements import Item

_LONGEST_ERROR = 500


@attrs.frozen
class Problem:
    """What went wrong, and the names of the handlers that it went wrong in; None for all."""

    error: str
    only: list[str] | None


async def dispatched(item: Item, router: Router, seconds: float | None) -> Problem | None:
    """Run the handlers that an event still wants."""
    try:
        event = parse_event(item.body, limit=len(item.body))
        failures = await router.dispatch(event, only=item.only, timeout=seconds)
    except Exception as error:  # noqa: BLE001  # whatever it is, the event must not be lost
        return Problem(_told("", error), item.only)
    if not failures:
        return None
    errors = "; ".join(_told(f"{f.handler} ", f.error) for f in failures)
    return Problem(errors[:_LONGEST_ERROR], [f.handler for f in failures])


def _told(who: str, error: BaseException) -> str:
    return f"{who}{type(error).__name__}: {error}"[:_LONGEST_ERROR]
