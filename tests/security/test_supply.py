"""S19 and S20: few dependencies, each with a floor, and archives that anybody can build again.

`pip-audit` is no part of the gate: it needs advisory data that a machine without the network, or with a
mirror of packages alone, does not have, and then says "could not be audited". Where the network allows,
and before a release: `pip install pip-audit && pip-audit --skip-editable`, in an environment made by
`pip install -e ".[test]"`. Signed tags and publishing are for the place that publishes; what can be
shown here is that an archive is a function of its source.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_SHIPPED = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "demo")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def floors(needs):
    return {re.match(r"[A-Za-z0-9_.-]+", need)[0].lower(): need for need in needs}


def test_few_and_floored():
    """S19: six dependencies, each with a floor; aiohttp's is the release without its known faults."""
    needs = floors(PROJECT["dependencies"])
    assert set(needs) == {"aiohttp", "anyio", "attrs", "cattrs", "msgspec", "pyjwt"}
    assert all(">=" in need for need in needs.values())
    floor = re.search(r">=([0-9.]+)", needs["aiohttp"])[1]
    assert tuple(map(int, floor.split("."))) >= (3, 14, 4)


def test_nothing_by_default_that_decodes_more():
    """S19: no extra of a dependency comes along but the one that signs tokens: no brotli, no zstd."""
    assert [need for need in PROJECT["dependencies"] if "[" in need] == ["PyJWT[crypto]>=2.10"]
    assert not re.search(r"(?i)brotli|zstd|aiodns|uvloop", "".join(PROJECT["dependencies"]))


def test_every_extra_is_floored():
    """S19: extras have floors too, but where they name one another."""
    for extra in PROJECT["optional-dependencies"].values():
        assert all(">=" in need or need.startswith("paragon-async[") for need in extra)


def build(source, out):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(out)], cwd=source,
        check=True, capture_output=True, env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000", "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}


@pytest.mark.proof
def test_archives_are_reproducible(tmp_path):
    """S20: built twice, from two copies of the source with other times, both archives are the same bytes."""
    pytest.importorskip(
        "hatchling", reason="the archives are built where the extra dev is installed"
    )
    made, source = [], ROOT
    for name, when in (("one", 1_600_000_000), ("two", 1_650_000_000)):
        copy = tmp_path / name
        shutil.copytree(source, copy, ignore=NOT_SHIPPED)
        for path in copy.rglob("*"):
            os.utime(path, (when, when))
        made.append(build(copy, tmp_path / f"{name}-out"))
        source = copy
    # Its tests are full of what looks like secrets.
    for name in ("one", "two"):
        shutil.rmtree(tmp_path / name)
    assert made[0] == made[1] and len(made[0]) == 2
