"""What the API speaks of, as slotted values that cannot be assigned to."""

from paragon_async.models.permissions import Check, Role, Tree, Verdict
from paragon_async.models.records import (
    File,
    FileHash,
    Page,
    Record,
)
from paragon_async.models.syncs import Frequency, Sync, SyncStatus, SyncSummary

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
