"""Which async iterators a caller can come upon: found in the package itself, so that none is forgotten.

From every name that the rooms export, on to the classes that a public annotation names, and so forth.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import paragon_async

ROOMS = ("paragon_async", "paragon_async.ingest", "paragon_async.webhooks", "paragon_async.otel")
# A command and a service are no API; how they end is proved where they are tested.
ELSEWHERE = ("paragon_async.cli", "paragon_async.emulator", "paragon_async.testing")
ITERATES = re.compile(r"\bAsync(Generator|Iterator|Iterable)\b")


def _modules():
    for found in pkgutil.walk_packages(paragon_async.__path__, "paragon_async."):
        if not found.name.startswith(ELSEWHERE) and not found.name.endswith("__main__"):
            try:
                yield importlib.import_module(found.name)
            except ImportError:  # what only an extra brings
                continue


def _classes(modules):
    """Return the package's own classes by name; a name that two of them bear stands for both."""
    found = {}
    for module in modules:
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__.startswith("paragon_async"):
                found.setdefault(name, set()).add(value)
    return found


def _members(owner):
    """Yield the public functions of a class, and what answers `async for` over it."""
    for name, value in inspect.getmembers_static(owner):
        bare = getattr(value, "__func__", getattr(value, "fget", value))
        if callable(bare) and (not name.startswith("_") or name in {"__aiter__", "__anext__"}):
            yield name, bare


def _annotations(thing):
    found = dict(getattr(thing, "__annotations__", {}))
    names = [note for name, note in found.items() if not name.startswith("_")]
    return " ".join(note if isinstance(note, str) else repr(note) for note in names)


def _iterates(function):
    """Tell a function whose result is to be gone through, and not one that makes a context manager."""
    if hasattr(function, "__wrapped__"):
        return False
    answer = str(getattr(function, "__annotations__", {}).get("return", ""))
    return inspect.isasyncgenfunction(function) or bool(ITERATES.search(answer))


def iterators():
    """Return the names of all async iterators that can be reached, as `Records.pull`."""
    modules = [paragon_async, *_modules()]
    by_name = _classes(modules)
    rooms = [module for module in modules if module.__name__ in ROOMS]
    waiting = [getattr(room, name) for room in rooms for name in getattr(room, "__all__", ())]
    seen, found = set(), set()
    while waiting:
        thing = waiting.pop()
        if thing in seen or not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        seen.add(thing)
        members = _members(thing) if inspect.isclass(thing) else [("", thing)]
        words = _annotations(thing)
        for name, function in members:
            words += " " + _annotations(function)
            if name in {"__aiter__", "__anext__"} or _iterates(function):
                found.add(f"{thing.__name__}.{name}".strip("."))
        for word in set(re.findall(r"\w+", words)):
            waiting.extend(by_name.get(word, ()))
    return found
