"""What leaves a task group: one error, not a group of them."""

from __future__ import annotations


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error that stopped the others."""
    found = group.exceptions[0]
    return first(found) if isinstance(found, BaseExceptionGroup) else found
