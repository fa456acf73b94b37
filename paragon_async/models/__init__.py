"""What the API speaks of, as slotted values that cannot be assigned to.

Making a class takes most of a millisecond: those that a pull does not need are made when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paragon_async.models.records import File, FileHash, Page, Record

if TYPE_CHECKING:
    from paragon_async.models.permissions import Check, Role, Tree, Verdict
    from paragon_async.models.syncs import Frequency, Sync, SyncStatus, SyncSummary

_LATER = {
    "Check": "permissions",
    "Frequency": "syncs",
    "Role": "permissions",
    "Sync": "syncs",
    "SyncStatus": "syncs",
    "SyncSummary": "syncs",
    "Tree": "permissions",
    "Verdict": "permissions",
}


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
    "Check",
    "File",
    "FileHash",
    "Frequency",
    "Page",
    "Record",
    "Role",
    "Sync",
    "SyncStatus",
    "SyncSummary",
    "Tree",
    "Verdict",
]
