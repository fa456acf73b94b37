"""The house: who may import whom, how long a room may be, what an exception to a rule needs."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import paragon_async

PACKAGE = Path(paragon_async.__file__).parent
ROWS = [
    {"_version", "errors", "clock", "logs"}, {"convert", "names"}, {"models"}, {"auth"}, {"transport"}, {"disk", "threads"}, {"part", "sqlitefile"},
    {"download"}, {"api"}, {"client"}, {"webhooks"}, {"ingest"}, {"emulator"}, {"testing", "otel"}, {"cli"}, {"__main__"},
]  # fmt: skip
RANK = {name: row for row, names in enumerate(ROWS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("paragon_async"):
            names = (
                [node.module]
                if "." in node.module
                else [f"{node.module}.{a.name}" for a in node.names]
            )
            yield from (name.split(".")[1] for name in names)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path):
    """A file uses rows above its own; the emulator uses nothing of ours at all."""
    mine = room(path)
    if mine == "__init__":
        return
    for other in imported(path):
        if mine == "emulator":
            assert other == "emulator"
        elif mine != "cli":
            assert RANK[other] < RANK[mine] or other == mine, f"{mine} imports {other}"


_OF_THE_CLIENT = {f"transport/{name}.py" for name in ("session", "response", "lean", "idle")}


def test_only_the_session_knows_the_client_library():
    """Aiohttp's client is imported by the session and its parts; `Paragon` asks what it was given.

    The receiver of webhooks imports aiohttp's server, in a file that nothing else needs.
    """
    users = {p.relative_to(PACKAGE).as_posix() for p in FILES
             if re.search(r"^(import aiohttp|from aiohttp)", p.read_text(), re.MULTILINE) and room(p) != "emulator"}  # fmt: skip
    assert users == {*_OF_THE_CLIENT, "client.py", "webhooks/receiver.py"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_rooms_are_small(path):
    """No file is longer than a few screens, no function longer than one."""
    assert path.read_text().count("\n") <= 360
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            doc = ast.get_docstring(node) or ""
            assert node.end_lineno - node.lineno - doc.count("\n") <= 50, node.name


def scopes_around_yields(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncWith | ast.With):
            shown = " ".join(ast.unparse(item.context_expr) for item in node.items)
            if re.search(
                r"timeout|TaskGroup|create_task_group|CancelScope|fail_after|move_on", shown
            ):
                yield from (shown for inner in ast.walk(node) if isinstance(inner, ast.Yield))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_yield_in_a_scope(path):
    """Nothing yields inside a timeout, a task group or a cancel scope."""
    assert list(scopes_around_yields(ast.parse(path.read_text()))) == []


def test_every_test_opens_with_its_sentence():
    """Each test says in its docstring what it proves."""
    for path in Path(__file__).parent.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
                "test_"
            ):
                assert ast.get_docstring(node), f"{path.name}: {node.name}"
