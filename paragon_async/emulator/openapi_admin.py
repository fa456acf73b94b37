"""The description of the paths under `/_emulator/`: what admin.py serves, in the same order."""

from __future__ import annotations

from typing import Any

from paragon_async.emulator import events, mutate
from paragon_async.emulator.openapi_schemas import (
    ANY_TEXT,
    COUNT,
    LOADED_PIPELINE,
    OPEN,
    ROLE,
    STATUSES,
    TEXT,
    YES,
    Schema,
    choice,
    data,
    listing,
    maybe,
    number,
    operation,
    path,
    query,
    record,
    ref,
)

_YEARS = 100 * 366 * 86400
_MOST = 1 << 53
_DAY = 86_400
_PACE = r"^(at_once|manual|polls:[1-9][0-9]{0,5}|seconds:[1-9][0-9]{0,5}(\.[0-9]{1,3})?)$"
_SUBJECT = r"^(anyone|group:[\w.-]+|domain:[\w.-]+|(user:)?[\w.+-]+@[\w.-]+)$"
_URL = {"type": "string", "format": "uri", "pattern": "^https?://"}
_STRINGS = OPEN | {"additionalProperties": ANY_TEXT}
_DONE = ref("Done")


def paths() -> dict[str, Schema]:
    """Return the emulator's own paths."""
    at = "/_emulator"
    parts = (_whole(), _syncs(), _records(), _clock(), _faults(), _requests(), _events(), _tuples())
    return {f"{at}/{name}": item for part in parts for name, item in part.items()}


def _own(summary: str, answer: Schema, *refusals: int, **more: Any) -> Schema:
    return operation("emulator", summary, answer, *refusals, **more)


def _whole() -> dict[str, Schema]:
    health = record({"status": {"const": "ok"}, "version": TEXT, "projectId": TEXT})
    return {
        "health": {"get": _own("Tell that it lives", health)},
        "openapi.json": {"get": _own("Describe the API", OPEN | {"required": ["openapi"]})},
        "reset": {"post": _own("Forget what happened", _DONE)},
        "refresh": {"post": _own("Look at every folder", _DONE)},
        "state": {
            "get": _own("Export the state", ref("State")),
            "put": _own("Restore a state", _DONE, body=ref("RestoredState")),
        },
    }


def _syncs() -> dict[str, Schema]:
    moved = record(
        {"status": choice(*STATUSES)},
        reason=maybe(TEXT),
        rateLimitBackoffMs=maybe(number(0, _YEARS * 1000)),
    )
    run = record({"type": choice("incremental", "full")})
    pace = record({"pace": {"type": "string", "pattern": _PACE}})
    sync = [path("sync")]
    return {
        "syncs": {"get": _own("List the syncs of all users", data(ref("Sync")))},
        "syncs/{sync}": {
            "parameters": sync,
            "patch": _own("Move a sync", ref("MovedSync"), 404, body=moved),
        },
        "syncs/{sync}/run": {
            "parameters": sync,
            "post": _own("Run a sync", ref("MovedSync"), 404, 409, body=run),
        },
        "pace": {"put": _own("Set the pace", record({"pace": TEXT}), body=pace)},
    }


def _records() -> dict[str, Schema]:
    named = OPEN | {"properties": {"id": TEXT}, "required": ["id"]}
    loaded = OPEN | {"properties": {"externalId": TEXT}, "required": ["externalId"]}
    account = {"pipeline": LOADED_PIPELINE}
    into = [
        record({"sync": TEXT, "records": listing(named)}),
        record({**account, "records": listing(loaded)}, user=maybe(TEXT)),
    ]
    out = [
        record({"sync": TEXT, "ids": listing(TEXT)}),
        record({**account, "externalIds": listing(TEXT)}, user=maybe(TEXT)),
    ]
    changed = record({"changed": COUNT})
    asked = [
        query("sync", TEXT, required=True),
        query("after", number(0, _MOST, "integer")),
        query("limit", number(1, 1000, "integer")),
    ]
    page = record({"data": listing(ref("Record")), "after": COUNT})
    return {
        "records": {
            "get": _own("List the records of a sync", page, 404, parameters=asked),
            "post": _own("Put records", changed, 404, body={"oneOf": into}),
            "delete": _own("Delete records", changed, 404, body={"oneOf": out}),
        }
    }


