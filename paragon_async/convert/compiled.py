"""Objects by generated code: what `plain` does, several times faster.

    JSON, or dicts  ──msgspec──▶  draft   a Struct of the keys that are known; strings, integers,
                                          booleans and nested objects are checked by msgspec, in C
    draft           ──finish──▶   model   by a function written for its fields and compiled once

Only sure ground is covered. A draft refuses what it does not know, `finish` raises at what it does
not like; then `plain` does the work and names the place, so nothing here needs words for an error.
What was built by then is thrown away: hence a shape is made only where that runs no code of a user.
Keys that were new to a draft (an unknown field, an older spelling) are learned, up to a bound, and
the next draft takes them: a field that the service adds costs one slow page, not all of them.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection, Iterable
from typing import Any

import attrs

from paragon_async.convert.collector import undisturbed
from paragon_async.convert.plain import Target
from paragon_async.convert.scalars import FILLED, Hook
from paragon_async.convert.writing import UnfitError, Writer

_MOST_LEARNED = 16
_LONGEST_LEARNED = 64
_MANY = 100
_PATIENCE = 3
_LONGEST_REST = 64
_JSON = frozenset({dict, list, str, int, float, bool, type(None)})
_PURE_FACTORIES = (dict, list, set, tuple, frozenset)


@attrs.define(eq=False, repr=False)
class Trial:
    """Whether a fast way is worth a try: after three failures in a row it rests, longer each time.

    So what never fits costs next to nothing, and what fits again after a while is found out.
    """

    _failures: int = 0
    _rests: int = 0

    def is_due(self) -> bool:
        """Say whether to try this time."""
        if self._rests <= 0:
            return True
        self._rests -= 1
        return False

    def worked(self) -> None:
        """Note that the fast way did it."""
        self._failures = 0

    def failed(self) -> None:
        """Note that it was tried in vain."""
        self._failures += 1
        if self._failures >= _PATIENCE:
            self._rests = min(2**self._failures, _LONGEST_REST)


@attrs.frozen(eq=False, repr=False)
class Shape:
    """How one attrs class is built, as far as its keys are known, and how that went of late."""

    draft: Any
    finish: Callable[[Any], Any]
    keys: frozenset[str]
    one: Trial = attrs.field(factory=Trial)
    many: Trial = attrs.field(factory=Trial)
    page: Trial = attrs.field(factory=Trial)

    def build(self, value: Any) -> Any:
        """Build one object from a dict; any exception means that `plain` must decide."""
        import msgspec  # noqa: PLC0415  # paid at the first answer, not at import

        if not _is_json((value,)):
            raise UnfitError
        return self.finish(msgspec.convert(value, self.draft))

    def build_all(self, values: list[Any]) -> list[Any]:
        """Build many, which costs less than one after the other; exceptions mean the same."""
        import msgspec  # noqa: PLC0415  # as above

        if not _is_json(values):
            raise UnfitError
        kind: Any = list.__class_getitem__(self.draft)
        if len(values) < _MANY:
            return self.finish_all(msgspec.convert(values, kind))
        with undisturbed():
            return self.finish_all(msgspec.convert(values, kind))

    def finish_all(self, drafts: Iterable[Any]) -> list[Any]:
        """Turn drafts into objects."""
        finish = self.finish
        return [finish(draft) for draft in drafts]


class Shapes:
    """The shapes of one converter: made when first wanted, and anew when keys or hooks are new.

    *hook_of* asks the converter. It remembers its answer until some hook is registered, so that the
    same answer as before means that none was; *ours* are the hooks that a shape may stand in for.
    """

    def __init__(
        self,
        hook_of: Callable[[Any], Hook],
        ours: Callable[[Hook], bool],
        targets: Callable[[type], list[Target]],
    ) -> None:
        self._hook_of = hook_of
        self._is_ours = ours
        self._targets = targets
        self._made: dict[type, tuple[Hook, Shape | None]] = {}
        self._learned: dict[type, dict[str, None]] = {}
        self._lock = threading.RLock()

    def of(self, model: type) -> Shape | None:
        """Return the shape of *model*, None where only `plain` or a user's hook can build it."""
        hook = self._hook_of(model)
        made = self._made.get(model)
        if made is None or made[0] is not hook:
            with self._lock:
                made = self._made[model] = hook, self._make(model, hook)
        return made[1]

    def learn(self, model: type, shape: Shape, values: Iterable[dict[Any, Any]]) -> None:
        """Let drafts of *model* take the keys of these objects, which *shape* refused, from now on."""
        keys = dict.fromkeys(itertools.chain.from_iterable(values))
        with self._lock:
            known = self._learned.setdefault(model, {})
            strange = keys.keys() - shape.keys - known.keys()
            new = [key for key in keys if key in strange and _is_learnable(key)]
            known.update(dict.fromkeys(new[: _MOST_LEARNED - len(known)]))
            if not shape.keys.issuperset(known):
                # All are made anew: one may be part of another.
                self._made.clear()

    def _make(self, model: type, hook: Hook) -> Shape | None:
        try:
            if not self._is_ours(hook) or not _only_stores(model):
                return None
            targets = self._targets(model)
            sure = all(self._is_sure(target.kind) for target in targets)
            if not sure or not all(_is_pure(field.default) for field in attrs.fields(model)):
                return None
            writer = Writer(model, self._nested)
            writer.write(targets, list(self._learned.get(model, ())))
            draft, finish = writer.made()
        except Exception:  # noqa: BLE001  # a class with which anything is odd is for `plain`
            return None
        return Shape(draft, finish, frozenset(writer.keys.values()))

    def _is_sure(self, kind: Any) -> bool:
        """Say whether values of *kind* are built by our hooks alone, all the way down."""
        if _is_class(kind):
            return self.of(kind) is not None
        items = kind.__args__ if getattr(kind, "__origin__", None) is list else ()
        return self._is_ours(self._hook_of(kind)) and all(map(self._is_sure, items))

    def _nested(self, kind: Any) -> tuple[type[Any], Callable[[Any], Any]] | None:
        shape = self.of(kind) if _is_class(kind) else None
        return (shape.draft, shape.finish) if shape else None


