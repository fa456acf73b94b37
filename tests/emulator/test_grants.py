"""What a `.paragon.toml` may say."""

from __future__ import annotations

import pytest

from paragon_async.emulator.grants import Grants, read_grants, subject


def test_a_file_of_grants_is_read():
    """Every form of a subject is understood, and addresses are compared in lower case."""
    text = """
    [grants]
    can_read = ["Reader@Example.com", "user:b@c.d", "group:eng", "domain:Example.com", "anyone"]
    is_owner = ["boss@c.d"]
    [groups]
    eng = ["A@b.c", "group:leads"]
    """
    readers = ["user:reader@example.com", "user:b@c.d", "group:eng", "domain:example.com", "anyone"]
    assert read_grants(text) == Grants(
        [*((who, "can_read") for who in readers), ("user:boss@c.d", "is_owner")],
        [("eng", "user:a@b.c"), ("eng", "group:leads")],
    )
    assert read_grants("") == Grants()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[grants", "the file is not TOML"),
        ("a = " + "[" * 5000, "the file is"),
        ("[grant]", r"grant is unknown: use \[grants\] and \[groups\]"),
        ("grants = 1", r"grants must be a table: write \[grants\]"),
        ("[grants]\nreader = []", "grants.reader is no role: use one of can_read"),
        ("[grants]\ncan_read = 'a@b.c'", "grants.can_read must be a list of strings"),
        ("[grants]\ncan_read = [1]", "grants.can_read must be a list of strings"),
        (
            "[grants]\ncan_read = ['bob']",
            "grants.can_read: 'bob' is nobody: write an e-mail address",
        ),
        ("[groups]\neng = ['group:']", "groups.eng: a group needs a name"),
        ("[groups]\n'' = ['a@b.c']", "a group needs a name"),
    ],
)
def test_a_wrong_file_of_grants_names_key_and_mend(text, message):
    """A ValueError says in one sentence where to look and what to write."""
    with pytest.raises(ValueError, match=message):
        read_grants(text)


@pytest.mark.parametrize(
    "text", ["", "@b.c", "a@", "a b@c.d", "domain:", "domain:@c.d", "domain:a b", "groups:eng@c.d"]
)
def test_what_is_no_subject_is_refused(text):
    """A slip of the pen never becomes somebody's address."""
    with pytest.raises(ValueError, match="is nobody"):
        subject(text)
