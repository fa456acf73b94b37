"""An async SDK for Paragon's Managed Sync.

    async with Paragon() as paragon:
        user = paragon.user("user-1")
        sync = await user.syncs.enable("googledrive", "files")
        await user.syncs.wait_until_idle(sync.id)
        async for file in user.records.pull(sync.id, File):
            ...

Everything a caller needs to name stands here; `paragon_async.emulator` and the other rooms above the
client are imported by who wants them.
"""

from typing import TYPE_CHECKING, Any

from paragon_async._version import __version__
from paragon_async.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    CertificateError,
    ConfigurationError,
    ConflictError,
    ConnectionFailedError,
    CutShortError,
    DecodeError,
    DestinationError,
    DownloadError,
    IncompleteListError,
    IngestError,
    MalformedAnswerError,
    NotFoundError,
    NotJsonError,
    ParagonError,
    PermissionDeniedError,
    RateLimitError,
    RedirectRefusedError,
    ServerError,
    SinkError,
    StalledCursorError,
    StateError,
    StateHeldError,
    SyncFailedError,
    TimedOutError,
    TooManyDeletesError,
    TransportError,
    WebhookError,
)
from paragon_async.logs import begin as _begin_logging

if TYPE_CHECKING:
    from paragon_async.api.permissions import Permissions
    from paragon_async.api.records import Content, Records
    from paragon_async.api.syncs import Syncs
    from paragon_async.auth import FixedToken, Rejection, Secret, SigningKey, TokenSource
    from paragon_async.client import ConnectedUser, Paragon
    from paragon_async.disk import Disk
    from paragon_async.download import Durability, Progress, Saved
    from paragon_async.models import (
        Check,
        File,
        FileHash,
        Frequency,
        Page,
        Record,
        Role,
        Sync,
        SyncStatus,
        SyncSummary,
        Tree,
        Verdict,
    )
    from paragon_async.models.objects import Company, Contact, CustomObject, Deal, Ticket
    from paragon_async.transport.channel import Exchange, Observer
    from paragon_async.transport.gate import Limits
    from paragon_async.transport.protocols import Response, Session, Timeouts
    from paragon_async.transport.retry import Retry

# Everything but the errors is imported when it is first named: the command is ready before aiohttp is,
# and a program pays for what it uses.
_LATER = {
    "Check": "models",
    "Company": "models.objects",
    "ConnectedUser": "client",
    "Contact": "models.objects",
    "Content": "api.records",
    "CustomObject": "models.objects",
    "Deal": "models.objects",
    "Disk": "disk",
    "Durability": "download",
    "Exchange": "transport.channel",
    "File": "models",
    "FileHash": "models",
    "FixedToken": "auth",
    "Frequency": "models",
    "Limits": "transport.gate",
    "Observer": "transport.channel",
    "Page": "models",
    "Paragon": "client",
    "Permissions": "api.permissions",
    "Progress": "download",
    "Record": "models",
    "Records": "api.records",
    "Rejection": "auth",
    "Response": "transport.protocols",
    "Retry": "transport.retry",
    "Role": "models",
    "Saved": "download",
    "Secret": "auth",
    "Session": "transport.protocols",
    "SigningKey": "auth",
    "Sync": "models",
    "SyncStatus": "models",
    "SyncSummary": "models",
    "Syncs": "api.syncs",
    "Ticket": "models.objects",
    "Timeouts": "transport.protocols",
    "TokenSource": "auth",
    "Tree": "models",
    "Verdict": "models",
}


_begin_logging()


def __getattr__(name: str) -> Any:
    """Import a name when it is first asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  # only here

    found = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Show the names that are not imported yet, too."""
    return sorted({*globals(), *__all__})


__all__ = [
    "ApiError",
    "AuthenticationError",
    "BadRequestError",
    "CertificateError",
    "Check",
    "Company",
    "ConfigurationError",
    "ConflictError",
    "ConnectedUser",
    "ConnectionFailedError",
    "Contact",
    "Content",
    "CustomObject",
    "CutShortError",
    "Deal",
    "DecodeError",
    "DestinationError",
    "Disk",
    "DownloadError",
    "Durability",
    "Exchange",
    "File",
    "FileHash",
    "FixedToken",
    "Frequency",
    "IncompleteListError",
    "IngestError",
    "Limits",
    "MalformedAnswerError",
    "NotFoundError",
    "NotJsonError",
    "Observer",
    "Page",
    "Paragon",
    "ParagonError",
    "PermissionDeniedError",
    "Permissions",
    "Progress",
    "RateLimitError",
    "Record",
    "Records",
    "RedirectRefusedError",
    "Rejection",
    "Response",
    "Retry",
    "Role",
    "Saved",
    "Secret",
    "ServerError",
    "Session",
    "SigningKey",
    "SinkError",
    "StalledCursorError",
    "StateError",
    "StateHeldError",
    "Sync",
    "SyncFailedError",
    "SyncStatus",
    "SyncSummary",
    "Syncs",
    "Ticket",
    "TimedOutError",
    "Timeouts",
    "TokenSource",
    "TooManyDeletesError",
    "TransportError",
    "Tree",
    "Verdict",
    "WebhookError",
    "__version__",
]
