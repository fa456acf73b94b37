"""Canaries: secrets that can be recognised, and a watch over all that the suite shows or leaves behind.

By convention a secret of a test begins with `canary`; minted tokens, keys and signed addresses have
marks of their own; the pieces of the suite's key are learned when it is made. What is looked at:

    log records, DEBUG on for every logger of ours, asyncio's and aiohttp's, their tracebacks too
    messages of every exception that a `pytest.raises` met, with its causes, notes and warnings
    standard output and error: captured, read by a fixture, or of a command or program that was run
    the repr of every object of our own that is alive, at the end of now one test, now another
    every file below pytest's temporary folder, when the session ends

A hit fails its test, or the session, and names the place; it never repeats the secret. Source:
failures.md R17, S6.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.exempt import FILES, OUTPUT

LOUD = ("paragon_async", "asyncio", "aiohttp")
# A token as minted, a private key as PEM or as the base64 of PKCS#8, a signed address, an HMAC secret.
MARKS = ("canary", "CANARY", "eyJhbGciOi", "PRIVATE KEY-----", "BADANBgkqhkiG9w0BAQEFAASC",
         "signature=", "whsec_M", "whsec_a2")  # fmt: skip
_SWEPT = 100
_LARGEST = 64 << 20
_OF_WORDS = {".db", ".db-wal", ".jsonl", ".json", ".log", ".txt"}
_AROUND = 40


class Marks:
    """What must not be seen, and where it was seen all the same."""

    def __init__(self) -> None:
        self._known: list[str] = []
        self._pattern: re.Pattern[str]
        self.hits: list[str] = []
        self.exempt = False
        self.learn(MARKS)

    def learn(self, words: Iterable[str]) -> None:
        """Know *words* from now on."""
        self._known += words
        self._pattern = re.compile("|".join(map(re.escape, self._known)))

    def look(self, place: str, text: str) -> None:
        """Note *place* where *text* holds something that must not be seen."""
        found = None if self.exempt else self._pattern.search(text)
        if found:
            before = text[max(0, found.start() - _AROUND) : found.start()]
            self.hits.append(f"{place}: a secret behind {before!r}")

    def look_at(self, path: Path) -> None:
        """Note a file that holds something that must not be seen."""
        data = path.read_bytes()
        for word in self._known:
            place = data.find(word.encode())
            if place >= 0:
                before = data[max(0, place - _AROUND) : place]
                self.hits.append(f"file {path}: a secret at byte {place}, behind {before!r}")
                return


marks = Marks()


def learn_key(pem: str) -> str:
    """Know the pieces of a private key; return it."""
    marks.learn(line for line in pem.splitlines() if len(line) == 64)
    return pem


def messages(error: BaseException | None, seen: tuple[int, ...] = ()) -> Iterator[str]:
    """Yield what an exception, its notes, and those behind it say of themselves."""
    if error is None or id(error) in seen:
        return
    yield repr(error)
    yield str(error)
    yield from getattr(error, "__notes__", ())
    for other in (error.__cause__, error.__context__, *getattr(error, "exceptions", ())):
        yield from messages(other, (*seen, id(error)))


class _Listener(logging.Handler):
    """Hears every record, whatever the test itself wants to hear."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text = "\n".join([text, *messages(record.exc_info[1])])
        marks.look(f"log {record.name} {record.levelname} line {record.lineno}", text)


