"""Which function works on which event.

    router = Router()

    @router.on(RecordCreated, RecordUpdated)
    async def changed(event: RecordCreated | RecordUpdated) -> None: ...

An event is a hint, so a handler may be called twice for the same news, late, or for news that never
was: it should ask the API before it acts.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeAlias, TypeVar, overload

import attrs

from paragon_async.errors import ConfigurationError
from paragon_async.webhooks.kinds import Event

E = TypeVar("E", bound=Event)
E2 = TypeVar("E2", bound=Event)
E3 = TypeVar("E3", bound=Event)
E4 = TypeVar("E4", bound=Event)

Handler: TypeAlias = Callable[[E], Coroutine[Any, Any, object]]
Decorator: TypeAlias = Callable[[Handler[E]], Handler[E]]


@attrs.frozen
class Failure:
    """What one handler raised. *handler* is its name: module, dot, qualified name."""

    handler: str
    error: BaseException


@attrs.define
class _Entry:
    name: str
    handler: Handler[Any]
    kinds: tuple[type[Event], ...]


class Router:
    """Handlers by the type of event, in the order in which they were registered."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    @overload
    def on(self, kind: type[E], /) -> Decorator[E]: ...
    @overload
    def on(self, kind: type[E], kind2: type[E2], /) -> Decorator[E | E2]: ...
    @overload
    def on(self, kind: type[E], kind2: type[E2], kind3: type[E3], /) -> Decorator[E | E2 | E3]: ...
    @overload
    def on(
        self, kind: type[E], kind2: type[E2], kind3: type[E3], kind4: type[E4], /
    ) -> Decorator[E | E2 | E3 | E4]: ...
    @overload
    def on(
        self,
        kind: type[Event],
        kind2: type[Event],
        kind3: type[Event],
        kind4: type[Event],
        kind5: type[Event],
        /,
        *more: type[Event],
    ) -> Decorator[Event]: ...

    def on(self, *kinds: Any) -> Decorator[Any]:
        """Register the decorated `async def` for events of these types and of their subclasses.

        `on(Event)` gets all of them, probes and unknown ones too. Several handlers may share a
        type. A handler that is registered again gets the new types too and still runs once per
        event. Raises `ConfigurationError` for what is no event's class, and when decorating
        anything but an `async def`. The function comes back unchanged.
        """
        for kind in kinds:
            if not (isinstance(kind, type) and issubclass(kind, Event)):
                raise ConfigurationError(f"on() takes classes of events, not {kind!r}")
        if not kinds:
            raise ConfigurationError("on() needs a class of events: @router.on(RecordUpdated)")

        def register(handler: Handler[Any]) -> Handler[Any]:
            self._register(handler, kinds)
            return handler

        return register

    def handles(self, event: Event) -> bool:
        """Tell whether any handler would run for *event*."""
        return any(isinstance(event, entry.kinds) for entry in self._entries)

    async def dispatch(
        self,
        event: Event,
        *,
        only: Collection[str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # each handler has this time, not the call
    ) -> tuple[Failure, ...]:
        """Run the handlers of *event*, one after the other; return what those raised that failed.

        A handler that fails stops no other. With *only*, handlers of other names are left out: give
        it the names of those that failed to try just these again. A handler that takes longer than
        *timeout* seconds is cancelled, and has failed. Cancelling stops the handler that runs, and
        those after it never start. Of what is no `Exception` only what ends the program passes
        through: `KeyboardInterrupt`, `SystemExit`.
        """
        failures = []
        for entry in tuple(self._entries):
            if isinstance(event, entry.kinds) and (only is None or entry.name in only):
                failure = await _run(entry, event, timeout)
                if failure:
                    failures.append(failure)
        return tuple(failures)

    def _register(self, handler: Handler[Any], kinds: tuple[type[Event], ...]) -> None:
        if not is_async(handler):
            raise ConfigurationError(f"{_name(handler)} is no handler: an `async def` is wanted")
        for entry in self._entries:
            if entry.handler == handler:
                entry.kinds += kinds
                return
        self._entries.append(_Entry(_name(handler), handler, kinds))


async def _run(entry: _Entry, event: Event, seconds: float | None) -> Failure | None:
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            await entry.handler(event)
    except asyncio.CancelledError as error:
        # A handler that awaited something which was cancelled raises this too, and fails with it.
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return Failure(entry.name, error)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001  # whatever one handler does, the others run
        if not limit.expired():
            return Failure(entry.name, error)
    if limit.expired():
        # Also one that caught its cancelling and returned: nobody knows what it left undone.
        return Failure(entry.name, TimeoutError(f"it took longer than {seconds:g} s"))
    return None


def is_async(handler: object) -> bool:
    """Tell whether calling *handler* makes a coroutine, as far as can be seen beforehand."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    called = getattr(type(handler), "__call__", None)  # noqa: B004  # an object may be called as a coroutine function
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(called)


def _name(handler: object) -> str:
    while isinstance(handler, functools.partial):
        handler = handler.func
    named = handler if hasattr(handler, "__qualname__") else type(handler)
    return f"{named.__module__}.{named.__qualname__}"
