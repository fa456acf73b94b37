"""The forms that the emulator's description is made of, and the helpers that write them down.

Requests are as wide as the emulator accepts on purpose, answers as narrow as it gives: every object
is closed, but for records, configurations and the rows of an exported state.
"""

from __future__ import annotations

from typing import Any

from paragon_async.emulator import catalogue, events, expand, grants

Schema = dict[str, Any]
JSON = "application/json"
STATUSES = ("INITIALIZING", "ACTIVE", "IDLE", "RATE_LIMITED", "DISABLED", "ERRORED")
TEXT: Schema = {"type": "string", "minLength": 1}
ANY_TEXT: Schema = {"type": "string"}
UUID: Schema = {"type": "string", "format": "uuid"}
DATE: Schema = {"type": "string", "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}
YES: Schema = {"type": "boolean"}
OPEN: Schema = {"type": "object"}


def ref(name: str) -> Schema:
    """Name a schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(needed: Schema | None = None, /, **optional: Schema) -> Schema:
    """Describe a closed object."""
    properties = {**(needed or {}), **optional}
    closed = {"type": "object", "properties": properties, "additionalProperties": False}
    return closed | ({"required": list(needed)} if needed else {})


def listing(items: Schema) -> Schema:
    """Describe an array."""
    return {"type": "array", "items": items}


def data(items: Schema) -> Schema:
    """Describe an object that holds nothing but an array of data."""
    return record({"data": listing(items)})


def choice(*options: str) -> Schema:
    """Describe one of a few words."""
    return {"type": "string", "enum": list(options)}


def maybe(schema: Schema) -> Schema:
    """Allow null in a value's place."""
    return {"anyOf": [schema, {"type": "null"}]}


def number(least: float, most: float, kind: str = "number") -> Schema:
    """Describe a number within bounds."""
    return {"type": kind, "minimum": least, "maximum": most}


ERRORS = {
    400: "The request makes no sense; the message names what to mend",
    401: "The token is missing, expired, not yet valid, or of another project",
    403: "A web page from elsewhere asks, or the document is too large to export",
    404: "There is no such thing, or it is another user's",
    409: "Not in this state; the message names the one that is needed",
    413: "The body is too large",
    421: "The Host is not loopback",
    429: "The user's rate is used up; Retry-After tells for how long",
    503: "The file changed while it was read: ask again",
}
ROLE = choice(*grants.ROLES)
PIPELINE = choice(*catalogue.PIPELINES)
LOADED_PIPELINE = choice(*(name for name in catalogue.PIPELINES if name != "files"))
FREQUENCY = choice(*catalogue.FREQUENCIES)
SUMMARY = record({
    "totalRecords": COUNT, "syncedRecordsCount": COUNT, "lastSyncedAt": maybe(DATE),
    "latestCursor": maybe(TEXT),
})  # fmt: skip
_STATUS = {"status": choice(*STATUSES), "summary": ref("Summary")}
_CONDITIONAL = {
    "credentialId": UUID,
    "incrementalAccumulatorFrequency": FREQUENCY,
    "rateLimitBackoffMs": COUNT,
    "reason": ANY_TEXT,
}
_LISTED = {
    "id": UUID, "integration": choice(*catalogue.INTEGRATIONS), "pipeline": PIPELINE,
    "status": choice(*STATUSES), "configurationName": TEXT, "dateCreated": DATE, "dateUpdated": DATE,
}  # fmt: skip
_CHECK = {"object": TEXT, "user": TEXT, "role": ROLE}


def operation(
    tag: str,
    summary: str,
    answer: Schema | None,
    *refusals: int,
    body: Schema | None = None,
    parameters: list[Schema] | None = None,
    status: int = 200,
    media: str = JSON,
) -> Schema:
    """Describe one operation; the refusals that any may meet are added."""
    is_ours = tag == "emulator"
    common = (400, 403, 421) if is_ours else (400, 401, 403, 421, 429)
    declared = sorted({*common, *refusals, *((413,) if body else ())})
    content = {} if answer is None else {"content": {media: {"schema": answer}}}
    responses = {str(status): {"description": "It worked", **content}}
    responses |= {str(one): {"$ref": f"#/components/responses/{one}"} for one in declared}
    described: Schema = {"tags": [tag], "summary": summary, "operationId": _identifier(summary)}
    if parameters:
        described["parameters"] = parameters
    if body:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": body}}}
    described["responses"] = responses
    described["security"] = [] if is_ours else [{"bearer": []}]
    return described


def path(name: str) -> Schema:
    """Describe a part of the path."""
    return {"name": name, "in": "path", "required": True, "schema": TEXT}


def query(name: str, schema: Schema, *, required: bool = False) -> Schema:
    """Describe a part of the query."""
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _identifier(summary: str) -> str:
    first, *rest = "".join(c for c in summary if c.isalpha() or c == " ").split()
    return first.lower() + "".join(word.capitalize() for word in rest)


def components() -> dict[str, Schema]:
    """Return every schema that has a name."""
    return {**_errors(), **_requests(), **_syncs(), **_permissions(), **_admin()}


def _errors() -> dict[str, Schema]:
    error = {
        "message": TEXT,
        "code": {"type": "string", "pattern": "^[45][0-9]{4}$"},
        "status": number(400, 599, "integer"),
        "meta": record({"requestId": UUID}),
    }
    return {"Error": record(error), "Done": record({"success": {"const": True}})}


def _requests() -> dict[str, Schema]:
    frequency = {"incrementalAccumulatorFrequency": maybe(FREQUENCY)}
    named = ("folderId", "customObjectName", "bucket", "projectId", "boardId", "siteId")
    configuration = OPEN | {
        "properties": dict.fromkeys(named, ANY_TEXT) | {"mimeTypes": listing(ANY_TEXT)}
    }
    return {
        "EnableSync": record(
            {"integration": choice(*catalogue.INTEGRATIONS), "pipeline": PIPELINE},
            configuration=maybe(configuration),
            configurationName=maybe(TEXT),
            credentialId=maybe(UUID),
            **frequency,
        ),
        "UpdateSync": record(credentialId=maybe(UUID), **frequency)
        | {"minProperties": 1},
        "Check": record(_CHECK),
    }  # fmt: skip


def _syncs() -> dict[str, Schema]:
    enabled = {key: _LISTED[key] for key in ("id", "integration", "pipeline", "status")}
    paging = {
        "totalRecords": COUNT, "totalActiveRecords": COUNT, "remainingRecords": COUNT,
        "cursor": maybe(TEXT), "lastSeen": maybe({"type": "integer"}),
    }  # fmt: skip
    updated = record(credentialId=UUID, incrementalAccumulatorFrequency=FREQUENCY)
    return {
        "Summary": SUMMARY,
        "EnabledSync": record(enabled | {"userId": TEXT, "projectId": TEXT}),
        "ListedSync": record(_LISTED, credentialId=UUID),
        "SyncStatus": record(_STATUS, **_CONDITIONAL),
        "UpdatedSync": record({"id": UUID, "data": updated, "message": TEXT}),
        "BriefSync": record({"id": UUID, "status": choice(*STATUSES)}),
        "DeletedSync": record({"id": UUID}),
        "Record": OPEN | {"required": ["id"], "properties": {"id": TEXT}},
        "Page": record({"data": listing(ref("Record")), "paging": record(paging)}),
    }


def _permissions() -> dict[str, Schema]:
    verdict = record({"allowed": YES, "request": ref("Check")})
    userset = record({"userset": TEXT})
    leaf = [
        record({"users": record({"users": listing(TEXT)})}),
        record({"computed": userset}),
        record({"tupleToUserset": record({"tupleset": TEXT, "computed": listing(userset)})}),
    ]
    nodes = record({"nodes": listing(ref("Node"))})
    node = [record({"name": TEXT, "leaf": {"oneOf": leaf}}), record({"name": TEXT, "union": nodes})]
    return {
        "Verdicts": record({"result": listing(verdict)}),
        "ListUsers": record({"object": TEXT, "role": ROLE}),
        "ListObjects": record({"objectType": choice("file", "folder"), "user": TEXT, "role": ROLE}),
        "Expand": record({"object": TEXT}, relation=maybe(choice(*expand.RELATIONS))),
        "Node": {"oneOf": node},
        "Tree": record({"tree": record({"root": ref("Node")})}),
    }


def _admin() -> dict[str, Schema]:
    call = {
        "id": COUNT, "at": {"type": "number"}, "method": TEXT, "path": TEXT,
        "query": OPEN | {"additionalProperties": ANY_TEXT}, "user": maybe(ANY_TEXT),
        "status": maybe(number(100, 599, "integer")), "fault": maybe(COUNT),
    }  # fmt: skip
    delivery = {
        "id": COUNT, "event": OPEN, "kind": choice(*events.KINDS), "sync": maybe(TEXT),
        "created": DATE, "due": DATE, "attempts": COUNT,
        "state": choice("pending", "delivered", "failed", "dropped"),
        "status": maybe(number(100, 599, "integer")), "error": maybe(ANY_TEXT), "finished": maybe(DATE),
    }  # fmt: skip
    rows = OPEN | {"additionalProperties": listing(OPEN)}
    state = {"format": {"const": 1}, "projectId": TEXT, "tables": rows}
    return {
        "Sync": record(_LISTED | _STATUS | {"userId": TEXT}, **_CONDITIONAL),
        "MovedSync": record(_STATUS | {"id": UUID}, **_CONDITIONAL),
        "State": record(state),
        "RestoredState": OPEN | {"required": ["format", "tables"], "properties": state},
        "Clock": record({"now": DATE, "seconds": {"type": "number"}, "frozen": YES}),
        "Call": record(call),
        "Delivery": record(delivery),
        "Event": _event(),
        "Webhook": {"oneOf": [record({"url": {"type": "null"}}), _webhook()]},
        "Tuple": record({"object": TEXT, "subject": TEXT, "role": ROLE, "origin": TEXT}),
    }


def _event() -> Schema:
    told = record(model=PIPELINE, recordId=TEXT, syncedAt=DATE, numRecords=COUNT, message=ANY_TEXT)
    return record(
        {"event": choice(*events.KINDS)},
        sync=TEXT,
        syncInstanceId=UUID,
        user=record({"id": TEXT}),
        credentialId=UUID,
        data=told,
        error=told,
    )


def _webhook() -> Schema:
    shown: Schema = {"url": TEXT, "headers": OPEN | {"additionalProperties": {"const": "***"}}}
    shown |= {"variants": listing(choice(*events.OPTIONS)), "seed": {"type": "integer"}}
    shown |= dict.fromkeys(("duplicate", "reorder", "drop"), number(0, 1))
    shown |= dict.fromkeys(("give_up_after", "disable_after"), number(1, 1e18, "integer"))
    state = {"verified": YES, "disabled": maybe(TEXT), "failures": COUNT, "pending": COUNT}
    return record(shown | state)
