"""A rate limit for every user: a bucket of calls that the emulator's clock fills.

The service publishes no limits; ours exist only if asked for. With a frozen clock nothing is filled
until it is advanced.
"""

from __future__ import annotations

from collections import OrderedDict

from paragon_async.emulator.clock import Clock
from paragon_async.emulator.errors import EmulatorError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_USERS = 10_000
_DIGITS = 9
# Who waits as long as was said is let in, though a sum of times is a little less than its parts.
_NEARLY = 0.999


def parse_rate(text: str) -> float:
    """Read `20/s`, `600/m` or `5000/h` as calls a second. Raises `EmulatorError` for others."""
    amount, slash, unit = text.partition("/")
    is_number = amount.isascii() and amount.isdigit() and len(amount) <= _DIGITS
    if slash and unit in _UNITS and is_number and int(amount) > 0:
        return int(amount) / _UNITS[unit]
    raise EmulatorError(f"a rate is said like 20/s, 600/m or 5000/h, not {text!r:.40}")


class Limiter:
    """The buckets of all users; each holds *burst* calls when full, and one at least."""

    def __init__(self, clock: Clock, rate: float, burst: int) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = float(max(1, burst))
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, user: str) -> float:
        """Take a call out of a user's bucket: return 0.0, or how many seconds until there is one."""
        now = self._clock.now()
        held, since = self._buckets.pop(user, (self._burst, now))
        held = min(self._burst, held + max(0.0, now - since) * self._rate)
        wait = 0.0 if held >= _NEARLY else (1 - held) / self._rate
        self._buckets[user] = (held if wait else held - 1, now)
        if len(self._buckets) > _USERS:
            self._buckets.popitem(last=False)
        return wait
