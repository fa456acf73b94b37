"""How an object becomes an attrs class and an array a list: the obvious way, which names places.

It is the one that decides. What `compiled` does faster must come out the same; tests hold it to that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from paragon_async.convert.scalars import Hook, Mismatch, kind_of


@attrs.frozen(eq=False, repr=False)
class Target:
    """A field that keys lead to: what it is called in `__init__`, and how its value is read."""

    field: attrs.Attribute[Any]
    alias: str
    kind: Any
    hook: Hook
    keys: tuple[str, ...]


def targets(hook_of: Callable[[Any], Hook], model: type) -> list[Target]:
    """List the fields of *model* with their spellings, the usual one first; `extra` is none."""
    attrs.resolve_types(model)
    made = []
    for field in attrs.fields(model):
        if field.name == "extra" or not field.init:
            continue
        kind = _without_none(field.type)
        keys = (_camel(field.name), field.name, *field.metadata.get("aliases", ()))
        alias = field.alias or field.name
        made.append(Target(field, alias, kind, hook_of(kind), keys))
    return made


def object_hook(model: type, found: list[Target]) -> Hook:
    """Build the hook of one attrs class: a single pass over the keys that came.

    One look-up per key finds the field under every spelling and the unknown ones as well, which is
    both shorter and several times faster than asking for each field under each of its names.
    """
    find = {key: target for target in found for key in target.keys}.get
    required = [target for target in found if target.field.default is attrs.NOTHING]
    keeps_extra = "extra" in attrs.fields_dict(model)

    def hook(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch(f"an object is wanted, this is {kind_of(value)}")
        made: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        key = ""
        try:
            for key, entry in value.items():
                target = find(key)
                if target is None:
                    extra[key] = entry
                elif entry is not None:
                    made[target.alias] = target.hook(entry, target.kind)
        except Mismatch as mismatch:
            raise mismatch.inside(f".{key}") from None
        if extra and keeps_extra:
            made["extra"] = extra
        for target in required:
            if target.alias not in made:
                raise Mismatch("missing").inside(f".{target.keys[0]}")
        return model(**made)

    return hook


def list_hook(item: Any, build: Hook) -> Hook:
    """Build the hook of a list of *item*."""

    def hook(value: Any, _: Any) -> list[Any]:
        if type(value) is not list:
            raise Mismatch(f"an array is wanted, this is {kind_of(value)}")
        made = []
        try:
            for entry in value:
                made.append(build(entry, item))  # noqa: PERF401  # the index of a mismatch is needed
        except Mismatch as mismatch:
            raise mismatch.inside(f"[{len(made)}]") from None
        return made

    return hook


def _without_none(kind: Any) -> Any:
    options = [option for option in getattr(kind, "__args__", ()) if option is not type(None)]
    nullable = len(options) == 1 and type(None) in kind.__args__
    return options[0] if nullable else kind


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
