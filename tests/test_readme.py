"""README's examples, run as they stand, against the emulator."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
EXAMPLES = {
    title.strip(): code
    for title, code in re.findall(
        r"^##+ ([^\n]+)\n(?:(?!^##).)*?```python\n(.*?)```", README, re.DOTALL | re.MULTILINE
    )
}


@pytest.fixture
async def environment(emulator, monkeypatch, tmp_path):
    for name, value in emulator.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


def loaded(title):
    names: dict[str, object] = {}
    exec(compile(EXAMPLES[title], title, "exec"), names)
    return names


def test_the_examples_are_found():
    """Every example of the page is among those that are run here."""
    assert set(EXAMPLES) == {
        "Pull records", "Download files", "Resume", "Ask permissions", "In tests of your own",
    }  # fmt: skip
    assert README.count("```python") == len(EXAMPLES)


async def test_pull(environment, capsys):
    """Pulling prints every file of the folder."""
    await loaded("Pull records")["main"]()
    assert len(capsys.readouterr().out.splitlines()) == 7


async def test_download(environment, sync_id, capsys, tmp_path):
    """Downloading stores and verifies every file."""
    await loaded("Download files")["main"]()
    assert capsys.readouterr().out.count("('length', 'size', 'sha256')") == 3
    assert len(list((tmp_path / "contents").iterdir())) == 4


async def test_resume(environment, sync_id, emulator, folder, capsys):
    """From the saved cursor only the change comes."""
    changes = loaded("Resume")["changes"]
    cursor = await changes(None)
    (folder / "new.txt").write_text("new")
    (folder / "hello.txt").unlink()
    await emulator.refresh()
    capsys.readouterr()
    await changes(cursor)
    shown = capsys.readouterr().out.splitlines()
    assert [line.rpartition(" ")[0] for line in shown] == ["new or changed", "gone"]


async def test_permissions(environment, sync_id, emulator, capsys):
    """The answers are the grants."""
    emulator.grant("reader@example.com", "can_read", "reports")
    await loaded("Ask permissions")["main"]()
    assert capsys.readouterr().out.splitlines() == ["4 of 7", "7"]


async def test_own_tests(folder):
    """The example for users' own tests passes."""
    example = loaded("In tests of your own")["test_something"]
    assert inspect.iscoroutinefunction(example)
    assert await example(folder) is None
