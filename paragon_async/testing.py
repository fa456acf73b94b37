"""Fixtures over the emulator, for tests of your own: `pytest_plugins = ["paragon_async.testing"]`.

    paragon_folder      an empty folder, the drive of every connected user
    paragon_emulator    a running `Emulator` over it, new in every test
    paragon             a `Paragon` that is connected to it

Put files into the folder, enable a sync, and pull. The fixtures are asynchronous: they need
pytest-asyncio, in any of its modes, or anyio's plugin.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from paragon_async.client import Paragon
from paragon_async.emulator import Emulator
from paragon_async.emulator.auth import new_signing_key

F = TypeVar("F", bound=Callable[..., Any])
_made: Any
try:
    import pytest_asyncio
except ImportError:
    _made = pytest.fixture
else:
    _made = pytest_asyncio.fixture


def _fixture(function: F) -> F:
    return cast("F", _made(function))


@pytest.fixture(scope="session")
def paragon_signing_key() -> str:
    """Return a signing key for the whole session: making one takes longest."""
    return new_signing_key()


@pytest.fixture
def paragon_folder(tmp_path: Path) -> Path:
    """Return an empty folder that is the drive of every connected user."""
    folder = tmp_path / "paragon-drive"
    folder.mkdir()
    return folder


@_fixture
async def paragon_emulator(
    paragon_folder: Path, paragon_signing_key: str
) -> AsyncIterator[Emulator]:
    """Run an emulator over *paragon_folder* for one test."""
    async with Emulator(paragon_folder, signing_key=paragon_signing_key) as emulator:
        yield emulator


@_fixture
async def paragon(paragon_emulator: Emulator) -> AsyncIterator[Paragon]:
    """Connect a client to *paragon_emulator* for one test."""
    async with Paragon(
        project_id=paragon_emulator.project_id,
        signing_key=paragon_emulator.signing_key,
        base_url=paragon_emulator.url,
    ) as client:
        yield client
