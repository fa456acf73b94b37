"""The file of the secret that a command makes for itself."""

from __future__ import annotations

import stat

import pytest

from paragon_async.cli import receiving
from paragon_async.errors import ConfigurationError


def test_it_is_made_once(tmp_path):
    """A secret is made whole, for its owner alone, with nothing left beside it, and read again."""
    file = tmp_path / "secret"
    made = receiving.kept(file)
    assert [p.name for p in tmp_path.iterdir()] == ["secret"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == made.values[0].reveal() + "\n"
    again = receiving.kept(file)
    assert [s.reveal() for s in again.values] == [s.reveal() for s in made.values]


@pytest.mark.parametrize("left", ["", "\n", "  \n"])
def test_an_empty_one_is_made_anew(tmp_path, left):
    """An empty file, as a full disk leaves it, is replaced; one that was given by name is refused."""
    file = tmp_path / "secret"
    file.write_text(left)
    with pytest.raises(ConfigurationError, match="empty"):
        receiving.given(str(file))
    made = receiving.kept(file).values[0].reveal()
    assert len(made) == 32
    assert file.read_text().strip() == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_place(tmp_path):
    """Where no file can be kept that is a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="cannot keep a secret"):
        receiving.kept(tmp_path / "missing" / "secret")
