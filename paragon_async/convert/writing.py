"""The code of a generated constructor: a draft, and the function that makes an object of it.

For a class of an id, a date and an `extra`, this is written:

    def finish(draft):
        v0 = draft.k0
        if v0 is None: raise Unfit
        v1 = draft.k1
        if v1 is not None:
            if type(v1) is not datetime: v1 = moment(v1)
            elif v1.tzinfo is None: v1 = v1.replace(tzinfo=UTC)
        made = new(Twin)
        made.id = v0
        made.created_at = v1
        made.extra = {}
        made.__class__ = Model
        return made

`Twin` is a subclass that adds nothing and takes assignment, which the model refuses; an object of it
becomes the model once it is filled. That costs a fifth of `__init__`, which in a class that refuses
assignment makes a call for every field. Only classes that bear the mark `FILLED` are built so:
it promises that `__init__` stores what it is given and does nothing else. For others it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import attrs

from paragon_async.convert.plain import Target
from paragon_async.convert.scalars import FILLED, moment

_CHECKED_BY_MSGSPEC = (str, int, bool)
Nested = Callable[[Any], tuple[type[Any], Callable[[Any], Any]] | None]


class UnfitError(Exception):
    """Something came that `plain` must look at."""


_NAMES: dict[str, Any] = {
    "Unfit": UnfitError, "new": object.__new__, "moment": moment, "datetime": datetime, "UTC": UTC,
}  # fmt: skip


class Writer:
    """Writes the draft and the function of one model."""

    def __init__(self, model: type, nested: Nested) -> None:
        self.keys: dict[str, str] = {}
        self._model = model
        self._nested = nested
        self._draft: list[tuple[str, Any, Any]] = []
        self._names: dict[str, Any] = _NAMES | {"Model": model}
        self._lines = ["def finish(draft):"]
        self._given: dict[attrs.Attribute[Any], str] = {}

    def write(self, targets: list[Target], learned: list[str]) -> None:
        """Write every field; *learned* are the keys that a draft takes beside the usual ones."""
        owner = {key: target for target in targets for key in target.keys}
        for target in targets:
            usual, *others = dict.fromkeys(target.keys)
            spelled = [usual, *(key for key in others if key in learned)]
            self._field(target, [key for key in spelled if owner[key] is target])
        self._extra([key for key in learned if key not in owner])
        self._ending()

    def made(self) -> tuple[type[Any], Callable[[Any], Any]]:
        """Compile what was written."""
        import msgspec  # noqa: PLC0415  # paid at the first answer, not at import

        draft = msgspec.defstruct(
            "Draft", self._draft, rename=self.keys, forbid_unknown_fields=True, gc=False
        )
        text = "\n    ".join(self._lines)
        # The text holds names of attrs fields and numbered names, nothing that came in an answer.
        exec(compile(text, f"<built {self._model.__qualname__}>", "exec"), self._names)  # noqa: S102  # as said above
        return draft, self._names["finish"]

    def _key(self, key: str, kind: Any, default: Any = None) -> str:
        name = f"k{len(self.keys)}"
        self.keys[name] = key
        self._draft.append((name, kind, default))
        return f"draft.{name}"

    def _constant(self, value: Any) -> str:
        name = f"c{len(self._names)}"
        self._names[name] = value
        return name

    def _field(self, target: Target, spelled: list[str]) -> None:
        kind, reading = self._reading(target.kind, target)
        v = self._given[target.field] = f"v{len(self._given)}"
        first, *others = [self._key(key, kind) for key in spelled] or ["None"]
        self._lines.append(f"{v} = {first}")
        for other in others:
            # Which of two would count depends on their order, which a draft does not know.
            self._lines.append(f"if {v} is None: {v} = {other}")
            self._lines.append(f"elif {other} is not None: raise Unfit")
        absent = self._default(target.field)
        if absent == "None":
            self._lines += [f"if {v} is not None:"] if reading else []
        else:
            self._lines.append(f"if {v} is None: {f'{v} = {absent}' if absent else 'raise Unfit'}")
            self._lines += ["else:"] if reading else []
        self._lines += [f"    {line.format(v=v)}" for line in reading]

    def _reading(self, kind: Any, target: Target) -> tuple[Any, list[str]]:
        """Return what a draft holds for *kind*, and the lines that turn it into the value."""
        if kind in _CHECKED_BY_MSGSPEC:
            return kind | None, []
        if kind is Any:
            return Any, []
        if getattr(kind, "__origin__", None) is dict:
            return Any, ["if type({v}) is not dict: raise Unfit"]
        if kind is datetime:
            # What no zone was given for and what is a number is left to the one that knows all forms.
            return datetime | int | float | None, [
                "if type({v}) is not datetime: {v} = moment({v})",
                "elif {v}.tzinfo is None: {v} = {v}.replace(tzinfo=UTC)",
            ]
        if inner := self._nested(kind):
            return inner[0] | None, [f"{{v}} = {self._constant(inner[1])}({{v}})"]
        return Any, [f"{{v}} = {self._constant(target.hook)}({{v}}, {self._constant(kind)})"]

    def _default(self, field: attrs.Attribute[Any]) -> str | None:
        """Return what is written for a missing value, None where one is required."""
        default: Any = field.default
        if default is attrs.NOTHING:
            return None
        if default is None or isinstance(default, bool):
            return str(default)
        if not isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class when it runs
            return self._constant(default)
        for literal, factory in (("{}", dict), ("[]", list)):
            if default.factory is factory:
                return literal
        return f"{self._constant(default.factory)}()"

    def _extra(self, unknown: list[str]) -> None:
        """Collect the unknown keys that are known by now; a model without `extra` drops them."""
        import msgspec  # noqa: PLC0415  # as above

        field = attrs.fields_dict(self._model).get("extra")
        found = [(key, self._key(key, Any, msgspec.UNSET)) for key in unknown]
        if field is None:
            return
        self._given[field] = self._default(field) or ""
        if found:
            unset = self._constant(msgspec.UNSET)
            self._lines.append("extra = {}")
            for key, place in found:
                kept = f"extra[{self._constant(key)}] = {place}"
                self._lines.append(f"if {place} is not {unset}: {kept}")
            self._given[field] = f"extra or {self._given[field]}"

    def _ending(self) -> None:
        if not vars(self._model).get(FILLED):
            given = ", ".join(f"{field.alias}={v}" for field, v in self._given.items())
            self._lines.append(f"return Model({given})")
            return
        same = {"__slots__": (), "__setattr__": object.__setattr__, "__module__": __name__}
        self._names["Twin"] = type(self._model.__name__, (self._model,), same)
        self._lines.append("made = new(Twin)")
        self._lines += [f"made.{field.name} = {v}" for field, v in self._given.items()]
        self._lines += ["made.__class__ = Model", "return made"]
