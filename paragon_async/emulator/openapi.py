"""The emulator's description of itself: OpenAPI 3.1 of the production paths and of its own.

Every status that an operation can answer with by itself is declared. What is not: faults answer what
they were told to (`POST /_emulator/faults`), and a request that is no HTTP gets a bare 400.
"""

from __future__ import annotations

import copy
from importlib.metadata import version
from typing import Any

from paragon_async.emulator import openapi_admin
from paragon_async.emulator.openapi_schemas import (
    ANY_TEXT,
    ERRORS,
    JSON,
    TEXT,
    YES,
    Schema,
    components,
    data,
    listing,
    number,
    operation,
    path,
    query,
    record,
    ref,
)

_ABOUT = (
    "A whole Managed Sync in one process. Paths under /api are those of the service and need a "
    "Paragon User Token; paths under /_emulator are the emulator's own and need none. Both answer "
    "on loopback only. Faults that were asked for answer whatever they were told to."
)


def describe() -> dict[str, Any]:
    """Return the whole description, which is the caller's to change."""
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Managed Sync, emulated",
            "version": version("paragon-async"),
            "description": _ABOUT,
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in ("syncs", "records", "permissions", "emulator")],
        "paths": {**_syncs(), **_records(), **_permissions(), **openapi_admin.paths()},
        "components": {
            "schemas": components(),
            "responses": {str(status): _error(status) for status in ERRORS},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }
    return copy.deepcopy(described)


def _error(status: int) -> Schema:
    described: Schema = {
        "description": ERRORS[status],
        "content": {JSON: {"schema": ref("Error")}},
    }
    if status == 429:  # noqa: PLR2004  # the one with a header
        wait = {"schema": number(1, 1e9, "integer"), "required": True}
        described["headers"] = {"Retry-After": wait}
    return described


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
    described = operation("records", "Download content", None, 404, 503, parameters=ask)
    span = {"Content-Range": {"schema": TEXT, "required": True}}
    part = {"description": "A part of it", "headers": span, "content": {"*/*": {}}}
    whole = {"description": "All of it", "content": {"*/*": {}}}
    none = {"description": "The range lies outside the content", "headers": span}
    described["responses"] |= {"200": whole, "206": part, "416": none}
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
