"""`paragon-async permissions`: check, users, objects, expand."""

from __future__ import annotations

from typing import Any

import click

from paragon_async.cli.connect import named, sync_argument, user_option
from paragon_async.cli.frame import group
from paragon_async.cli.get import all_named
from paragon_async.cli.outcome import perform

# Spelled out here, for the models are imported only when the command runs; a test compares.
ROLES = ("can_read", "can_write", "is_owner")
_role = click.option("--role", type=click.Choice(ROLES), default="can_read", show_default=True)
_who = click.argument("who", metavar="EMAIL", callback=named)


@group()
def permissions() -> None:
    """Ask who may see what, and why."""


@permissions.command()
@sync_argument
@_who
@click.argument("objects", nargs=-1, required=True, metavar="RECORD...", callback=all_named)
@user_option
@_role
def check(sync: str, who: str, objects: tuple[str, ...], user: str | None, role: Any) -> int:
    """Tell whether EMAIL has a role on each RECORD.

    The status is 0 if all are allowed, and 1 if one is not: in doubt it is not.

    \b
    paragon-async permissions check SYNC ada@example.com RECORD --user user-1 && …
    """  # noqa: D301  # the mark by which click leaves a paragraph as it is
    from paragon_async.cli import asking

    return perform(asking.check(user, sync, who, objects, role))


@permissions.command()
@sync_argument
@click.argument("object_", metavar="RECORD", callback=named)
@user_option
@_role
def users(sync: str, object_: str, user: str | None, role: Any) -> int:
    """List who has a role on RECORD."""
    from paragon_async.cli import asking

    return perform(asking.users(user, sync, object_, role))


@permissions.command()
@sync_argument
@_who
@user_option
@_role
@click.option("--type", "kind", type=click.Choice(["file", "folder"]), default="file")
def objects(sync: str, who: str, user: str | None, role: Any, kind: str) -> int:
    """List the records on which EMAIL has a role."""
    from paragon_async.cli import asking

    return perform(asking.objects(user, sync, who, role, kind))


@permissions.command()
@sync_argument
@click.argument("object_", metavar="RECORD", callback=named)
@user_option
@click.option("--relation", default="can_read", show_default=True, callback=named)
@click.option("--depth", default=3, show_default=True, type=click.IntRange(1, 20), help="Levels.")
def expand(sync: str, object_: str, user: str | None, relation: str, depth: int) -> int:
    """Show why somebody has a relation to RECORD, as a tree.

    What a level refers to is asked about in turn, down to --depth; `…` marks what was not followed.
    """
    from paragon_async.cli import asking

    return perform(asking.expand(user, sync, object_, relation, depth))