class _Raises:
    """`pytest.raises`, which looks at what it met."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __enter__(self) -> Any:
        return self._inner.__enter__()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> Any:
        marks.look(f"exception {type(error).__name__}", "\n".join(messages(error)))
        return self._inner.__exit__(kind, error, trace)


def _seams() -> Iterator[tuple[Any, str, Callable[[Any], Any]]]:
    """Yield the places of pytest, click and Python through which a test sees output, with a wrapper."""
    from click.testing import CliRunner

    def read(place: str, original: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            found = original(*args, **kwargs)
            shown = found if isinstance(found, tuple) else (found.output, repr(found.exception))
            marks.look(place, "\n".join(map(_text, shown)))
            return found

        return wrapped

    async def finished(original: Any, *args: Any, **kwargs: Any) -> Any:
        found = await original(*args, **kwargs)
        marks.look("output of a program", "\n".join(map(_text, found)))
        return found

    def awaited(original: Any) -> Any:
        return lambda *args, **kwargs: finished(original, *args, **kwargs)

    def raises(original: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            made = original(*args, **kwargs)
            return _Raises(made) if hasattr(made, "__exit__") else made

        return wrapped

    yield pytest, "raises", raises
    yield pytest.CaptureFixture, "readouterr", lambda o: read("captured output", o)
    yield subprocess.Popen, "communicate", lambda o: read("output of a program", o)
    yield CliRunner, "invoke", lambda o: read("output of a command", o)
    yield asyncio.subprocess.Process, "communicate", awaited


def _text(shown: Any) -> str:
    return shown.decode(errors="replace") if isinstance(shown, bytes) else str(shown)


@functools.cache
def _is_ours(kind: type) -> bool:
    module = getattr(kind, "__module__", None)
    return isinstance(module, str) and module.startswith("paragon_async")


def sweep() -> None:
    """Look at the repr of everything of ours that is alive."""
    for thing in [thing for thing in gc.get_objects() if _is_ours(type(thing))]:
        try:
            shown = repr(thing)
        except Exception:  # noqa: BLE001, S112  # half made or closed: it shows nothing
            continue
        marks.look(f"repr of {type(thing).__module__}.{type(thing).__qualname__}", shown)


def search(base: Path) -> None:
    """Look into every file below *base* that is not too large to be one of words."""
    meant = re.compile("|".join(FILES) or "(?!)")
    for folder, folders, names in os.walk(base):
        # What the emulator serves is a test's own, and contents of it are mostly what lies in mirrors.
        folders[:] = [name for name in folders if name != "drive"]
        for path in (Path(folder, name) for name in names):
            found = path.lstat()
            most = _LARGEST if path.suffix in _OF_WORDS else _LARGEST >> 6
            looked_at = stat.S_ISREG(found.st_mode) and found.st_size <= most
            if looked_at and not meant.search(path.as_posix()):
                marks.look_at(path)


class Watch:
    """The plugin: one in each process that runs tests, and one that gathers what they found."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._gathered: list[str] = []
        self._count = 0
        self._works = hasattr(config, "workerinput") or not getattr(
            config.option, "numprocesses", None
        )

    def begin(self) -> None:
        """Listen, at the loudest level."""
        if not self._works:
            return
        logging.getLogger().addHandler(_Listener())
        for name in LOUD:
            logging.getLogger(name).setLevel(logging.DEBUG)
        for owner, name, wrap in _seams():
            setattr(owner, name, wrap(getattr(owner, name)))

    def pytest_sessionstart(self) -> None:
        quiet = self._config.pluginmanager.getplugin("logging-plugin")
        for handler in (quiet.caplog_handler, quiet.report_handler) if quiet else ():
            handler.setLevel(logging.WARNING)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        marks.exempt = any(
            item.nodeid.endswith(name) or f"{name}[" in item.nodeid for name in OUTPUT
        )
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Iterator[None]:
        self._count += 1
        if self._count % _SWEPT == 1:
            sweep()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Iterator[None]:
        report = yield
        if call.when == "teardown":
            for name, shown in report.sections:
                if "log" not in name:
                    marks.look(name, shown)
            if call.excinfo is not None:
                marks.look("teardown", "\n".join(messages(call.excinfo.value)))
            if marks.hits:
                report.outcome, report.longrepr = "failed", "\n".join(["canaries", *marks.hits])
                marks.hits.clear()
        return report

    def pytest_warning_recorded(self, warning_message: Any, nodeid: str) -> None:
        # Told when its test has been reported already.
        if self._works:
            marks.look(f"warning of {nodeid}", str(warning_message.message))
            self._gathered += marks.hits
            marks.hits.clear()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._works:
            marks.exempt = False
            sweep()
            factory = getattr(self._config, "_tmp_path_factory", None)
            if factory is not None and factory._basetemp is not None:
                search(factory._basetemp)
            self._gathered += marks.hits
            if hasattr(self._config, "workeroutput"):
                self._config.workeroutput["canaries"] = self._gathered
        if self._gathered and not hasattr(self._config, "workeroutput"):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        self._gathered += getattr(node, "workeroutput", {}).get("canaries", ())

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self._gathered:
            terminalreporter.section("canaries: secrets where none may be", red=True)
            terminalreporter.write_line("\n".join(self._gathered))