def _is_class(kind: Any) -> bool:
    return isinstance(kind, type) and attrs.has(kind)


def _is_pure(default: Any) -> bool:
    """Say whether asking for this default runs no code of a user, and looks at no object."""
    if not isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class when it runs
        return True
    return any(default.factory is pure for pure in _PURE_FACTORIES)


def _is_json(values: Collection[Any]) -> bool:
    """Say whether these could have come from JSON; msgspec is less strict than `plain` otherwise."""
    kinds = {*map(type, values)}
    if not kinds <= _JSON:
        return False
    return dict not in kinds or all(_is_json(v.values()) for v in values if type(v) is dict)


def _is_learnable(key: Any) -> bool:
    """Say whether a draft can have this key: msgspec refuses to name a field with what JSON escapes."""
    if type(key) is not str or len(key) > _LONGEST_LEARNED:
        return False
    return key.isprintable() and '"' not in key and "\\" not in key


def _only_stores(model: Any) -> bool:
    """Say whether making one is storing what is given: a class so marked, or a simple one of attrs."""
    fields = attrs.fields_dict(model)
    if "extra" in fields and fields["extra"].default is attrs.NOTHING:
        return False
    if vars(model).get(FILLED):
        return True
    if hasattr(model, "__attrs_pre_init__") or hasattr(model, "__attrs_post_init__"):
        return False
    if any(field.converter or field.validator or not field.init for field in fields.values()):
        return False
    base: Any = object
    stores = model.__setattr__ is base.__setattr__ or model.__setattr__.__module__ == "attr._make"
    usual = type(model) is type and model.__new__ is base.__new__ and stores
    init = getattr(model.__init__, "__code__", None)
    return usual and init is not None and init.co_filename.startswith("<attrs generated")
