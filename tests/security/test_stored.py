"""S16, S17 and S18: what is stored is not run, what is read is looked at first, what is printed is inert."""

from __future__ import annotations

import ast
import logging
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest

import paragon_async
from paragon_async import ParagonError
from paragon_async.emulator import Emulator
from paragon_async.errors import StateError
from paragon_async.ingest import State, schema
from paragon_async.logs import Plain
from paragon_async.names import safe_name
from paragon_async.webhooks import Inbox
from tests.ingest.fakes import ingest

PACKAGE = Path(paragon_async.__file__).parent
UNSAFE = {
    "pickle",
    "marshal",
    "shelve",
    "yaml",
    "dill",
    "xml.etree",
    "xml.dom",
    "xml.sax.expatreader",
}


def holding(words):
    """Return the files in which one of these words stands at all, each parsed."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        if re.search(words, text):
            yield path.relative_to(PACKAGE).as_posix(), list(ast.walk(ast.parse(text)))


def calls(nodes):
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield node, ast.unparse(node.func)


def imported(nodes):
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_nothing_unsafe_is_parsed():
    """S16: no pickle, no YAML, no eval, no shell; the one `exec` builds our own text."""
    words = "|".join(["eval", "exec", "shell", "os.system", "popen", "__import__", *UNSAFE])
    for path, nodes in holding(words):
        for name in imported(nodes):
            assert not any(name == one or name.startswith(f"{one}.") for one in UNSAFE), path
        for node, name in calls(nodes):
            assert name not in {"eval", "os.system", "os.popen", "__import__"}, path
            assert name != "exec" or path == "convert/writing.py", path
            assert not any(k.arg == "shell" for k in node.keywords), path


def careful(database):
    """Tell whether a connection trusts no schema and looks at each page."""
    found = [
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("trusted_schema", "cell_size_check")
    ]
    return found == [0, 1]


class Judged(sqlite3.Connection):
    """Judged when it is closed: by then it has been used."""

    places: ClassVar = {}
    verdicts: ClassVar = []

    def close(self):
        self.verdicts.append((self.places[id(self)], careful(self)))
        super().close()


def judged(place):
    found = sqlite3.connect(
        place, isolation_level=None, uri=True, factory=Judged, check_same_thread=False
    )
    Judged.places[id(found)] = place
    return found


async def test_every_database_is_opened_with_care(tmp_path, folder, signing_key):
    """S16: state and inbox, to write and to look at, and the emulator's state distrust their schema."""
    Judged.verdicts.clear()
    async with (
        State(tmp_path / "mirror", connect=judged),
        Inbox(tmp_path / "inbox.db", connect=judged),
    ):
        pass
    schema.read_only(tmp_path / "mirror" / ".paragon" / "state.db", judged).close()
    used = [good for place, good in Judged.verdicts if "?mode=" in place]
    assert len(used) >= 5 and all(used)
    async with Emulator(folder, signing_key=signing_key, state=tmp_path / "emulator.db") as kept:
        assert careful(kept.world.store.db)


def test_nobody_opens_a_database_elsewhere():
    """S16: two files open databases, the emulator's and everybody else's."""
    found = {
        path
        for path, nodes in holding("sqlite3")
        if "sqlite3.connect" in dict(map(reversed, calls(nodes)))
    }
    assert found == {"sqlitefile.py", "emulator/store.py"}


ATTACKS = {
    "trigger": "CREATE TRIGGER evil BEFORE INSERT ON runs BEGIN DELETE FROM records; END",
    "view": "CREATE VIEW evil AS SELECT load_extension('evil')",
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_schema_from_elsewhere(tmp_path, user, sync_id, attack):
    """S17: a state into which somebody put a trigger or a view is refused before anything is run."""
    await ingest(user, sync_id, tmp_path / "mirror").run()
    path = tmp_path / "mirror" / ".paragon" / "state.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(ATTACKS[attack])
    before = path.read_bytes()
    with pytest.raises(StateError, match="a trigger or a view"):
        await ingest(user, sync_id, tmp_path / "mirror").run()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "opens", [State, lambda p: Inbox(p / ".paragon" / "state.db")], ids=["state", "inbox"]
)
async def test_a_pipe_for_a_file(tmp_path, opens):
    """S17: what is no file is refused, and not waited for."""
    (tmp_path / ".paragon").mkdir()
    os.mkfifo(tmp_path / ".paragon" / "state.db")
    with pytest.raises(ParagonError, match="no file"):
        await opens(tmp_path).__aenter__()


EVIL = "\x1b]0;title\x07\x1b[31mred\u202egpj.exe\u200b\r\nnext"


def test_terminals():
    """S18: a name with commands to a terminal, or that turns its direction, is harmless in file and log."""
    for shown in (
        safe_name(EVIL),
        Plain("%(message)s").format(logging.makeLogRecord({"msg": EVIL.replace("\n", "")})),
    ):
        assert shown.isprintable() and "\u202e" not in shown and "\x1b" not in shown
