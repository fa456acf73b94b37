"""The emulator's description of itself: OpenAPI 3.1 of the production paths and of its own.

Every status that an operation can answer with by itself is declared. What is not: faults answer what
they were told to (`POST /_emulator/faults`), and a request that is no HTTP gets a bare 400.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from paragon_async.emulator import openapi_admin
from paragon_async.emulator.openapi_schemas import (
    ANY_TEXT,
    ROLE,
    TEXT,
    YES,
    Schema,
    components,
    data,
    listing,
    number,
    record,
    ref,
)

_JSON = "application/json"
_ABOUT = (
    "A whole Managed Sync in one process. Paths under /api are those of the service and need a "
    "Paragon User Token; paths under /_emulator are the emulator's own and need none. Both answer "
    "on loopback only. Faults that were asked for answer whatever they were told to."
)
ERRORS = {
    400: "The request makes no sense; the message names what to mend",
    401: "The token is missing, expired, not yet valid, or of another project",
    403: "The call comes from a web page that is not on this machine, or the file is too large to export",
    404: "There is no such thing, or it is another user's",
    409: "Not in this state; the message names the one that is needed",
    413: "The body is too large",
    421: "The Host is not loopback",
    429: "The user's rate is used up; Retry-After tells for how long",
    503: "The file changed while it was read: ask again",
}


def describe() -> dict[str, Any]:
    """Return the whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Managed Sync, emulated",
            "version": version("paragon-async"),
            "description": _ABOUT,
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in ("syncs", "records", "permissions", "emulator")],
        "paths": {**_syncs(), **_records(), **_permissions(), **_own()},
        "components": {
            "schemas": components(),
            "responses": {str(status): _error(status) for status in ERRORS},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def operation(
    tag: str,
    summary: str,
    answer: Schema | None,
    *refusals: int,
    body: Schema | None = None,
    parameters: list[Schema] | None = None,
    status: int = 200,
    media: str = _JSON,
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
        described["requestBody"] = {"required": True, "content": {_JSON: {"schema": body}}}
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


def _error(status: int) -> Schema:
    described: Schema = {
        "description": ERRORS[status],
        "content": {_JSON: {"schema": ref("Error")}},
    }
    if status == 429:  # noqa: PLR2004  # the one with a header
        wait = {"schema": number(1, 1e9, "integer"), "required": True}
        described["headers"] = {"Retry-After": wait}
    return described


def _own() -> dict[str, Schema]:
    return openapi_admin.paths()


def _syncs() -> dict[str, Schema]:
    sync = [path("sync")]
    one = {
        "get": operation("syncs", "Get the status of a sync", ref("SyncStatus"), 404),
        "patch": operation(
            "syncs", "Update a sync", ref("UpdatedSync"), 404, body=ref("UpdateSync")
        ),
        "delete": operation("syncs", "Delete a sync", ref("DeletedSync"), 404),
    }
    several = {
        "get": operation(
            "syncs", "List syncs", data(ref("ListedSync")), parameters=[query("credentialId", ANY_TEXT)]
        ),
        "post": operation("syncs", "Enable a sync", ref("EnabledSync"), body=ref("EnableSync")),
    }  # fmt: skip
    disable = operation("syncs", "Disable a sync", ref("BriefSync"), 404)
    reenable = operation("syncs", "Reenable a sync", ref("BriefSync"), 404)
    return {
        "/api/syncs": several,
        "/api/syncs/{sync}": {"parameters": sync, **one},
        "/api/syncs/{sync}/disable": {"parameters": sync, "post": disable},
        "/api/syncs/{sync}/reenable": {"parameters": sync, "post": reenable},
    }


def _records() -> dict[str, Schema]:
    both = [path("sync"), path("record")]
    paging = [query("pageSize", number(1, 1000, "integer")), query("cursor", ANY_TEXT)]
    page = operation("records", "Pull records", ref("Page"), 404, parameters=paging)
    one = operation("records", "Get a record", record({"data": ref("Record")}), 404)
    return {
        "/api/syncs/{sync}/records": {"parameters": both[:1], "get": page},
        "/api/syncs/{sync}/records/{record}": {"parameters": both, "get": one},
        "/api/syncs/{sync}/records/{record}/content": {"parameters": both, "get": _content()},
    }


def _content() -> Schema:
    ask = [
        {"name": name, "in": "header", "required": False, "schema": ANY_TEXT}
        for name in ("Range", "If-Range")
    ]
    described = operation(
        "records", "Download content", {}, 404, 503, parameters=ask, media="*/*"
    )  # fmt: skip
    span = {"Content-Range": {"schema": TEXT, "required": True}}
    part = {"description": "A part of it", "headers": span, "content": {"*/*": {"schema": {}}}}
    none = {"description": "The range lies outside the content", "headers": span}
    described["responses"] |= {"206": part, "416": none}
    return described


def _permissions() -> dict[str, Schema]:
    batch = record({"checks": listing(ref("Check")) | {"maxItems": 50}})
    users, objects = record({"users": listing(TEXT)}), record({"objects": listing(TEXT)})
    asked: list[tuple[str, str, Schema, Schema]] = [
        ("check", "Check access", ref("Check"), record({"hasAccess": YES})),
        ("batch-check", "Check access of many", batch, ref("Verdicts")),
        ("list-users", "List users with access", ref("ListUsers"), users),
        ("list-objects", "List objects", ref("ListObjects"), objects),
        ("expand", "Expand a relation", ref("Expand"), ref("Tree")),
    ]
    described = {
        name: operation("permissions", summary, answer, 404, body=body)
        for name, summary, body, answer in asked
    }
    described["streamed-list-objects"] = operation(
        "permissions", "Stream objects", ANY_TEXT, 404, body=ref("ListObjects"),
        media="application/x-ndjson",
    )  # fmt: skip
    base, sync = "/api/permissions/{sync}", [path("sync")]
    return {f"{base}/{name}": {"parameters": sync, "post": one} for name, one in described.items()}
