"""Nothing from outside is obeyed by a terminal, wherever it is printed."""

from __future__ import annotations

import contextlib
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragon_async.cli import output
from paragon_async.cli.output import Column
from paragon_async.cli.safe import paint, plain
from paragon_async.cli.settings import begun


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Überblick 数据 עברית.pdf", "Überblick 数据 עברית.pdf"), ("\x1b[2Jx", "\\x1b[2Jx"), ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x9b31m", "\\x9b31m"), ("gpj\u202e.exe", "gpj\\u202e.exe"), ("\u2066a\u2069", "\\u2066a\\u2069"), ("a\u200bb", "a\\u200bb"),
        ("\x07\x08\x7f\0", "\\x07\\x08\\x7f\\x00"), ("\ud800", "\\ud800"), ("\u2028", "\\u2028"), ("\U000e0041", "\\U000e0041"), ("", ""),
    ],
)  # fmt: skip
def test_plain(text, shown):
    """Letters stay; controls, line breaks, marks of direction and what has no width become escapes."""
    assert plain(text) == shown


@given(st.text(alphabet=st.characters(codec=None)))
def test_plain_of_anything(text):
    """Whatever comes, it is printable, one line, can be encoded, and is left alone the second time."""
    shown = plain(text)
    assert shown.isprintable()
    assert shown.encode().decode() == shown
    assert plain(shown) == shown


class Screen(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("no_colour", "term", "is_painted"), [("", "xterm", True), ("1", "xterm", False), ("", "dumb", False)])  # fmt: skip
def test_colours(monkeypatch, no_colour, term, is_painted):
    """Colours are for a terminal that has them, unless `NO_COLOR` says no."""
    monkeypatch.setenv("NO_COLOR", no_colour)
    monkeypatch.setenv("TERM", term)
    assert (paint("x", "red", Screen()) == "\x1b[31mx\x1b[0m") is is_painted
    assert paint("x", "red", io.StringIO()) == "x"


EVIL = {"id": "\x1b[2J", "name": "a\nb\u202e", "n": 1, "more": {"\x9b": ["\x1b"]}, "none": None}


def printed(say, *flags):
    out, err = io.StringIO(), io.StringIO()
    with begun([]) as now, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        now.json = "--json" in flags
        now.log_json = "--log-json" in flags
        now.verbose = 1
        say()
    return out.getvalue(), err.getvalue()


def test_answers_are_safe():
    """Tables, lists, notes and JSON hold no character that is obeyed, in keys no more than in values."""
    columns = [Column("id", whole=True), Column("name"), Column("more")]

    def say():
        output.rows([EVIL], columns, nothing="none")
        output.one(EVIL)
        output.one({"\x1b": "\x1b"})
        output.note("\x1b")
        output.detail("\x9b")
        output.warn("\u202e", "\r")

    for flags in ([], ["--json"], ["--log-json", "--json"]):
        out, err = printed(say, *flags)
        assert all(line.isprintable() for line in (out + err).split("\n"))
    assert [json.loads(line) for line in out.splitlines()] == [EVIL, EVIL, {"\x1b": "\x1b"}]
    assert [json.loads(line)["message"] for line in err.splitlines()] == ["\x1b", "\x9b", "\u202e"]


def test_tables():
    """In a pipe nothing is cut; what is not there is a dash; nothing at all is said on standard error."""
    columns = [Column("id", whole=True), Column("name", "called")]
    found = [{"id": "i" * 40, "name": "n" * 300}, {"id": "2", "name": None}]
    out, err = printed(lambda: output.rows(found, columns, nothing="none"))
    assert [line.split() for line in out.splitlines()] == [
        ["id", "called"],
        ["i" * 40, "n" * 300],
        ["2", "-"],
    ]
    assert err == ""
    assert printed(lambda: output.rows([], columns, nothing="none")) == ("", "none\n")
    out, _ = printed(lambda: output.one({"a_b": True, "c": 12345, "long": "x" * 300}))
    assert out.splitlines() == ["a b   yes", "c     12,345", f"long  {'x' * 300}"]
