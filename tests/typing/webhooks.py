"""Never run: the type checkers hold handlers to the events that they are registered for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_type

from paragon_async import Secret
from paragon_async.webhooks import (
    Event,
    Failure,
    ParagonSignature,
    RecordCreated,
    RecordDeleted,
    RecordErrored,
    RecordUpdated,
    Router,
    SharedSecret,
    StandardWebhooks,
    SyncCompleted,
    SyncErrored,
    UnknownEvent,
    Verifier,
    parse_event,
)

router = Router()


def values(body: bytes) -> None:
    event = parse_event(body, limit=1, depth=1)
    assert_type(event, Event)
    assert_type(event.name, str)
    assert_type(event.sync_id, str | None)
    assert_type(event.timestamp, datetime | None)
    assert_type(event.raw, Mapping[str, Any])
    match event:
        case RecordUpdated():
            assert_type(event.record_id, str)
        case SyncCompleted():
            assert_type(event.records, int | None)
        case SyncErrored():
            assert_type(event.code, str | int | None)
        case _:
            pass
    UnknownEvent(name="n")
    RecordUpdated()  # type: ignore[call-arg]  # an event of a record has its id
    RecordUpdated(record_id="r").record_id = "s"  # type: ignore[misc]  # values do not change


@router.on(RecordUpdated)
async def updated(event: RecordUpdated) -> None: ...


@router.on(RecordUpdated)
async def anything(event: Event) -> int:
    return len(event.name)


@router.on(RecordCreated, RecordUpdated)
async def two(event: RecordCreated | RecordUpdated) -> None: ...


@router.on(RecordCreated, RecordUpdated, RecordDeleted)
async def three(event: RecordCreated | RecordUpdated | RecordDeleted) -> None: ...


@router.on(RecordCreated, RecordUpdated, RecordDeleted, RecordErrored)
async def four(event: RecordCreated | RecordUpdated | RecordDeleted | RecordErrored) -> None: ...


@router.on(RecordCreated, RecordUpdated, RecordDeleted, RecordErrored, SyncErrored, SyncCompleted)
async def many(event: Event) -> None: ...


@router.on(Event)
async def every(event: Event) -> None: ...


@router.on(RecordUpdated)  # type: ignore[arg-type]  # the handler wants another event
async def wrong(event: RecordDeleted) -> None: ...


@router.on(RecordUpdated, RecordDeleted)  # type: ignore[arg-type]  # the handler wants only one of two
async def narrow(event: RecordDeleted) -> None: ...


@router.on(RecordUpdated)  # type: ignore[arg-type]  # the handler is no coroutine function
def blocking(event: RecordUpdated) -> None: ...


@router.on(int)  # type: ignore[type-var]  # no event
async def number(event: int) -> None: ...


async def dispatched(event: Event) -> None:
    assert_type(await router.dispatch(event), tuple[Failure, ...])
    await updated(RecordUpdated(record_id="r"))
    await updated(RecordDeleted(record_id="r"))  # type: ignore[arg-type]  # still what it was


def always(headers: Mapping[str, str], body: bytes) -> bool:
    return True


def verifiers() -> list[Verifier]:
    own: Verifier = always
    return [
        own,
        SharedSecret("s", Secret("s"), header="h"),
        ParagonSignature("s"),
        StandardWebhooks("s", tolerance=1.0),
    ]
