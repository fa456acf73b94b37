from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paragon_async.names import (
    LONGEST,
    Entry,
    arrange,
    collision_key,
    distinct_name,
    safe_name,
)

WILD = st.text(st.characters(), max_size=300) | st.sampled_from(
    ["..", ".", "", " ", "/", "a/../b", "CON", "con.txt", "x.", "x ", "\x00", "\udc80", "😀" * 100,
     "COM¹.log", ".paragon-1.part", "Straße", "e\u0301", "a\u202egpj.exe", "." * 300, "a." + "b" * 300]
)  # fmt: skip


@settings(max_examples=2000, deadline=None)
@given(WILD)
def test_always_harmless(label):
    """Whatever a record is called, its name is one component that every system takes as a file."""
    name = safe_name(label)
    assert name
    assert len(name.encode()) <= LONGEST
    assert not set(name) & set('/\\:*?"<>|')
    assert not any(unicodedata.category(c)[0] == "C" for c in name)
    assert name.strip(".") and name == name.rstrip(". ") and not name.startswith(" ")
    assert name.split(".")[0].strip().upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}
    assert safe_name(name) == name


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("report.pdf", "report.pdf"),
        ("Überblick 2025 (final).docx", "Überblick 2025 (final).docx"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("C:\\x\\y", "C__x_y"),
        ("a\x00b\nc\x1b[0m", "a_b_c_[0m"),
        ("nul", "_nul"),
        ("Com1.tar.gz", "_Com1.tar.gz"),
        ("conin$.txt", "_conin$.txt"),
        ("CONOUT$", "_CONOUT$"),
        ("console.log", "console.log"),
        ("name. . ", "name"),
        ("...", "unnamed"),
        ("", "unnamed"),
        (".paragon-x.part", "_.paragon-x.part"),
        (".gitignore", ".gitignore"),
    ],
)
def test_known_names(label, name):
    """Ordinary names stay as they are; each kind of trap has its answer."""
    assert safe_name(label) == name


def test_fallback():
    """A label with nothing in it takes the fallback, which is made safe as well."""
    assert safe_name("..", "a/b") == "a_b"
    assert safe_name("..", "..") == "unnamed"


def test_long_names_keep_their_suffix():
    """A long name is cut on a character's border, before its suffix."""
    name = safe_name("😀" * 100 + ".pdf")
    assert name.endswith("😀.pdf") and len(name.encode()) <= LONGEST
    assert len(safe_name("x." + "y" * 300).encode()) == LONGEST


@settings(deadline=None)
@given(WILD, st.text(st.characters(), min_size=1), st.text(st.characters(), min_size=1))
def test_distinct(label, one, other):
    """Two records never share a distinct name, and each has the same one every time."""
    assert distinct_name(label, one) == distinct_name(label, one)
    assert safe_name(distinct_name(label, one)) == distinct_name(label, one)
    if one != other:
        assert collision_key(distinct_name(label, one)) != collision_key(
            distinct_name(label, other)
        )


def test_distinct_mark_stands_before_the_suffix():
    """The mark leaves the suffix where programs look for it."""
    name = distinct_name("report.pdf", "id")
    assert (
        name.startswith("report~")
        and name.endswith(".pdf")
        and len(name) == len("report~123456789abc.pdf")
    )


def test_collision_keys():
    """Names that some file system folds together have one key."""
    assert collision_key("Straße") == collision_key("STRASSE")
    assert collision_key("é") == collision_key("e\u0301") == collision_key("É")
    assert collision_key("a") != collision_key("b")


def entry(i, parent=None, name=None):
    return Entry(id=i, external_id=f"x{i}", parent=parent, name=name)


def test_arrange_repeats_the_tree():
    """Every entry stands below its folder, by external id; unknown parents mean the top."""
    places = arrange(
        [
            entry("1", "root", "docs"),
            entry("2", "x1", "a.txt"),
            entry("3", "x1", "b/c"),
            entry("4", None, None),
        ]
    )
    assert places == {
        "1": PurePosixPath("docs"),
        "2": PurePosixPath("docs/a.txt"),
        "3": PurePosixPath("docs/b_c"),
        "4": PurePosixPath("4"),
    }