def _clock() -> dict[str, Schema]:
    wanted = record(
        frozen=maybe(YES), seconds=maybe(number(0, _YEARS)), advance=maybe(number(0, _YEARS))
    )
    return {
        "clock": {
            "get": _own("Show the clock", ref("Clock")),
            "put": _own("Set the clock", ref("Clock"), body=wanted | {"minProperties": 1}),
        }
    }


def _faults() -> dict[str, Schema]:
    rule = _fault()
    shown = record({"id": COUNT, "hits": COUNT, **{key: maybe(one) for key, one in rule.items()}})
    added = record({}, **{key: maybe(one) for key, one in rule.items()})
    return {
        "faults": {
            "get": _own("List the faults", data(shown)),
            "post": _own("Add a fault", record({"id": COUNT}), body=added, status=201),
            "delete": _own("Remove all faults", _DONE),
        },
        "faults/{fault}": {
            "parameters": [path("fault")],
            "delete": _own("Remove a fault", _DONE, 404),
        },
    }


def _fault() -> dict[str, Schema]:
    """Describe a rule, as it is sent and as it is shown."""
    patterns = dict.fromkeys(("method", "path", "user", "sync", "body"), ANY_TEXT)
    flags = dict.fromkeys(("html", "redirect", "reset"), YES)
    seconds = ("delay", "retry_after", "stall", "stall_headers", "drip_headers", "drip_every")
    counts = ("times", "skip", "seed", "cut_after", "stall_after", "corrupt_at")
    return {
        **patterns,
        **flags,
        **dict.fromkeys(seconds, number(0, _DAY)),
        **dict.fromkeys(counts, number(0, _MOST, "integer")),
        "every": number(1, _MOST, "integer"),
        "drip_body": number(0, _MOST, "integer"),
        "probability": number(0, 1),
        "status": number(200, 599, "integer"),
        "length_off": number(-1_000_000, 1_000_000_000, "integer"),
        "headers": _STRINGS,
        "retry_after_form": choice("seconds", "date"),
        "page": choice(*mutate.KINDS),
    }


def _requests() -> dict[str, Schema]:
    asked = [query("limit", number(1, 10_000, "integer")), query("path", ANY_TEXT)]
    return {
        "requests": {
            "get": _own("List the latest calls", data(ref("Call")), parameters=asked),
            "delete": _own("Forget all calls", _DONE),
        }
    }


def _events() -> dict[str, Schema]:
    logged = [
        query("limit", number(1, 10_000, "integer")),
        query("after", number(0, _MOST, "integer")),
    ]
    again = _own("Redeliver an event", record({"id": COUNT}), 404, 409, status=202)
    trigger = record(
        {"event": choice(*events.KINDS)},
        **dict.fromkeys(("sync", "user", "record", "message"), maybe(TEXT)),
    )
    queued = record({"queued": COUNT, "event": ref("Event")})
    return {
        "webhook": {
            "get": _own("Show the webhook", ref("Webhook")),
            "put": _own("Set the webhook", ref("Webhook"), body=_webhook()),
            "delete": _own("Remove the webhook", _DONE),
        },
        "deliveries": {"get": _own("List deliveries", data(ref("Delivery")), parameters=logged)},
        "deliveries/{delivery}/redeliver": {"parameters": [path("delivery")], "post": again},
        "events": {
            "post": _own("Trigger an event", queued, 404, 409, body=trigger, status=202),
        },
    }


def _webhook() -> Schema:
    shares = dict.fromkeys(("duplicate", "reorder", "drop"), maybe(number(0, 1)))
    counts = dict.fromkeys(("give_up_after", "disable_after"), maybe(number(1, 1e6, "integer")))
    return record(
        {"url": _URL},
        headers=maybe(_STRINGS),
        variants=maybe(listing(choice(*events.OPTIONS))),
        seed=maybe(number(0, 1e6, "integer")),
        **shares,
        **counts,
    )


def _tuples() -> dict[str, Schema]:
    account, subject = {"user": maybe(TEXT)}, {"type": "string", "pattern": _SUBJECT}
    grant = record({"object": TEXT, "subject": subject, "role": ROLE}, sync=maybe(TEXT), **account)
    member = record({"group": TEXT, "member": subject}, **account)
    either: Schema = {"oneOf": [grant, member]}
    return {
        "tuples": {
            "get": _own("List grants", data(ref("Tuple")), parameters=[query("user", ANY_TEXT)]),
            "post": _own("Grant a role", _DONE, 404, body=either),
            "delete": _own("Revoke a role", _DONE, 404, body=either),
        }
    }
