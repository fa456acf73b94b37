"""How fast a sync goes through its states: a rule that says when the next one may come.

at_once      as fast as the work is done
polls:N      when its status was asked for N times in this state
seconds:S    when S seconds of the emulator's clock have passed in this state
manual       when the admin API says so
"""

from __future__ import annotations

import attrs

from paragon_async.emulator.errors import EmulatorError

_MOST_POLLS = 1_000_000
_LONGEST = 1e9


@attrs.frozen(kw_only=True)
class Pace:
    """When a state may be left: after so many polls, so many seconds, at once, or never by itself."""

    polls: int = 0
    seconds: float = 0.0
    is_manual: bool = False

    def is_over(self, polls: int, seconds: float) -> bool:
        """Tell whether the next state may come."""
        return not self.is_manual and polls >= self.polls and seconds >= self.seconds

    def __str__(self) -> str:
        if self.is_manual:
            return "manual"
        if self.polls:
            return f"polls:{self.polls}"
        return f"seconds:{self.seconds:g}" if self.seconds else "at_once"


def parse_pace(text: str) -> Pace:
    """Read a rule. Raises `EmulatorError` naming the forms there are."""
    kind, _, amount = text.partition(":")
    try:
        if kind == "polls" and 1 <= int(amount) <= _MOST_POLLS:
            return Pace(polls=int(amount))
        if kind == "seconds" and 0 < float(amount) <= _LONGEST:
            return Pace(seconds=float(amount))
    except ValueError:
        pass
    if text == "at_once":
        return Pace()
    if text == "manual":
        return Pace(is_manual=True)
    raise EmulatorError(f"a pace is at_once, polls:N, seconds:S or manual, not {text!r:.80}")
