"""Objects by generated code: what `plain` does, several times faster.

    JSON, or dicts  ──msgspec──▶  draft   a Struct of the keys that are known; strings, integers,
                                          booleans and nested objects are checked by msgspec, in C
    draft           ──finish──▶   model   by a function written for its fields and compiled once

Only sure ground is covered. A draft refuses what it does not know, `finish` raises at what it does
not like; then `plain` does the work and names the place, so nothing here needs words for an error.
Keys that were new to a draft (an unknown field, an older spelling) are learned, up to a bound, and
the next draft takes them: a field that the service adds costs one slow record, not all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from paragon_async.convert.collector import undisturbed
from paragon_async.convert.plain import Target
from paragon_async.convert.writing import Writer

_MOST_LEARNED = 16
_LONGEST_LEARNED = 64
_MANY = 100


@attrs.frozen(eq=False, repr=False)
class Shape:
    """How one attrs class is built, as far as its keys are known."""

    draft: Any
    finish: Callable[[Any], Any]
    keys: frozenset[str]

    def build(self, value: Any) -> Any:
        """Build one object from a dict; any exception means that `plain` must decide."""
        import msgspec  # noqa: PLC0415  # paid at the first answer, not at import

        return self.finish(msgspec.convert(value, self.draft))

    def build_all(self, values: list[Any]) -> list[Any]:
        """Build many, which costs less than one after the other; exceptions mean the same."""
        import msgspec  # noqa: PLC0415  # as above

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
    """The shapes of one converter: made when first wanted, and made anew when keys were learned."""

    def __init__(self, targets: Callable[[type], list[Target]]) -> None:
        self._targets = targets
        self._made: dict[type, Shape | None] = {}
        self._learned: dict[type, dict[str, None]] = {}
        self._lock = threading.RLock()

    def of(self, model: type) -> Shape | None:
        """Return the shape of *model*, None where only `plain` can build it."""
        try:
            return self._made[model]
        except KeyError:
            with self._lock:
                shape = self._made[model] = self._make(model)
            return shape

    def learn(self, model: type, keys: Iterable[str]) -> None:
        """Let drafts of *model* take these keys from now on."""
        with self._lock:
            shape = self.of(model)
            if shape is None:
                return
            known = self._learned.setdefault(model, {})
            for key in keys:
                fits = key.isidentifier() and len(key) <= _LONGEST_LEARNED
                if fits and key not in shape.keys and len(known) < _MOST_LEARNED:
                    known[key] = None
            if not shape.keys.issuperset(known):
                # All are made anew: one may be part of another.
                self._made.clear()

    def _make(self, model: type) -> Shape | None:
        fields = attrs.fields_dict(model)
        if any(getattr(field.default, "takes_self", False) for field in fields.values()):
            return None
        if "extra" in fields and fields["extra"].default is attrs.NOTHING:
            return None
        writer = Writer(model, self._nested)
        writer.write(self._targets(model), list(self._learned.get(model, ())))
        draft, finish = writer.made()
        return Shape(draft, finish, frozenset(writer.keys.values()))

    def _nested(self, kind: Any) -> tuple[type[Any], Callable[[Any], Any]] | None:
        shape = self.of(kind) if isinstance(kind, type) and attrs.has(kind) else None
        return (shape.draft, shape.finish) if shape else None
