"""The hooks on a cattrs converter: generated code first, then, where it declines, the obvious way."""

from __future__ import annotations

import functools
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import attrs

from paragon_async.convert import plain
from paragon_async.convert.compiled import Shapes
from paragon_async.convert.scalars import Hook, exactly, moment, number

if TYPE_CHECKING:
    from cattrs import Converter


def make(*, quick: bool = True) -> tuple[Converter, Shapes]:
    """Make a converter and the shapes that its hooks build by; *quick* off leaves the obvious way."""
    from cattrs import Converter  # noqa: PLC0415  # paid at the first answer, not at import

    shared = Converter()
    targets = functools.cache(lambda model: plain.targets(shared, model))
    shapes = Shapes(targets)
    for scalar, wanted in ((str, "a string"), (bool, "a boolean"), (int, "an integer")):
        shared.register_structure_hook(scalar, exactly(scalar, wanted))
    shared.register_structure_hook(float, number)
    shared.register_structure_hook(datetime, lambda value, _: moment(value))
    shared.register_structure_hook(date, lambda value, _: moment(value).date())
    shared.register_structure_hook_func(_is_dict, exactly(dict, "an object"))

    def lists(kind: Any) -> Hook:
        item = kind.__args__[0]
        obvious = plain.list_hook(item, shared.get_structure_hook(item))
        return _list_hook(shapes, item, obvious) if quick and _is_class(item) else obvious

    def objects(model: Any) -> Hook:
        obvious = plain.object_hook(model, targets(model))
        return _object_hook(shapes, model, obvious) if quick and _is_class(model) else obvious

    shared.register_structure_hook_factory(_is_list, lists)
    shared.register_structure_hook_factory(attrs.has, objects)
    return shared, shapes


def _object_hook(shapes: Shapes, model: type, obvious: Hook) -> Hook:
    def hook(value: Any, kind: Any) -> Any:
        if (shape := shapes.of(model)) is not None:
            try:
                return shape.build(value)
            except Exception:  # noqa: BLE001, S110  # whatever it was: what follows decides, and has the words
                pass
        made = obvious(value, kind)
        shapes.learn(model, value)
        return made

    return hook


def _list_hook(shapes: Shapes, item: type, obvious: Hook) -> Hook:
    def hook(value: Any, kind: Any) -> Any:
        shape = shapes.of(item)
        if shape is not None and type(value) is list:
            try:
                return shape.build_all(value)
            except Exception:  # noqa: BLE001, S110  # as above
                pass
        return obvious(value, kind)

    return hook


def _is_class(kind: Any) -> bool:
    return isinstance(kind, type) and attrs.has(kind)


def _is_list(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is list


def _is_dict(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is dict
