from __future__ import annotations

import pickle

import pytest

import paragon_async
from paragon_async import errors

API = {"method": "GET", "path": "/p", "status": 429, "retry_after": 3.0, "request_id": "r"}


def every_error():
    made = [
        errors.ConfigurationError("c"),
        errors.ConnectionFailedError("c", sent=False),
        errors.DecodeError("$.a", "missing"),
        errors.NotJsonError("$", "cut"),
        errors.StalledCursorError("s", cursor="c"),
        errors.IncompleteListError("i", partial=["a"]),
        errors.SyncFailedError("f", sync_id="s", status="ERRORED", reason="r"),
        errors.DownloadError("d"),
        errors.WebhookError("w"),
        errors.IngestError("i"),
    ]
    kinds = (errors.RateLimitError, errors.ServerError, errors.NotFoundError)
    return made + [kind("m", **API) for kind in kinds]


@pytest.mark.parametrize("error", every_error(), ids=lambda e: type(e).__name__)
def test_pickles(error):
    """Every error survives a process pool with all that it holds."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_tree_in_docstring():
    """The docstring of the module names every error class."""
    for name, thing in vars(errors).items():
        if isinstance(thing, type) and issubclass(thing, errors.ParagonError):
            assert name in errors.__doc__
            assert hasattr(paragon_async, name)


def test_api_error_tells_all():
    """An API error's text names call, status, words, request, attempts and a hint."""
    error = errors.ServerError("broken", **{**API, "status": 503})
    error.attempts, error.hint = 4, "try later"
    assert str(error) == "503 from GET /p: broken; request r; after 4 attempts; try later"


@pytest.mark.parametrize(
    ("status", "again"), [(500, True), (503, True), (501, False), (505, False)]
)
def test_server_errors_that_pass(status, again):
    """A server error may be retried unless it says that it will stay."""
    assert errors.ServerError("m", **{**API, "status": status}).retryable is again
