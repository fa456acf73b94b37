"""Answers as a service in disorder gives them: pages and states that are valid JSON, and wrong."""

from __future__ import annotations

from typing import Any

KINDS = (
    "repeat_cursor",
    "cycle_cursor",
    "null_cursor",
    "empty",
    "duplicates",
    "unknown_fields",
    "unknown_values",
    "no_paging",
)


def changed(body: Any, kind: str, asked: str | None, seen: list[str]) -> Any:
    """Return a body changed in one way; *asked* is the cursor it was asked with, *seen* is kept."""
    if not isinstance(body, dict):
        return body
    if kind == "unknown_fields":
        return _grown(body)
    if kind == "unknown_values":
        return _odd(body)
    if not _is_page(body):
        return body
    data, paging = list(body["data"]), dict(body["paging"])
    if kind == "no_paging":
        return {"data": data}
    if kind == "empty":
        paging |= {"remainingRecords": paging["remainingRecords"] + len(data) or 1, "cursor": asked}
        data = []
    elif kind == "duplicates":
        data = [*data, *data[-2:]]
    else:
        paging["cursor"] = _cursor(kind, paging.get("cursor"), asked, seen)
        paging["remainingRecords"] = max(1, paging["remainingRecords"])
    return {**body, "data": data, "paging": paging}


def _is_page(body: dict[str, Any]) -> bool:
    """Tell pages from contents that happen to be JSON."""
    paging = body.get("paging")
    is_counted = isinstance(paging, dict) and isinstance(paging.get("remainingRecords"), int)
    return is_counted and isinstance(body.get("data"), list)


def _cursor(kind: str, true: str | None, asked: str | None, seen: list[str]) -> str | None:
    if kind == "null_cursor":
        return None
    if kind == "repeat_cursor":
        return asked or true
    if true and (asked is None or not seen):
        seen[:] = [true]
    # What follows the first cursor sends back to it: two places, and so on for ever.
    return true if not seen or asked in {None, seen[0]} else seen[0]


def _grown(body: dict[str, Any]) -> dict[str, Any]:
    """Add fields that nobody knows, at every level."""
    grown: dict[str, Any] = {**body, "newField": {"since": 2027}}
    for key in ("paging", "summary"):
        if isinstance(body.get(key), dict):
            grown[key] = {**body[key], "newField": [1]}
    if isinstance(body.get("data"), list):
        grown["data"] = [
            {**one, "newField": None} if isinstance(one, dict) else one for one in body["data"]
        ]
    elif isinstance(body.get("data"), dict):
        grown["data"] = {**body["data"], "newField": None}
    return grown


def _odd(body: dict[str, Any]) -> dict[str, Any]:
    """Put values that nobody knows where a choice of words is documented."""
    odd = dict(body)
    if isinstance(body.get("status"), str):
        odd["status"] = "HIBERNATING"
    if isinstance(body.get("data"), list):
        odd["data"] = [_odd_record(one) for one in body["data"]]
    elif "data" in body:
        odd["data"] = _odd_record(body["data"])
    return odd


def _odd_record(record: Any) -> Any:
    if not isinstance(record, dict):
        return record
    odd = {"status": "HIBERNATING", "type": "android", "priority": "cosmic", "statusType": "maybe"}
    words = {key: value for key, value in odd.items() if isinstance(record.get(key), str)}
    if isinstance(record.get("hash"), dict):
        words["hash"] = {"type": "XXH9"}  # type: ignore[assignment]  # a hash is an object
    return {**record, **words}