def test_arrange_keeps_namesakes_apart_in_any_order():
    """A thousand records of one name are a thousand paths, whatever the order."""
    twins = [entry(str(n), "x", "Report.pdf" if n % 2 else "report.PDF") for n in range(1000)]
    places = arrange(twins)
    assert len({collision_key(str(path)) for path in places.values()}) == 1000
    assert arrange(reversed(twins)) == places


def test_arrange_survives_circles():
    """Folders that contain each other are put at the top instead of hanging the program."""
    places = arrange(
        [
            entry("1", "x2", "a"),
            entry("2", "x1", "b"),
            entry("3", "x1", "c"),
            entry("4", "x4", "self"),
        ]
    )
    assert places["1"] == PurePosixPath("a")
    assert places["4"] == PurePosixPath("self")
    assert all(not path.is_absolute() and ".." not in path.parts for path in places.values())


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("XaX", "XaX"),
        ("  a", "a"),
        ("X", "X"),
        ("\u2003a", "\u2003a"),
        ("\u2003", "\u2003"),
        (".PARAGON-x", "_.PARAGON-x"),
        ("con.X", "_con.X"),
        ("y" * 300, "y" * 200),
        ("y" * 300 + ".pdf", "y" * 196 + ".pdf"),
        ("y" * 300 + "." + "s" * 20, "y" * 179 + "." + "s" * 20),
        ("y" * 300 + "." + "s" * 21, "y" * 200),
        ("con." + "a" * 194 + " b", "_con." + "a" * 194),
        ("con." + "a" * 192 + "\u2003b", "_con." + "a" * 192 + "\u2003"),
    ],
)
def test_what_is_cut_from_a_name(label, name):
    """Plain spaces go in front, plain spaces and dots behind, bytes behind the two hundredth; no more."""
    assert safe_name(label) == name


def test_a_fallback_with_nothing_in_it():
    """Where neither label nor fallback is a name, the record is unnamed."""
    assert safe_name("..", "...") == safe_name("..", "") == "unnamed"


@pytest.mark.parametrize(
    ("label", "stem", "suffix"),
    [
        ("report.pdf", "report", ".pdf"),
        ("a.tar.gz", "a.tar", ".gz"),
        (".gitignore", ".gitignore", ""),
        ("aX.pdf", "aX", ".pdf"),
        ("a . .pdf", "a", ".pdf"),
        ("\u2003.pdf", "\u2003", ".pdf"),
        ("..", "r1", ""),
        ("x." + "y" * 20, "x", "." + "y" * 20),
        ("x." + "y" * 21, "x." + "y" * 21, ""),
        ("y" * 300 + ".pdf", "y" * 183, ".pdf"),
    ],
)
def test_where_the_mark_stands(label, stem, suffix):
    """The mark is twelve digits of the id's hash, behind what is left of the stem."""
    assert distinct_name(label, "r1") == f"{stem}~82f3e9c695dc{suffix}"


def test_ids_that_are_no_unicode():
    """An id with half a character has a mark of its own."""
    assert distinct_name("a", "\udc80") != distinct_name("a", "\udc81")


def test_arrange_names_the_nameless():
    """Entries without a name, or with one that means nothing, are called by their ids, also as twins."""
    places = arrange(
        [entry("1", None, "docs"), entry("2", "x1", ".."), entry("3", "x1", None), entry("4", "x1", "3")]
    )  # fmt: skip
    assert places == {
        "1": PurePosixPath("docs"),
        "2": PurePosixPath("docs/2"),
        "3": PurePosixPath("docs", distinct_name("3", "3")),
        "4": PurePosixPath("docs", distinct_name("3", "4")),
    }


def test_arrange_goes_deep():
    """A path has a step for each folder above, from the top down."""
    chain = [entry(str(n), f"x{n - 1}", f"d{n}") for n in range(1, 5)]
    assert arrange(chain)["4"] == PurePosixPath("d1/d2/d3/d4")
