from __future__ import annotations

import pickle

import attrs
import pytest

from paragon_async import (
    Company,
    Contact,
    CustomObject,
    Deal,
    DecodeError,
    File,
    Record,
    Sync,
    SyncStatus,
    Ticket,
)
from paragon_async.convert import structure
from paragon_async.models.records import build_all

FULL = {
    File: {"name": "n", "mimeType": "a/b", "size": 1, "hash": {"type": "MD5"}, "parentFolderId": "p",
           "createdAt": "2025-01-01T00:00:00Z", "customFields": {"fullPath": "/n"}},
    Contact: {"firstName": "A", "emails": [{"email": "a@b.c"}], "tags": ["x"], "lastActivityAt": 1735689600},
    Company: {"name": "C", "annualRevenue": "1M", "numberOfEmployees": 5},
    Deal: {"amount": 5, "probability": 50, "closeDate": "2025-01-01", "statusType": "open"},
    Ticket: {"title": "T", "status": {"name": "open"}, "assignees": [{"id": "u"}], "originalRecord": {"k": 1}},
    CustomObject: {"objectType": "X__c", "customFields": {"a": None}},
}  # fmt: skip


@pytest.mark.parametrize("model", FULL)
def test_every_synced_object(model):
    """Each kind of record is built with its fields, keeps the unknown ones, and survives a pickle."""
    made = Record({"id": "1", "unknown": 1, **FULL[model]}).into(model)
    assert made.id == "1"
    assert made.extra == {"unknown": 1}
    assert pickle.loads(pickle.dumps(made)) == made
    snake = {attribute.name for attribute in attrs.fields(model)}
    assert len(snake) >= 8


@pytest.mark.parametrize("model", FULL)
def test_tombstones_of_every_kind(model):
    """A tombstone with nothing but its id is a record of any kind."""
    made = structure({"id": "1", "deleted": True}, model)
    assert (made.id, made.deleted) == ("1", True)


def test_values_refuse_assignment():
    """A value that was received cannot be changed by accident."""
    file = File(id="1")
    with pytest.raises(attrs.exceptions.FrozenAttributeError):
        file.name = "x"
    assert not hasattr(file, "__dict__")


def test_thin_records_of_a_page():
    """Thin records made by the page are what one makes oneself: equal, picklable, and unassignable."""
    items = [{"id": "1"}, {"id": "2", "deleted": True}]
    made = build_all(items, Record)
    assert made == [Record(item) for item in items]
    assert [record.data is item for record, item in zip(made, items, strict=True)] == [True, True]
    assert pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(attrs.exceptions.FrozenAttributeError):
        made[0].data = {}
    assert build_all([], Record) == []


def test_bad_dates_are_found_when_asked_for():
    """A thin record costs nothing for a date it is not asked for; asked, it names the place."""
    record = Record({"id": "1", "updatedAt": "soon"})
    assert record.id == "1"
    with pytest.raises(DecodeError, match=r"\$\.updatedAt"):
        _ = record.updated_at


def test_status_and_sync():
    """A sync's words are upper case; the date of its last run is found in either place."""
    assert Sync(id="1").status is None
    assert structure({"id": "1", "status": "idle"}, Sync).status == "IDLE"
    at = "2025-01-01T00:00:00Z"
    for value in ({"lastSyncedAt": at}, {"summary": {"last_synced_at": at}}):
        assert structure({"status": "IDLE", **value}, SyncStatus).completed_at.year == 2025
