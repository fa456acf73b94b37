"""May this be tried again, and after how long? Decided here, purely; waited for elsewhere."""

from __future__ import annotations

import attrs

from paragon_async.errors import ParagonError, RateLimitError, TimedOutError, TransportError

_COST = 5
_COST_OF_A_TIMEOUT = 10


@attrs.frozen(kw_only=True)
class Retry:
    """The patience of a client.

    *attempts* counts the first try too. Waits grow from *first_wait* to *longest_wait* seconds with
    full jitter; a service that names a time is waited for, up to *longest_retry_after* seconds:
    beyond that the error is raised at once and holds the number. *budget* bounds the retries of the
    whole client, so that a service in trouble is not hammered: each costs some of it, each success
    gives a little back.
    """

    attempts: int = attrs.field(default=5, validator=attrs.validators.ge(1))
    first_wait: float = 0.5
    longest_wait: float = 20.0
    longest_retry_after: float = 120.0
    budget: int = 500

    def wait_after(
        self, error: ParagonError, *, attempt: int, chance: float, repeatable: bool = True
    ) -> float | None:
        """Return the seconds to wait before the next try, or None to give up.

        *attempt* is the number of the try that failed, from 1; *chance* is random, from 0 to 1;
        *repeatable* is False for a call that must not happen twice.
        """
        if attempt >= self.attempts or not error.retryable:
            return None
        if not repeatable and not was_not_done(error):
            return None
        named = error.retry_after or 0.0
        if named > self.longest_retry_after:
            return None
        return max(named, chance * self.longest_jitter(attempt))

    def longest_jitter(self, attempt: int) -> float:
        """Return the upper end of the jitter after *attempt* tries."""
        doublings = min(attempt - 1, 32)
        return min(self.longest_wait, self.first_wait * 2.0**doublings)


def was_not_done(error: ParagonError) -> bool:
    """Tell whether the service certainly did not act on the call."""
    if isinstance(error, TransportError):
        return not error.sent
    return isinstance(error, RateLimitError)


class RetryBudget:
    """What the client may still spend on retries."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.left = limit

    def spend(self, error: ParagonError) -> bool:
        """Pay for one retry; False when there is not enough left."""
        cost = _COST_OF_A_TIMEOUT if isinstance(error, TimedOutError) else _COST
        if cost > self.left:
            return False
        self.left -= cost
        return True

    def refund(self) -> None:
        """Give a little back after a success."""
        self.left = min(self.limit, self.left + 1)
