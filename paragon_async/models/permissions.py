"""Who may do what: the values of the Permissions API. Source: api.md 7."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from paragon_async.models.base import extras, value

Role = Literal["can_read", "can_write", "is_owner"]
"""The relations that can be asked for."""


@attrs.frozen
class Check:
    """One question: may *user* (an e-mail address) act as *role* on *object* (a record id)?"""

    object: str
    user: str
    role: str = "can_read"


@attrs.frozen
class Verdict:
    """The answer to one `Check`. With an *error*, *allowed* is False whatever the service said."""

    check: Check
    allowed: bool
    error: str | None = None


@value
class Tree:
    """Why somebody has access: one level of the relationship graph.

    *name* is `<type>:<id>#<relation>`. Exactly one of *leaf*, *union*, *intersection* and
    *difference* is set; the operators hold further trees, *leaf* is what the service sent.
    """

    name: str = ""
    leaf: dict[str, Any] | None = None
    union: list[Tree] | None = None
    intersection: list[Tree] | None = None
    base: Tree | None = None
    subtract: Tree | None = None
    extra: dict[str, Any] = extras()

    @property
    def users(self) -> list[str]:
        """The users named directly on this node, without their `user:` prefix."""
        users = (self.leaf or {}).get("users")
        named = users.get("users") if isinstance(users, dict) else users
        return [str(user).removeprefix("user:") for user in named or ()]

    @property
    def usersets(self) -> list[str]:
        """The usersets this node refers to; ask `expand` for each to go deeper."""
        leaf = self.leaf or {}
        found = [leaf.get("computed") or {}]
        found += (leaf.get("tupleToUserset") or {}).get("computed") or []
        return [str(entry["userset"]) for entry in found if "userset" in entry]
