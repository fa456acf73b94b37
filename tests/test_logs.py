"""Logging: quiet unless asked, one logger for each part, nothing that moves a cursor."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from paragon_async import logs
from tests.fakes import answer, syncs


def python(code, **environ):
    """Run a program of its own, and return what it says on standard error."""
    inherited = {k: v for k, v in os.environ.items() if k != logs.VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr


SAYS = (
    "import logging, paragon_async; "
    "logging.getLogger('paragon_async.ingest').warning('hello\\x1b[2J'); "
    "logging.getLogger('paragon_async.http').debug('attempt')"
)


def test_a_program_that_asks_for_nothing_hears_nothing():
    """Without handlers of its own a program sees not even warnings of ours."""
    assert python(SAYS) == ""


def test_the_variable_shows_all_parts_and_no_escapes():
    """`PARAGON_LOG=debug` writes lines to standard error, and characters of control as escapes."""
    said = python(SAYS, PARAGON_LOG="debug")
    assert "WARNING paragon_async.ingest: hello\\x1b[2J" in said
    assert "DEBUG   paragon_async.http: attempt" in said


def test_the_variable_shows_some_parts():
    """Parts have levels of their own."""
    said = python(SAYS, PARAGON_LOG="http=error, ingest=warning")
    assert "hello" in said and "attempt" not in said


def test_a_wrong_value_is_told_and_stops_nothing():
    """A level that is none is named in a warning; the program runs."""
    said = python(SAYS, PARAGON_LOG="loud")
    assert "'loud' is no level: use debug, info, warning, error" in said
    assert "hello" not in said


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("debug", {"paragon_async": logging.DEBUG}),
        ("http=Debug", {"paragon_async.http": logging.DEBUG}),
        ("paragon_async.webhooks.access=info", {"paragon_async.webhooks.access": logging.INFO}),
        (
            "error, paging=info",
            {"paragon_async": logging.ERROR, "paragon_async.paging": logging.INFO},
        ),
    ],
)
def test_values_are_read(text, levels):
    """A value names a level for all, or for parts."""
    assert logs.read(text) == levels


@pytest.mark.parametrize("text", ["=", "http", "disk=debug", "http=", "debug,,info"])
def test_wrong_values_are_refused(text):
    """What names no level or no part is refused, and the error says what there is."""
    with pytest.raises(ValueError, match="use debug|use auth"):
        logs.read(text)


async def test_attempts_are_logged_without_the_token(caplog):
    """Each attempt is a line with its status; the token is in none of them."""
    api, _ = syncs(answer({"error": "x"}, 503), answer([]))
    with caplog.at_level(logging.DEBUG, "paragon_async"):
        await api.list()
    lines = [r.getMessage() for r in caplog.records if r.name == "paragon_async.http"]
    assert len(lines) == 2 and "status=503" in lines[0] and "status=200" in lines[1]
    assert "fixed-token" not in caplog.text
