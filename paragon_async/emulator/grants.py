"""The words of permissions, and how a `.paragon.toml` in a folder says them. Source: api.md 7.

    [grants]
    can_read = ["reader@example.com", "group:eng", "domain:example.com", "anyone"]
    is_owner = ["boss@example.com"]

    [groups]
    eng = ["a@example.com", "group:leads"]

All of it is our choice. A subject is `user:<e-mail>` (a bare address is one), `group:<name>`,
`domain:<name>` or `anyone`. Addresses and domains are compared without regard to case, groups with
it. A group is known in the whole account, whichever folder defines it; several definitions add up.
"""

from __future__ import annotations

import tomllib
from typing import Any

import attrs

ROLES = ("can_read", "can_write", "is_owner")
_TABLES = ("grants", "groups")
_FORMS = "write an e-mail address, group:NAME, domain:NAME or anyone"


@attrs.frozen
class Grants:
    """What one file grants on its folder, and who its groups are."""

    tuples: list[tuple[str, str]] = attrs.field(factory=list)
    members: list[tuple[str, str]] = attrs.field(factory=list)


def read_grants(text: str) -> Grants:
    """Read a `.paragon.toml`; a ValueError names the key and how to mend it."""
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise ValueError("the file is nested too deeply: use [grants] and [groups]") from None
    except ValueError as error:
        raise ValueError(f"the file is not TOML: {error}") from None
    for key in found:
        if key not in _TABLES:
            raise ValueError(f"{key} is unknown: use [grants] and [groups]")
    grants, groups = (_table(found, key) for key in _TABLES)
    for role in grants:
        if role not in ROLES:
            raise ValueError(f"grants.{role} is no role: use one of {', '.join(ROLES)}")
    return Grants(
        [(who, role) for role in grants for who in _subjects(grants, "grants", role)],
        [(group_name(name), who) for name in groups for who in _subjects(groups, "groups", name)],
    )


def subject(text: str) -> str:
    """Return a subject in the form that is stored; a ValueError says which forms there are."""
    text = text.strip()
    kind, colon, name = text.partition(":")
    if text == "anyone":
        return text
    if colon and kind == "group":
        return f"group:{group_name(name)}"
    if colon and kind == "domain" and name and "@" not in name and not _has_space(name):
        return f"domain:{name.casefold()}"
    user = bare(text)
    before, at, after = user.rpartition("@")
    if not (before and at and after) or ":" in user or _has_space(user):
        raise ValueError(f"{text!r} is nobody: {_FORMS}")
    return f"user:{user}"


def group_name(text: str) -> str:
    """Return a group's name without what stands around it."""
    name = text.removeprefix("group:").removesuffix("#member").strip()
    if not name:
        raise ValueError("a group needs a name: write group:NAME")
    return name


def bare(user: str) -> str:
    """Return a user's e-mail address in the form that is compared."""
    return user.removeprefix("user:").strip().casefold()


def rank(role: str) -> int:
    """Return how strong a role is; a ValueError lists the roles."""
    if role not in ROLES:
        raise ValueError(f"{role!r} is no role: use one of {', '.join(ROLES)}")
    return ROLES.index(role)


def _table(found: dict[str, Any], key: str) -> dict[str, Any]:
    table = found.get(key, {})
    if not isinstance(table, dict):
        raise ValueError(f"{key} must be a table: write [{key}]")  # noqa: TRY004  # one kind of error
    return table


def _subjects(table: dict[str, Any], name: str, key: str) -> list[str]:
    listed = table[key]
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise ValueError(f'{name}.{key} must be a list of strings: {key} = ["a@example.com"]')
    try:
        return [subject(one) for one in listed]
    except ValueError as error:
        raise ValueError(f"{name}.{key}: {error}") from None


def _has_space(text: str) -> bool:
    return any(letter.isspace() for letter in text)
