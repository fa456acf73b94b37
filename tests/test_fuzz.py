"""The fuzzing targets: they hold over their seeds, they notice what is wrong, and the command runs.

This keeps them from rotting; what looks for faults is `python -m tests.fuzz`, before a release.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import zlib
from importlib.util import find_spec

import pytest

from tests.fuzz.__main__ import by_dice, main
from tests.fuzz.mutate import mutations
from tests.fuzz.seeds import SEEDS, WORDS
from tests.fuzz.targets import TARGETS

FEW = {"page": 400, "names": 100, "headers": 400}


def test_each_target_has_seeds():
    """Every target is named by the command, which looks at seeds before it imports any of them."""
    assert SEEDS.keys() == TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_mutations(name):
    """No seed, and none of some hundred or thousand inputs made of them, breaks a promise."""
    inputs = itertools.islice(mutations(SEEDS[name], WORDS), FEW.get(name, 2000))
    for data in inputs:
        TARGETS[name](data)


def test_mutations_are_the_same_every_time():
    """What was found once is found again: the dice has a number, and the inputs differ."""
    first, second = ([*itertools.islice(mutations(SEEDS["event"], WORDS), 500)] for _ in range(2))
    assert first == second
    assert len(set(first)) > 400


def test_a_finding_is_kept(tmp_path, capsys):
    """An input that breaks a promise ends the run, lies in the folder that was named, and breaks again."""

    def target(data):
        assert b"\xff" not in data

    found = tmp_path / "findings"
    inputs = mutations([b"ab"], [b"\xff"])
    assert by_dice(target, itertools.islice(inputs, 1000), found) == 1
    (kept,) = found.iterdir()
    assert b"\xff" in kept.read_bytes()
    assert "a finding after" in capsys.readouterr().out
    assert by_dice(target, [kept.read_bytes()], found) == 1


def broken_gunzip(data):
    zlib.decompress(data, 31)


def test_a_target_notices():
    """A decoder that lets an exception of its own out is found within a few inputs."""
    with pytest.raises(zlib.error):
        for data in mutations(SEEDS["gunzip"], WORDS):
            broken_gunzip(data)


def test_the_command(tmp_path, capsys):
    """It counts what it tried, and can be given one input again."""
    assert main(["token", "--inputs", "50", "--findings", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("50 inputs")
    (tmp_path / "one").write_bytes(SEEDS["event"][0])
    assert main(["event", "--again", str(tmp_path / "one")]) == 0
    assert capsys.readouterr().out.startswith("1 inputs")


@pytest.mark.skipif(not find_spec("atheris"), reason="atheris is not installed")
def test_coverage_leads(tmp_path):
    """With atheris the command fuzzes for as long as it was told, and says what it did."""
    command = [sys.executable, "-m", "tests.fuzz", "token", "--seconds", "1"]
    run = subprocess.run(
        [*command, "--findings", str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "number_of_executed_units" in run.stderr
    assert list(tmp_path.iterdir()) == []
