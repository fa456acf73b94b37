"""Identifiers: name-based, so that the same thing has the same id in every run. Source: api.md 3.6."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

_PROJECTS = uuid.UUID("0f3c9a56-6d0e-4d5a-9a50-2f4bb3f1b7a1")


def sync_id(project: str, user: str, sync: Mapping[str, Any]) -> str:
    """Name a sync by what makes it unique; its configuration is not part of that."""
    parts = [project, user, sync["integration"], sync["pipeline"], sync["configurationName"]]
    return str(uuid.uuid5(_PROJECTS, "\x00".join(parts)))


def record_id(sync: str, external_id: str) -> str:
    """Name a record by its sync and its id in the integration."""
    return str(uuid.uuid5(uuid.UUID(sync), external_id))


def external_id(path: str) -> str:
    """Name a file by its relative path, in the look of a Drive id; the root is `root`."""
    # A name on disk need not be Unicode; its odd bytes are spelled out.
    spelled = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return "1" + uuid.uuid5(_PROJECTS, spelled).hex if path else "root"
