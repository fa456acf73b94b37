"""Webhooks: receive them, distrust them, work on them later.

    router = Router()

    @router.on(RecordUpdated)
    async def updated(event: RecordUpdated) -> None: ...

parse_event                   bytes in, an Event out, or a WebhookError; pure
Event and its eight types     what came; `raw` holds the whole body
Router, Failure               async handlers by type of event
SharedSecret, ParagonSignature, StandardWebhooks     who sent it; or any `Verifier`
Inbox, Counts, Parked         where an event is kept until it is worked on, through a crash too
InboxError, InboxFullError    it cannot be used; it holds as many events as it may
receiver, asgi_receiver       what answers: an aiohttp application, an ASGI application
serving, AccessLogger         a server for the former, and the log that another one should write

An event is a hint: it is not signed, it may come twice, late or never, and its payload is never the
truth. What needs a server or a database is imported when it is first named.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from paragon_async.webhooks.events import parse_event
from paragon_async.webhooks.kinds import (
    Event,
    RecordCreated,
    RecordDeleted,
    RecordErrored,
    RecordUpdated,
    SyncCompleted,
    SyncErrored,
    UnknownEvent,
    WebhookVerification,
)
from paragon_async.webhooks.router import Failure, Router
from paragon_async.webhooks.verify import (
    ParagonSignature,
    SharedSecret,
    StandardWebhooks,
    Verifier,
)

if TYPE_CHECKING:
    from paragon_async.webhooks.asgi import asgi_receiver
    from paragon_async.webhooks.inbox import Counts, Inbox, InboxError, InboxFullError, Parked
    from paragon_async.webhooks.receiver import AccessLogger, receiver, serving

# Names that only a program with a server of its own uses, and the modules that bring them.
_LATER = {
    "AccessLogger": "receiver",
    "Counts": "inbox",
    "Inbox": "inbox",
    "InboxError": "inbox",
    "InboxFullError": "inbox",
    "Parked": "inbox",
    "asgi_receiver": "asgi",
    "receiver": "receiver",
    "serving": "receiver",
}


def __getattr__(name: str) -> Any:
    """Import one of the names that are imported later."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  # only here

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


class _Room(ModuleType):
    """Keeps `receiver` the function: importing the file of that name would put the module there."""

    def __setattr__(self, name: str, found: Any) -> None:
        if name not in _LATER or not isinstance(found, ModuleType):
            super().__setattr__(name, found)


sys.modules[__name__].__class__ = _Room


__all__ = [
    "AccessLogger",
    "Counts",
    "Event",
    "Failure",
    "Inbox",
    "InboxError",
    "InboxFullError",
    "ParagonSignature",
    "Parked",
    "RecordCreated",
    "RecordDeleted",
    "RecordErrored",
    "RecordUpdated",
    "Router",
    "SharedSecret",
    "StandardWebhooks",
    "SyncCompleted",
    "SyncErrored",
    "UnknownEvent",
    "Verifier",
    "WebhookVerification",
    "asgi_receiver",
    "parse_event",
    "receiver",
    "serving",
]
