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
    hook_of = shared.get_structure_hook
    # Each of our hooks, by its identity, with the one that does the same in the obvious way throughout.
    ours: dict[int, tuple[Hook, Hook]] = {}

    def own(hook: Hook, obvious: Hook | None = None) -> Hook:
        ours[id(hook)] = hook, obvious or hook
        return hook

    def obvious_of(kind: Any) -> Hook:
        found = hook_of(kind)
        return ours.get(id(found), (found, found))[1]

    targets = functools.partial(plain.targets, hook_of)
    shapes = Shapes(hook_of, lambda hook: id(hook) in ours, targets)
    for scalar, wanted in ((str, "a string"), (bool, "a boolean"), (int, "an integer")):
        shared.register_structure_hook(scalar, own(exactly(scalar, wanted)))
    shared.register_structure_hook(float, own(number))
    shared.register_structure_hook(datetime, own(lambda value, _: moment(value)))
    shared.register_structure_hook(date, own(lambda value, _: moment(value).date()))
    shared.register_structure_hook_func(_is_dict, own(exactly(dict, "an object")))
    shared.register_structure_hook_func(_is_any, own(lambda value, _: value))

    def lists(kind: Any) -> Hook:
        item = kind.__args__[0]
        obvious = plain.list_hook(item, obvious_of(item))
        if not (quick and _is_class(item) and id(hook_of(item)) in ours):
            return own(obvious)
        learning = plain.list_hook(item, plain.object_hook(item, targets(item)))
        return own(_list_hook(shapes, item, learning, obvious), obvious)

    def objects(model: Any) -> Hook:
        obvious = plain.object_hook(model, plain.targets(obvious_of, model))
        if not (quick and _is_class(model)):
            return own(obvious)
        learning = plain.object_hook(model, targets(model))
        return own(_object_hook(shapes, model, learning, obvious), obvious)

    shared.register_structure_hook_factory(_is_list, lists)
    shared.register_structure_hook_factory(attrs.has, objects)
    return shared, shapes


def _object_hook(shapes: Shapes, model: type, learning: Hook, obvious: Hook) -> Hook:
    """Build the quick hook; *learning* follows a failure, the parts of an object learn by it too."""

    def hook(value: Any, kind: Any) -> Any:
        shape = shapes.of(model)
        if shape is None or not shape.one.is_due():
            return obvious(value, kind)
        try:
            made = shape.build(value)
        except Exception:  # noqa: BLE001  # whatever it was: what follows decides, and has the words
            shape.one.failed()
        else:
            shape.one.worked()
            return made
        made = learning(value, kind)
        shapes.learn(model, shape, [value])
        return made

    return hook


def _list_hook(shapes: Shapes, item: type, learning: Hook, obvious: Hook) -> Hook:
    def hook(value: Any, kind: Any) -> Any:
        shape = shapes.of(item)
        if shape is None or type(value) is not list or not shape.many.is_due():
            return obvious(value, kind)
        try:
            made = shape.build_all(value)
        except Exception:  # noqa: BLE001  # as above
            shape.many.failed()
        else:
            shape.many.worked()
            return made
        made = learning(value, kind)
        shapes.learn(item, shape, value)
        return made

    return hook


def _is_any(kind: Any) -> bool:
    return kind is Any


def _is_class(kind: Any) -> bool:
    return isinstance(kind, type) and attrs.has(kind)


def _is_list(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is list


def _is_dict(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is dict
