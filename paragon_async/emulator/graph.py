"""Who may do what: users, nested groups, domains and anyone, on files and folders. Source: api.md 7.

A role includes the weaker ones and is inherited downwards through the folders. Policies where the
service is silent, all ours:
- A grant on `root` holds for everything in the account. `owner@example.com` owns `root`, until a
  `.paragon.toml` in the top folder names an owner.
- A folder that a sync does not hold is known from the account. A parent that is known nowhere is no
  folder: what names it hangs under the root, and grants on it are void.
- What is unknown or deleted is nobody's. A record of kind `folder` is a folder, any other a file.
- Among the users of an object, domains and anyone are listed as `domain:NAME` and `anyone`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from paragon_async.emulator.grants import ROLES, bare, group_name, rank, subject
from paragon_async.emulator.store import Store

OWNER = "owner@example.com"
_AT_ONCE = 500
SCHEMA = """
CREATE TABLE IF NOT EXISTS tuples (
    account TEXT NOT NULL, object TEXT NOT NULL, role INTEGER NOT NULL, subject TEXT NOT NULL,
    origin TEXT NOT NULL, PRIMARY KEY (account, object, subject, role, origin)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tuple_subjects ON tuples (account, subject);
CREATE INDEX IF NOT EXISTS tuple_origins ON tuples (account, origin);
CREATE TABLE IF NOT EXISTS members (
    account TEXT NOT NULL, grp TEXT NOT NULL, member TEXT NOT NULL, origin TEXT NOT NULL,
    PRIMARY KEY (account, grp, member, origin)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS member_groups ON members (account, member);
CREATE INDEX IF NOT EXISTS member_origins ON members (account, origin);
"""

# UNION, not UNION ALL: what was met is not met again, so circles of groups and of folders end.
_MINE = """mine(subject) AS (
    VALUES (:user), (:domain), ('anyone')
    UNION SELECT 'group:' || m.grp FROM mine
    JOIN members m ON m.account = :account AND m.member = mine.subject)"""
_STEP = """CASE WHEN r.id IS NULL THEN i.parent ELSE r.parent END FROM {way}
    LEFT JOIN records r ON r.sync = :sync AND r.external = {way}.external AND NOT r.deleted
    LEFT JOIN items i ON r.id IS NULL AND i.account = :account AND i.pipeline = :pipeline
        AND i.external = {way}.external AND NOT i.gone"""
_UP = f"""up(external) AS (
    VALUES (:external), (:parent), ('root') UNION SELECT {_STEP.format(way="up")})"""
_LIVING = """(t.object = 'root'
    OR EXISTS (SELECT 1 FROM records l
        WHERE l.sync = :sync AND l.external = t.object AND NOT l.deleted)
    OR EXISTS (SELECT 1 FROM items l WHERE l.account = :account AND l.pipeline = :pipeline
        AND l.external = t.object AND NOT l.gone))"""
# The plus keeps SQLite from seeking each of a user's thousand groups on each folder of the way.
_ON_THE_WAY = f"""up CROSS JOIN tuples t ON t.account = :account AND t.object = up.external
    AND t.role >= :rank AND {_LIVING}"""
_CHECK = f"""WITH RECURSIVE {_UP}, {_MINE}
    SELECT 1 FROM {_ON_THE_WAY} WHERE +t.subject IN (SELECT subject FROM mine) LIMIT 1"""  # noqa: S608  # ours
_USERS = f"""WITH RECURSIVE {_UP}, found(subject) AS (
    SELECT t.subject FROM {_ON_THE_WAY}
    UNION SELECT m.member FROM found JOIN members m ON found.subject LIKE 'group:%'
        AND m.account = :account AND m.grp = substr(found.subject, 7))
    SELECT subject FROM found WHERE subject NOT LIKE 'group:%'"""  # noqa: S608  # ours""
_GIVEN = """SELECT DISTINCT t.object FROM mine
    CROSS JOIN tuples t ON t.account = :account AND t.subject = mine.subject AND t.role >= :rank"""
_HELD = f"WITH RECURSIVE {_MINE} {_GIVEN}"
# Folders that the sync does not hold matter where its records hang below them: from each such edge
# the way leads up through the account; from what is held, and held edges, down through records.
_DOWN = f"""WITH RECURSIVE {_MINE}, held(object) AS ({_GIVEN} WHERE {_LIVING}),
    edges(external) AS (
        SELECT p.parent FROM (SELECT DISTINCT parent FROM records WHERE sync = :sync) p
        JOIN items i ON i.account = :account AND i.pipeline = :pipeline
            AND i.external = p.parent AND NOT i.gone
        WHERE NOT EXISTS (SELECT 1 FROM records r
            WHERE r.sync = :sync AND r.external = p.parent AND NOT r.deleted)),
    climb(edge, external) AS (
        SELECT external, external FROM edges UNION SELECT climb.edge, {_STEP.format(way="climb")}),
    down(id, external, kind) AS (
        SELECT r.id, r.external, r.kind FROM held
            CROSS JOIN records r ON r.sync = :sync AND r.external = held.object AND NOT r.deleted
        UNION SELECT NULL, edge, NULL FROM climb WHERE external IN (SELECT object FROM held)
        UNION SELECT r.id, r.external, r.kind FROM down
            CROSS JOIN records r ON r.sync = :sync AND r.parent = down.external AND NOT r.deleted)
    SELECT id FROM down WHERE id IS NOT NULL AND (kind = 'folder') = :folder"""  # noqa: S608  # ours


class Sync(Protocol):
    """A sync's row, of which `id`, `account` and `pipeline` are read."""

    def __getitem__(self, key: str, /) -> Any:
        """Return a column."""


class Graph:
    """Grants by account and integration's id of their object, and the questions about them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def grant(self, account: str, external: str, who: str, role: str, origin: str = "code") -> None:
        """Give a subject a role on an object; a ValueError says what is wrong with either."""
        row = (account, external, rank(role), subject(who), origin)
        self._store.db.execute("INSERT OR IGNORE INTO tuples VALUES (?, ?, ?, ?, ?)", row)

    def revoke(
        self, account: str, external: str, who: str, role: str, origin: str = "code"
    ) -> bool:
        """Take back what was granted from the same origin, and tell whether it was there."""
        query = (
            "DELETE FROM tuples WHERE account = ? AND object = ? AND role = ? AND subject = ? "
            "AND origin = ?"
        )
        row = (account, external, rank(role), subject(who), origin)
        return self._store.db.execute(query, row).rowcount > 0

    def add_member(self, account: str, group: str, member: str, origin: str = "code") -> None:
        """Put a subject into a group."""
        row = (account, group_name(group), subject(member), origin)
        self._store.db.execute("INSERT OR IGNORE INTO members VALUES (?, ?, ?, ?)", row)

    def remove_member(self, account: str, group: str, member: str, origin: str = "code") -> bool:
        """Take a subject out of a group, and tell whether it was there."""
        query = "DELETE FROM members WHERE account = ? AND grp = ? AND member = ? AND origin = ?"
        row = (account, group_name(group), subject(member), origin)
        return self._store.db.execute(query, row).rowcount > 0

    def replace_origin(
        self,
        account: str,
        origin: str,
        tuples: Iterable[tuple[str, str, str]],
        members: Iterable[tuple[str, str]],
    ) -> None:
        """Let an origin say (external, subject, role) and (group, member), and nothing else."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM tuples WHERE account = ? AND origin = ?", (account, origin))
            db.execute("DELETE FROM members WHERE account = ? AND origin = ?", (account, origin))
            for external, who, role in tuples:
                self.grant(account, external, who, role, origin)
            for group, member in members:
                self.add_member(account, group, member, origin)

    def origins(self, account: str) -> list[str]:
        """Return every origin that says something about an account."""
        query = (
            "SELECT origin FROM tuples WHERE account = ?1 "
            "UNION SELECT origin FROM members WHERE account = ?1 ORDER BY origin"
        )
        return [row[0] for row in self._store.db.execute(query, (account,))]

    def tuples(self, account: str) -> list[dict[str, str]]:
        """Return all grants of an account, as JSON; the default owner's has the origin `default`."""
        query = "SELECT * FROM tuples WHERE account = ? ORDER BY object, subject, role, origin"
        rows = self._store.db.execute(query, (account,))
        found = [_shown(row["object"], row["subject"], row["role"], row["origin"]) for row in rows]
        default = _shown("root", f"user:{OWNER}", len(ROLES) - 1, "default")
        return found if self._is_owned(account) else [default, *found]

    def members(self, account: str) -> list[tuple[str, str, str]]:
        """Return all (group, member, origin) of an account."""
        query = "SELECT grp, member, origin FROM members WHERE account = ? ORDER BY 1, 2, 3"
        return [tuple(row) for row in self._store.db.execute(query, (account,))]

    def record(self, sync: Sync, object_id: str) -> sqlite3.Row | None:
        """Return the living record that an object's id means, with its type or without."""
        query = (
            "SELECT id, external, parent, kind FROM records "
            "WHERE sync = ? AND id = ? AND NOT deleted"
        )
        values = (sync["id"], bare_object(object_id))
        row: sqlite3.Row | None = self._store.db.execute(query, values).fetchone()
        return row

    def node(self, sync: Sync, external: str) -> sqlite3.Row | None:
        """Return what an integration's id means: a living record, else an item, without an id."""
        query = (
            "SELECT id, parent, kind FROM records "
            "WHERE sync = ? AND external = ? AND NOT deleted "
            "UNION ALL SELECT NULL, parent, kind FROM items "
            "WHERE account = ? AND pipeline = ? AND external = ? AND NOT gone LIMIT 1"
        )
        values = (sync["id"], external, sync["account"], sync["pipeline"], external)
        row: sqlite3.Row | None = self._store.db.execute(query, values).fetchone()
        return row

    def allowed(self, sync: Sync, object_id: str, user: str, role: str) -> bool:
        """Tell whether a user has a role, or one that implies it, on a record or above it."""
        row = self.record(sync, object_id)
        if row is None:
            return False
        if self._is_default_owner(sync, user):
            return True
        values = _values(sync, role) | _who(user)
        values |= {"external": row["external"], "parent": row["parent"]}
        return self._store.db.execute(_CHECK, values).fetchone() is not None

    def users(self, sync: Sync, object_id: str, role: str) -> list[str]:
        """Return everybody who has a role on a record, the members of groups one by one."""
        row = self.record(sync, object_id)
        if row is None:
            return []
        values = _values(sync, role) | {"external": row["external"], "parent": row["parent"]}
        found = {one[0].removeprefix("user:") for one in self._store.db.execute(_USERS, values)}
        return sorted(found if self._is_owned(sync["account"]) else found | {OWNER})

    def objects(self, sync: Sync, user: str, role: str, kind: str) -> Iterator[str]:
        """Yield every `file` or `folder` on which a user has a role, in the order of their ids."""
        values = _values(sync, role) | _who(user) | {"folder": kind == "folder"}
        held = {row[0] for row in self._store.db.execute(_HELD, values)}
        if "root" in held or self._is_default_owner(sync, user):
            yield from self._all(values)
        elif held:
            # Read at once: a cursor left open would show again what changes meanwhile.
            yield from sorted(row[0] for row in self._store.db.execute(_DOWN, values))

    def direct(self, account: str, external: str, role: str) -> list[str]:
        """Return the subjects to whom exactly this role was given on exactly this object."""
        query = "SELECT DISTINCT subject FROM tuples WHERE account = ? AND object = ? AND role = ?"
        rows = self._store.db.execute(query, (account, external, rank(role)))
        found = {row[0] for row in rows}
        if (external, role) == ("root", ROLES[-1]) and not self._is_owned(account):
            found.add(f"user:{OWNER}")
        return sorted(found)

    def _all(self, values: dict[str, Any]) -> Iterator[str]:
        query = (
            "SELECT id FROM records WHERE sync = :sync AND id > :after AND NOT deleted "
            "AND (kind = 'folder') = :folder ORDER BY id LIMIT :many"
        )
        after: str | None = ""
        while after is not None:
            page = values | {"after": after, "many": _AT_ONCE}
            found = [row[0] for row in self._store.db.execute(query, page).fetchall()]
            yield from found
            after = found[-1] if len(found) == _AT_ONCE else None

    def _is_owned(self, account: str) -> bool:
        query = (
            "SELECT 1 FROM tuples WHERE account = ? AND object = 'root' AND role = ? "
            "AND origin GLOB 'mount:*' LIMIT 1"
        )
        values = (account, len(ROLES) - 1)
        return self._store.db.execute(query, values).fetchone() is not None

    def _is_default_owner(self, sync: Sync, user: str) -> bool:
        return bare(user) == OWNER and not self._is_owned(sync["account"])


def bare_object(name: str) -> str:
    """Return an object's id without its type."""
    return name.removeprefix("file:").removeprefix("folder:")


def _shown(external: str, who: str, strength: int, origin: str) -> dict[str, str]:
    return {"object": external, "subject": who, "role": ROLES[strength], "origin": origin}


def _values(sync: Sync, role: str) -> dict[str, Any]:
    keys = {"sync": sync["id"], "account": sync["account"], "pipeline": sync["pipeline"]}
    return keys | {"rank": rank(role)}


def _who(user: str) -> dict[str, Any]:
    name = bare(user)
    _, at, domain = name.rpartition("@")
    return {"user": f"user:{name}", "domain": f"domain:{domain}" if at else None}
