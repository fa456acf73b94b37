"""One level of the graph, as the service draws it. Source: api.md 7.3.

The model is ours. A role on a file or folder is a union: those to whom it was given there, the next
stronger role, and the same role on the folder above. `parent` is the folder above; `member` of
`group:NAME` is who is in it. So every userset in an answer can be asked about with a further call:
the top of the account is `folder:root`, and a folder outside the sync goes by the integration's id.
What is unknown has nobody.
"""

from __future__ import annotations

from typing import Any

import attrs

from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.grants import ROLES
from paragon_async.emulator.graph import Graph, Sync, bare_object

RELATIONS = (*ROLES, "parent", "member")


@attrs.frozen
class _Thing:
    name: str
    external: str | None
    above: str | None


def expand(graph: Graph, sync: Sync, object_id: str, relation: str) -> dict[str, Any]:
    """Return the node of a relation on an object."""
    if relation not in RELATIONS:
        raise Refusal(400, f"relation must be one of {', '.join(RELATIONS)}")
    if object_id.startswith("group:"):
        return _group(graph, sync, object_id, relation)
    thing = _thing(graph, sync, object_id)
    if thing is None or relation == "member":
        name = object_id if thing is None else thing.name
        return _leaf(f"{_typed(name)}#{relation}", [])
    name = f"{thing.name}#{relation}"
    if relation == "parent":
        return _leaf(name, [thing.above] if thing.above else [])
    return {"name": name, "union": {"nodes": _sources(graph, sync, thing, relation)}}


def _sources(graph: Graph, sync: Sync, thing: _Thing, role: str) -> list[dict[str, Any]]:
    name = f"{thing.name}#{role}"
    given = graph.direct(sync["account"], thing.external, role) if thing.external else []
    nodes = [_leaf(name, [_shown(who) for who in given])]
    for stronger in ROLES[ROLES.index(role) + 1 :][:1]:
        computed = {"userset": f"{thing.name}#{stronger}"}
        nodes.append({"name": name, "leaf": {"computed": computed}})
    if thing.above:
        inherited = {
            "tupleset": f"{thing.name}#parent",
            "computed": [{"userset": f"{thing.above}#{role}"}],
        }
        nodes.append({"name": name, "leaf": {"tupleToUserset": inherited}})
    return nodes


def _group(graph: Graph, sync: Sync, object_id: str, relation: str) -> dict[str, Any]:
    name = object_id.removeprefix("group:").removesuffix("#member")
    found = {who for group, who, _ in graph.members(sync["account"]) if group == name}
    users = [_shown(who) for who in sorted(found)] if relation == "member" else []
    return _leaf(f"group:{name}#{relation}", users)


def _thing(graph: Graph, sync: Sync, object_id: str) -> _Thing | None:
    row = graph.record(sync, object_id)
    if row is not None:
        name = f"{_kind(row['kind'])}:{row['id']}"
        return _Thing(name, row["external"], _folder(graph, sync, row["parent"]))
    external = bare_object(object_id)
    if external == "root":
        return _Thing("folder:root", "root", None)
    node = graph.node(sync, external)
    if node is None:
        return None
    above = _folder(graph, sync, node["parent"])
    return _Thing(f"{_kind(node['kind'])}:{node['id'] or external}", external, above)


def _folder(graph: Graph, sync: Sync, parent: str | None) -> str:
    """Name the folder above by its record, else by the integration's id, else as the root."""
    node = graph.node(sync, parent) if parent else None
    return "folder:root" if node is None else f"folder:{node['id'] or parent}"


def _kind(kind: str) -> str:
    return "folder" if kind == "folder" else "file"


def _typed(name: str) -> str:
    return name if name.startswith(("file:", "folder:")) else f"file:{name}"


def _shown(who: str) -> str:
    return f"{who}#member" if who.startswith("group:") else who


def _leaf(name: str, users: list[str]) -> dict[str, Any]:
    return {"name": name, "leaf": {"users": {"users": users}}}
