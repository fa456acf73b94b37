"""Items of an account as the records of a sync. Source: api.md 4.

Policies where the service is silent: a tombstone keeps its ids and nothing else; Google's own
documents have no size, and a hash that is a type without a value, as in the service's samples.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from typing import Any

from paragon_async.emulator import catalogue, ids
from paragon_async.emulator.feed import Row

_VIEW = "https://drive.google.com"
_NATIVE = "application/vnd.google-apps."


def row_of(item: sqlite3.Row, sync: sqlite3.Row) -> Row:
    """Return the record that a sync makes of an item, a tombstone if the item is gone."""
    record = ids.record_id(sync["id"], item["external"])
    if item["gone"]:
        return tombstone(record, item["external"], item["parent"], item["kind"])
    body = {"id": record, "externalId": item["external"]}
    if item["body"] is not None:
        body |= json.loads(item["body"])
    else:
        body |= _file(item, sync["integration"])
    return Row(
        id=record,
        body=dump(body),
        external=item["external"],
        parent=item["parent"],
        kind=item["kind"],
        origin="item",
    )


def tombstone(record: str, external: str | None, parent: str | None, kind: str) -> Row:
    """Return what is left of a record."""
    return Row(
        id=record,
        body=dump({"id": record, "externalId": external, "deleted": True}),
        external=external,
        parent=parent,
        kind=kind,
        origin="item",
        deleted=True,
    )


def put_row(body: dict[str, Any]) -> Row:
    """Return a record that somebody wrote into a sync as it is."""
    external, parent = body.get("externalId"), body.get("parentFolderId")
    is_folder = body.get("mimeType") == catalogue.GOOGLE_FOLDER
    return Row(
        id=body["id"],
        body=dump(body),
        external=external if isinstance(external, str) else None,
        parent=parent if isinstance(parent, str) else None,
        kind="folder" if is_folder else "file",
        deleted=body.get("deleted") is True,
    )


def dump(body: dict[str, Any]) -> str:
    """Write JSON as it is kept and sent."""
    return json.dumps(body, separators=(",", ":"))


def _file(item: sqlite3.Row, integration: str) -> dict[str, Any]:
    is_folder = item["kind"] == "folder"
    mime = catalogue.folder_type(integration) if is_folder else item["mime"]
    body: dict[str, Any] = {"name": item["name"]}
    if mime:
        body["mimeType"] = mime
    body |= {
        "url": f"{_VIEW}/{'drive/folders' if is_folder else 'file/d'}/{item['external']}",
        "createdAt": _date(item["created"]),
        "updatedAt": _date(item["modified"]),
        "parentFolderId": item["parent"],
    }
    if not is_folder and item["mime"].startswith(_NATIVE):
        body["hash"] = {"type": "MD5"}
    elif not is_folder:
        body |= {"size": item["size"], "hash": {"type": "SHA256", "value": item["digest"]}}
    return body


def _date(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
