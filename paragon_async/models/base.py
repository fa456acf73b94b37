"""The decorator that every received value wears."""

from __future__ import annotations

from typing import Any, TypeVar, dataclass_transform

import attrs

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(attrs.field,))
def value(cls: type[T]) -> type[T]:
    """Make an attrs class that is slotted, keyword-only and refuses assignment.

    Refusing through `on_setattr` instead of `frozen=True` leaves `__init__` at full speed, which
    counts where a page of a thousand records is built.
    """
    make: Any = attrs.define(slots=True, kw_only=True, on_setattr=attrs.setters.frozen)
    made: type[T] = make(cls)
    return made


def extras() -> dict[str, Any]:
    """Declare the field that keeps what the service sent and the model does not know."""
    made: dict[str, Any] = attrs.field(factory=dict, repr=False)
    return made
