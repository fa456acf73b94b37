from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragon_async.errors import (
    BadRequestError,
    ConnectionFailedError,
    RateLimitError,
    ServerError,
    TimedOutError,
)
from paragon_async.transport.retry import Retry, RetryBudget, was_not_done


def api(kind, status, retry_after=None):
    return kind("m", method="GET", path="/", status=status, retry_after=retry_after)


def test_full_jitter():
    """The wait is any part of a span that doubles up to its limit."""
    retry = Retry(attempts=40, first_wait=1.0, longest_wait=10.0)
    error = api(ServerError, 503)
    spans = [retry.wait_after(error, attempt=n, chance=1.0) for n in (1, 2, 3, 4, 5, 39)]
    assert spans == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert retry.wait_after(error, attempt=3, chance=0.25) == 1.0
    assert retry.wait_after(error, attempt=1, chance=0.0) == 0.0


def test_gives_up():
    """The last attempt, a final error and a call that must not happen twice are not repeated."""
    retry = Retry(attempts=3)
    assert retry.wait_after(api(ServerError, 503), attempt=3, chance=0.5) is None
    assert retry.wait_after(api(BadRequestError, 400), attempt=1, chance=0.5) is None
    assert retry.wait_after(api(ServerError, 503), attempt=1, chance=0.5, repeatable=False) is None


@pytest.mark.parametrize(
    ("error", "certain"),
    [
        (ConnectionFailedError("x", sent=False), True),
        (ConnectionFailedError("x"), False),
        (TimedOutError("x"), False),
        (api(RateLimitError, 429), True),
        (api(ServerError, 500), False),
    ],
)
def test_unrepeatable_calls_are_repeated_if_surely_not_done(error, certain):
    """A call that must not happen twice is sent again only if it certainly did not happen."""
    assert was_not_done(error) is certain
    wait = Retry().wait_after(error, attempt=1, chance=0.5, repeatable=False)
    assert (wait is not None) is certain


def test_named_waits():
    """A wait that the service names is kept, and one that is too long ends the call."""
    retry = Retry(longest_retry_after=120)
    assert retry.wait_after(api(RateLimitError, 429, 30.0), attempt=1, chance=0.5) == 30.0
    assert retry.wait_after(api(RateLimitError, 429, 120.0), attempt=1, chance=0.5) == 120.0
    assert retry.wait_after(api(RateLimitError, 429, 121.0), attempt=1, chance=0.5) is None


def test_budget():
    """Retries cost, time-outs twice as much; successes give back up to the limit."""
    budget = RetryBudget(15)
    assert budget.spend(TimedOutError("x"))
    assert budget.spend(ConnectionFailedError("x"))
    assert not budget.spend(ConnectionFailedError("x"))
    for _ in range(99):
        budget.refund()
    assert budget.left == 15


@given(st.integers(1, 100), st.floats(0, 1), st.floats(0, 300))
def test_waits_are_bounded(attempt, chance, named):
    """No wait is negative, or longer than both limits allow."""
    wait = Retry(attempts=200).wait_after(
        api(RateLimitError, 429, named), attempt=attempt, chance=chance
    )
    assert wait is None or 0 <= wait <= 120


def test_the_doubling_ends():
    """However many tries there were, the span is a number, and doubled 32 times at most."""
    retry = Retry(attempts=10_000, first_wait=1.0, longest_wait=float("inf"))
    assert retry.longest_jitter(32) == 2.0**31
    assert (
        retry.longest_jitter(33)
        == retry.longest_jitter(34)
        == retry.longest_jitter(9_999)
        == 2.0**32
    )


def test_what_a_retry_costs_and_a_success_gives_back():
    """A retry costs five, of a time-out ten; a success gives back one, and nothing is owed at none."""
    budget = RetryBudget(15)
    assert budget.spend(TimedOutError("x")) and budget.left == 5
    budget.refund()
    assert budget.left == 6
    assert budget.spend(ConnectionFailedError("x")) and budget.left == 1
    assert not budget.spend(ConnectionFailedError("x")) and budget.left == 1
