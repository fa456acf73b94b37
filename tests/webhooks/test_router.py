from __future__ import annotations

import asyncio
import functools

import pytest

from paragon_async import ConfigurationError
from paragon_async.webhooks import (
    Event,
    Failure,
    RecordCreated,
    RecordDeleted,
    RecordUpdated,
    Router,
    UnknownEvent,
    WebhookVerification,
)

CREATED = RecordCreated(record_id="r1")
UPDATED = RecordUpdated(record_id="r1")
DELETED = RecordDeleted(record_id="r1")


@pytest.fixture
def router():
    return Router()


@pytest.fixture
def ran():
    return []


def handler(ran, name, error=None):
    async def handle(event):
        await asyncio.sleep(0)
        ran.append((name, event))
        if error:
            raise error

    handle.__qualname__ = name
    return handle


async def test_by_type(router, ran):
    """A handler gets the events of its types and no others; nobody need handle an event."""
    router.on(RecordCreated)(handler(ran, "created"))
    router.on(RecordUpdated, RecordDeleted)(handler(ran, "changed"))
    for event in (CREATED, UPDATED, DELETED, UnknownEvent(name="x")):
        assert await router.dispatch(event) == ()
    assert ran == [("created", CREATED), ("changed", UPDATED), ("changed", DELETED)]


async def test_the_base_gets_all(router, ran):
    """`on(Event)` gets everything, probes and unknown events too."""
    router.on(Event)(handler(ran, "all"))
    events = [CREATED, UnknownEvent(name="x"), WebhookVerification()]
    for event in events:
        await router.dispatch(event)
    assert [event for _, event in ran] == events


async def test_in_order_one_after_the_other(router, ran):
    """Handlers run in the order of registration, each after the one before has ended."""
    turns = []

    async def slow(event):
        turns.append("slow starts")
        await asyncio.sleep(0.01)
        turns.append("slow ends")

    async def quick(event):
        turns.append("quick")

    router.on(Event)(slow)
    router.on(RecordUpdated)(quick)
    await router.dispatch(UPDATED)
    assert turns == ["slow starts", "slow ends", "quick"]


async def test_one_failure_stops_no_other(router, ran):
    """What a handler raises is returned with its name, and the others run before and after it."""
    error, group = ValueError("broken"), ExceptionGroup("some", [OSError()])
    router.on(RecordUpdated)(handler(ran, "first"))
    router.on(RecordUpdated)(handler(ran, "second", error))
    router.on(RecordUpdated)(handler(ran, "third", group))
    router.on(RecordUpdated)(handler(ran, "fourth"))
    failures = await router.dispatch(UPDATED)
    assert [name for name, _ in ran] == ["first", "second", "third", "fourth"]
    assert failures == (Failure(f"{__name__}.second", error), Failure(f"{__name__}.third", group))


async def test_only_those_that_failed(router, ran):
    """With `only`, handlers of other names are left out: a second try need not repeat the first."""
    router.on(RecordUpdated)(handler(ran, "first"))
    router.on(RecordUpdated)(handler(ran, "second", ValueError()))
    failures = await router.dispatch(UPDATED)
    ran.clear()
    await router.dispatch(UPDATED, only={failure.handler for failure in failures})
    assert [name for name, _ in ran] == ["second"]
    assert await router.dispatch(UPDATED, only=[]) == ()


async def test_cancelling_passes_through(router, ran):
    """Cancelling the dispatch stops the handler that runs, and no later one starts."""
    started = asyncio.Event()

    async def waits(event):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ran.append("cleaned up")

    router.on(RecordUpdated)(waits)
    router.on(RecordUpdated)(handler(ran, "later"))
    task = asyncio.create_task(router.dispatch(UPDATED))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ran == ["cleaned up"]


async def test_a_time_limit_around_it_passes_through(router, ran):
    """A time-out around the dispatch ends it, as any cancelling does."""

    async def waits(event):
        await asyncio.Event().wait()

    router.on(RecordUpdated)(waits)
    router.on(RecordUpdated)(handler(ran, "later"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await router.dispatch(UPDATED)
    assert ran == []


async def test_a_handler_whose_own_work_was_cancelled(router, ran):
    """A handler that awaits something cancelled has failed; whoever dispatches goes on."""

    async def awaits_the_dead(event):
        dead = asyncio.get_running_loop().create_future()
        dead.cancel()
        await dead

    router.on(RecordUpdated)(awaits_the_dead)
    router.on(RecordUpdated)(handler(ran, "later"))
    (failure,) = await router.dispatch(UPDATED)
    assert isinstance(failure.error, asyncio.CancelledError)
    assert [name for name, _ in ran] == ["later"]


async def test_what_ends_the_program_passes_through(router, ran):
    """An interrupt is no failure of a handler."""
    router.on(RecordUpdated)(handler(ran, "interrupted", GeneratorExit()))
    router.on(RecordUpdated)(handler(ran, "later"))
    with pytest.raises(GeneratorExit):
        await router.dispatch(UPDATED)
    assert [name for name, _ in ran] == ["interrupted"]


async def test_registered_twice_it_runs_once(router, ran):
    """Decorators on top of one another add types to one handler: one event, one run."""
    twice = handler(ran, "twice")
    assert router.on(RecordUpdated, Event)(router.on(RecordCreated)(twice)) is twice
    router.on(RecordUpdated)(handler(ran, "other"))
    await router.dispatch(UPDATED)
    await router.dispatch(DELETED)
    assert ran == [("twice", UPDATED), ("other", UPDATED), ("twice", DELETED)]


async def test_registering_while_dispatching(router, ran):
    """A handler that registers another one changes the next dispatch, not this one."""

    @router.on(RecordUpdated)
    async def first(event):
        ran.append("first")
        router.on(RecordUpdated)(handler(ran, "new"))

    await router.dispatch(UPDATED)
    assert ran == ["first"]
    assert not router.handles(CREATED) and router.handles(UPDATED)


class Callable:
    async def __call__(self, event):
        raise ValueError

    async def method(self, event):
        raise ValueError


async def named(first, event):
    raise ValueError


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (Callable(), "Callable"), (Callable().method, "Callable.method"), (functools.partial(named, 1), "named"),
        (functools.partial(Callable().method), "Callable.method"),
    ],
)  # fmt: skip
async def test_every_kind_of_async_function(router, handler, name):
    """Methods, partial functions and objects that are called as coroutines are handlers too."""
    router.on(RecordUpdated)(handler)
    (failure,) = await router.dispatch(UPDATED)
    assert failure.handler == f"{__name__}.{name}"


def sync_function(event):
    return asyncio.sleep(0)


async def generator(event):
    yield


@pytest.mark.parametrize("wrong", [sync_function, generator, print, 5, Callable, lambda _: None])
async def test_only_async_functions(router, wrong):
    """What is no `async def` is refused when it is registered, not when an event comes."""
    with pytest.raises(ConfigurationError, match="an `async def` is wanted"):
        router.on(RecordUpdated)(wrong)
    assert not router.handles(UPDATED)


@pytest.mark.parametrize(
    "kinds", [(), (sync_function,), ("record_updated",), (RecordUpdated, int), (UPDATED,), (None,)]
)
def test_only_classes_of_events(router, kinds):
    """`on` without its types, or with something else, is refused on the spot."""
    with pytest.raises(ConfigurationError, match=r"on\(\)"):
        router.on(*kinds)
