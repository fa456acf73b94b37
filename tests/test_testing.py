"""The fixtures that users' own suites import, used as they would use them."""

from __future__ import annotations

pytest_plugins = ["pytester"]
SUITE = """
import pytest
pytest_plugins = ["paragon_async.testing"]

@pytest.mark.asyncio
async def test_own(paragon, paragon_emulator, paragon_folder):
    (paragon_folder / "a.txt").write_text("a")
    user = paragon.user("u1")
    sync = await user.syncs.enable("googledrive", "files")
    await user.syncs.wait_until_idle(sync.id)
    assert [record.data["name"] async for record in user.records.pull(sync.id)] == ["a.txt"]

@pytest.mark.asyncio
async def test_each_has_its_own(paragon):
    assert list(await paragon.user("u1").syncs.list()) == []
"""


def test_a_suite_of_a_user(pytester):
    """In the default mode of pytest-asyncio two tests pass, each with an emulator of its own."""
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2)
