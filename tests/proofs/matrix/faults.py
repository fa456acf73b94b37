"""What stands in for a fault: on the wire, in the emulator, in front of the wire, on the disk."""

from __future__ import annotations

import attrs

from paragon_async import Retry, Timeouts
from tests.proofs.matrix.outcome import ATTEMPTS

PATIENT = Timeouts()
AT_ONCE = Retry(attempts=ATTEMPTS, first_wait=0.0)


@attrs.frozen(kw_only=True)
class Fault:
    """One form of a fault.

    One of: *script*, what the wire does (several are for one request after the other); *rule*, what the
    emulator does; *detour*, a session that takes the place of the true one; *disk*, which disk is used;
    *plants*, what is done to a destination before. *points* names the point that is hit, by column,
    where it is not the usual one. *primed* runs before without a fault; *pause* is how long a consumer
    idles; *leaves* after how many. With *strays* a consumer waits for what comes unasked.
    """

    script: tuple = ()
    rule: dict | None = None
    detour: object = None
    disk: object = None
    plants: object = None
    points: dict = attrs.field(factory=dict)
    timeouts: Timeouts = PATIENT
    retry: Retry = AT_ONCE
    ranges: bool = False
    fresh: bool = False
    framed: bool = True
    large: bool = False
    primed: bool = False
    bare: bool = False
    cancels: bool = False
    foreign: bool = False
    held: bool = False
    strays: bool = False
    ahead: float = 0.0
    pause: float = 0.0
    stays: bool = False
    leaves: int | None = None


def wire(*scripts, **more):
    """Make a fault for each script."""
    return [Fault(script=(script,), **more) for script in scripts]


def rules(*given, **more):
    """Make a fault for each rule of the emulator."""
    return [Fault(rule=rule, **more) for rule in given]
