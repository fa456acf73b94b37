"""What happens in one seed: how large the world is, how rough, and what is done, and broken off, in it."""

from __future__ import annotations

import random

import attrs

_ACTS = ("run", "reconcile", "verify", "retry", "follow")
_ENDS = ("none", "kill", "power", "cancel", "timeout")


@attrs.frozen
class Act:
    """One thing that is asked of the engine after *pause* seconds; *end* breaks it off, *at* that event.

    A `timeout` comes after *at* seconds instead, and ends the `follow` that nothing else ended.
    """

    kind: str
    end: str
    at: int
    pause: float


@attrs.frozen(kw_only=True)
class Plan:
    """One world."""

    files: int
    changes: int
    between_changes: float
    between_syncs: float
    has_large: bool
    errors: float
    disk_errors: float
    slowness: float
    page_size: int
    concurrency: int
    bytes_at_once: int
    durability: str
    fuse: float | None
    acts: list


def plan(seed):
    """Return the plan of *seed*."""
    dice = random.Random(f"{seed} plan")  # noqa: S311  # chance that repeats
    return Plan(
        files=dice.choice((1, 3, 8, 15, 25)),
        changes=dice.choice((0, 5, 15, 30)),
        between_changes=dice.choice((5.0, 60.0, 600.0)),
        between_syncs=dice.choice((30.0, 300.0, 3600.0)),
        has_large=dice.random() < 0.02,
        errors=dice.choice((0.0, 0.0, 0.02, 0.1, 0.3)),
        disk_errors=dice.choice((0.0, 0.0, 0.0, 0.01)),
        slowness=dice.choice((0.001, 0.01, 0.2)),
        page_size=dice.choice((1, 3, 8, 50)),
        concurrency=dice.choice((1, 2, 4, 8)),
        bytes_at_once=dice.choice((100, 10_000, 1 << 28)),
        durability=dice.choice(("file", "batch")),
        fuse=dice.choice((None, 0.5)),
        acts=[_act(dice) for _ in range(dice.choice((1, 2, 3, 4)))],
    )


def _act(dice):
    kind = dice.choices(_ACTS, (10, 3, 2, 2, 3))[0]
    end = dice.choices(_ENDS, (4, 5, 5, 3, 1))[0]
    # Anywhere in an act, and as often near its beginning as in all that follows.
    at = int(2 ** dice.uniform(0, 9.5))
    if end == "timeout" or (kind == "follow" and end == "none"):
        end, at = "timeout", dice.choice((1, 60, 3600, 4 * 3600))
    pause = dice.choice((0.0, 60.0, 1800.0, 4 * 3600.0)) * dice.random()
    return Act(kind, end, at, pause)
