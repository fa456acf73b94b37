"""What `paragon-async permissions` does: the questions, and the tree that `expand` draws."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from paragon_async import Check, ConnectedUser, IncompleteListError, Role, Tree
from paragon_async.cli import connect, output
from paragon_async.cli.exits import Exit
from paragon_async.cli.output import Column
from paragon_async.cli.safe import plain
from paragon_async.cli.settings import now

Node = dict[str, Any]
_CHECKED = (
    Column("object", whole=True),
    Column("user"),
    Column("role"),
    Column("allowed", whole=True),
    Column("error"),
)


async def check(user: str | None, sync: str, who: str, objects: Sequence[str], role: Role) -> int:
    """Answer a check of each object; status 1 where one is denied."""
    async with connect.client() as paragon:
        asked = [Check(one, who, role) for one in objects]
        verdicts = await connect.whose(paragon, user).permissions.batch_check(sync, asked)
    found = [
        {
            "object": verdict.check.object,
            "user": verdict.check.user,
            "role": verdict.check.role,
            "allowed": verdict.allowed,
            "error": verdict.error,
        }
        for verdict in verdicts
    ]
    output.rows(found, _CHECKED, nothing="nothing was asked")
    return Exit.GOOD if all(one.allowed for one in verdicts) else Exit.NOT_ALL


async def users(user: str | None, sync: str, object: str, role: Role) -> int:  # the vendor's noun
    """List who has a role; where the service cut the list, what came and status 1."""
    async with connect.client() as paragon:
        asked = connect.whose(paragon, user).permissions
        try:
            found, cut = await asked.list_users(sync, object=object, role=role), None
        except IncompleteListError as error:
            found, cut = error.partial, error
    nobody = f"nobody has {role} on it"
    output.rows([{"user": one} for one in found], [Column("user")], nothing=nobody)
    if cut is not None:
        output.warn(str(cut), "`permissions check` answers for one person, completely")
        return Exit.NOT_ALL
    return Exit.GOOD


async def objects(user: str | None, sync: str, who: str, role: Role, kind: str) -> int:
    """List what somebody has a role on, as it comes."""
    count = 0
    async with connect.client() as paragon:
        asked = connect.whose(paragon, user).permissions
        stream = asked.stream_objects(sync, user=who, role=role, object_type=kind)
        async with aclosing(stream):
            async for one in stream:
                count += 1
                if now().for_program:
                    output.line({"object": one})
                else:
                    print(plain(one))
    output.note(f"{count:,} {kind}s" if count != 1 else f"1 {kind}")
    return Exit.GOOD


async def expand(
    user: str | None, sync: str, object: str, relation: str, depth: int
) -> int:  # the vendor's noun
    """Draw the tree of a relation."""
    async with connect.client() as paragon:
        root = await Roots(connect.whose(paragon, user), sync).node(object, relation, depth)
    if now().for_program:
        output.line(root)
        return Exit.GOOD
    from rich.text import Text
    from rich.tree import Tree as Drawn

    def draw(onto: Drawn, node: Node) -> None:
        for name in node["users"]:
            onto.add(Text(plain(name), style="green"))
        for below in node["from"]:
            draw(onto.add(Text(_named(below))), below)

    drawn = Drawn(Text(_named(root), style="bold"))
    draw(drawn, root)
    output.console().print(drawn)
    return Exit.GOOD


class Roots:
    """Asks for each userset once; one that comes round again is not followed."""

    def __init__(self, user: ConnectedUser, sync: str) -> None:
        self._user = user
        self._sync = sync
        self._asked: set[tuple[str, str]] = set()

    async def node(self, object: str, relation: str, depth: int) -> Node:  # the vendor's noun
        """Return `object#relation` with all that it comes from, *depth* levels deep."""
        self._asked.add((object, relation))
        permissions = self._user.permissions
        tree = await permissions.expand(self._sync, object=object, relation=relation)
        # The service names the object with its type, as what refers to it does.
        typed, _, _ = tree.name.partition("#")
        self._asked.add((typed, relation))
        return await self._read(tree, depth)

    async def _read(self, tree: Tree, depth: int) -> Node:
        found: Node = {"name": tree.name, "by": None, "users": tree.users, "from": []}
        for by, parts in (
            ("any of", tree.union),
            ("all of", tree.intersection),
            ("but not", [part for part in (tree.base, tree.subtract) if part is not None]),
        ):
            if parts:
                found["by"] = by
                read = [await self._read(part, depth) for part in parts]
                # A part of a union that has the name of the whole adds nothing by itself.
                whole = [by == "any of" and part["name"] == tree.name for part in read]
                for part, is_whole in zip(read, whole, strict=True):
                    found["users"] += part["users"] if is_whole else []
                    found["from"] += part["from"] if is_whole else [part]
        found["from"] += [await self._follow(name, depth - 1) for name in tree.usersets]
        return found

    async def _follow(self, userset: str, depth: int) -> Node:
        object_, _, relation = userset.partition("#")
        if depth > 0 and relation and (object_, relation) not in self._asked:
            return await self.node(object_, relation, depth)
        return {"name": userset, "by": "not followed", "users": [], "from": []}


def _named(node: Node) -> str:
    by = {None: "", "not followed": " …"}.get(node["by"], f"  ({node['by']})")
    return plain(node["name"] or "?") + by
