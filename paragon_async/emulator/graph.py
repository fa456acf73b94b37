"""Who may do what: grants on folders and files, inherited downwards. Source: api.md 7.

Policies where the service is silent: `owner@example.com` owns the mounted folder; e-mail addresses
are compared without regard to case; a folder is an object of type `folder`, everything else a `file`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from paragon_async.emulator import ids
from paragon_async.emulator.folder import FOLDER_TYPE
from paragon_async.emulator.store import Store

ROLES = ("can_read", "can_write", "is_owner")
OWNER = "owner@example.com"
_DEEPEST = 64


class Graph:
    """Grants by the integration's id of their object, and the questions about them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._grants: dict[str, dict[str, int]] = {"root": {OWNER: len(ROLES) - 1}}

    def grant(self, user: str, role: str, path: str = "") -> None:
        """Give *user* a role on a path of the mounted folder, "" for all of it."""
        grants = self._grants.setdefault(ids.external_id(path.strip("/")), {})
        grants[bare(user)] = max(ROLES.index(role), grants.get(bare(user), -1))

    def allowed(self, sync_id: str, object_id: str, user: str, role: str) -> bool:
        """Tell whether *user* has *role*, or one that implies it, on a record or above it."""
        wanted = ROLES.index(role)
        return any(
            grants.get(bare(user), -1) >= wanted
            for grants in self._above(sync_id, bare_object(object_id))
        )

    def users(self, sync_id: str, object_id: str, role: str) -> list[str]:
        """Return everybody who has *role* on a record."""
        wanted = ROLES.index(role)
        found = {
            user
            for grants in self._above(sync_id, bare_object(object_id))
            for user, rank in grants.items()
            if rank >= wanted
        }
        return sorted(found)

    def objects(self, sync_id: str, user: str, role: str, kind: str) -> list[str]:
        """Return every record of a kind on which *user* has *role*."""
        wanted = ROLES.index(role)
        rows = self._store.records(sync_id)
        parents = {row["external"]: row["parent"] for row in rows}
        known: dict[str | None, bool] = {}
        return [
            row["id"]
            for row in rows
            if _kind(row) == kind and self._reaches(row["external"], parents, known, user, wanted)
        ]

    def expand(self, sync_id: str, object_id: str, relation: str) -> dict[str, Any]:
        """Return one level of the graph in the shape of api.md 7.3."""
        row = self._store.record(sync_id, bare_object(object_id))
        kind = _kind(row) if row else "file"
        name = f"{kind}:{bare_object(object_id)}#{relation}"
        rank = ROLES.index(relation)
        grants = self._grants.get(row["external"], {}) if row else {}
        direct = sorted(f"user:{user}" for user, given in grants.items() if given == rank)
        nodes: list[dict[str, Any]] = [{"name": name, "leaf": {"users": {"users": direct}}}]
        thing = name.partition("#")[0]
        stronger = ROLES[rank + 1 : rank + 2]
        nodes += [
            {"name": name, "leaf": {"computed": {"userset": f"{thing}#{role}"}}}
            for role in stronger
        ]
        above = self._store.by_external(sync_id, row["parent"]) if row and row["parent"] else None
        parent = f"folder:{above['id']}" if above else "folder:root"
        inherited = {
            "tupleset": f"{thing}#parent",
            "computed": [{"userset": f"{parent}#{relation}"}],
        }
        nodes.append({"name": name, "leaf": {"tupleToUserset": inherited}})
        return {"name": name, "union": {"nodes": nodes}}

    def _above(self, sync_id: str, object_id: str) -> Iterator[dict[str, int]]:
        """Yield the grants on a record and on each folder above it, up to the root."""
        row = self._store.record(sync_id, object_id)
        if row is None or row["deleted"]:
            return
        yield self._grants.get(row["external"], {})
        for _ in range(_DEEPEST):
            parent = row["parent"]
            yield self._grants.get(parent or "root", {})
            row = self._store.by_external(sync_id, parent) if parent else None
            if row is None:
                return

    def _reaches(
        self,
        external: str | None,
        parents: dict[str | None, str | None],
        known: dict[str | None, bool],
        user: str,
        wanted: int,
    ) -> bool:
        way: list[str | None] = []
        step = external
        answer = False
        while step is not None and step not in known and step not in way:
            way.append(step)
            if self._grants.get(step, {}).get(bare(user), -1) >= wanted:
                answer = True
                break
            step = parents.get(step)
        answer = answer or known.get(step, False)
        known.update(dict.fromkeys(way, answer))
        return answer


def bare(user: str) -> str:
    """Return a user's e-mail address in the form that is compared."""
    return user.removeprefix("user:").casefold()


def bare_object(name: str) -> str:
    """Return an object's id without its type."""
    return name.rpartition(":")[2]


def _kind(row: sqlite3.Row) -> str:
    return "folder" if json.loads(row["body"]).get("mimeType") == FOLDER_TYPE else "file"
