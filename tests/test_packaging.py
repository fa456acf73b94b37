"""What is shipped."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import paragon_async

ROOT = Path(__file__).parent.parent


def test_wheel_and_sdist(tmp_path):
    """Both archives carry the marker of typed packages, every module and the licence."""
    pytest.importorskip("build", reason="the archives are built where the extra dev is installed")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "-o", str(tmp_path), str(ROOT)],
        check=True, capture_output=True, env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        wheel = archive.namelist()
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as source:
        sdist = source.getnames()
    modules = {p.relative_to(ROOT).as_posix() for p in (ROOT / "paragon_async").rglob("*.py")}
    assert modules | {"paragon_async/py.typed"} <= set(wheel)
    inside = {name.partition("/")[2] for name in sdist}
    assert modules | {"paragon_async/py.typed", "LICENSE", "README.md", "CHANGELOG.md"} <= inside
    assert any(name.endswith("LICENSE") for name in wheel)


def test_the_version_is_in_the_changelog():
    """The changelog knows the version, and keeps a place for what is not released."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in changelog
    assert f"## [{paragon_async.__version__}]" in changelog


def test_exceptions_carry_their_reason():
    """Every dependency bound is a floor, and what the command needs is an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert all(re.match(r"[A-Za-z\[\]-]+>=", need) for need in project["dependencies"])
    assert set(project["optional-dependencies"]) == {
        "cli",
        "parquet",
        "cloud",
        "watch",
        "otel",
        "release",
        "test",
        "bench",
        "dev",
    }
