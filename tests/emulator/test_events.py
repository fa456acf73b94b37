"""Events: every payload in its documented form, and the forms that were only observed."""

from __future__ import annotations

import json

import pytest

from paragon_async.cli import webhooks as command
from paragon_async.emulator import events

SYNC = {
    "id": "s1",
    "user": "u1",
    "integration": "googledrive",
    "pipeline": "files",
    "credential": None,
}
ENVELOPE = {"sync": "googledrive", "syncInstanceId": "s1", "user": {"id": "u1"}}
DATE = "2025-01-02T03:04:05.678Z"
COMPLETE = events.sync_complete(SYNC, DATE, 7)


@pytest.mark.parametrize(
    ("event", "kind", "rest"),
    [
        (COMPLETE, "sync_complete", {"data": {"model": "files", "syncedAt": DATE, "numRecords": 7}}),
        (events.sync_errored(SYNC, "gone"), "sync_errored", {"error": {"message": "gone"}}),
        (events.record_created(SYNC, "r"), "record_created", {"data": {"recordId": "r", "model": "files"}}),
        (events.record_updated(SYNC, "r"), "record_updated", {"data": {"recordId": "r", "model": "files"}}),
        (events.record_deleted(SYNC, "r"), "record_deleted", {"data": {"recordId": "r", "model": "files"}}),
        (events.record_errored(SYNC, "r", "no"), "record_errored",
         {"error": {"message": "no", "recordId": "r", "model": "files"}}),
    ],
)  # fmt: skip
def test_the_documented_forms(event, kind, rest):
    """Each event is the envelope, its name and what section 6.5 lists, and nothing else."""
    assert event == {"event": kind, **ENVELOPE, **rest}


def test_the_credential_appears_only_when_there_is_one():
    """A sync of a named credential says so in every event."""
    event = events.record_updated({**SYNC, "credential": "c9"}, "r")
    assert event["credentialId"] == "c9"
    assert "credentialId" not in events.record_updated(SYNC, "r")


def test_the_probe_names_nothing():
    """The verification probe has neither sync nor user."""
    assert events.verification() == {"event": "webhook_verification"}


def test_no_variant_is_on_by_itself():
    """Without options an event is told as it is documented."""
    assert events.varied(COMPLETE, ()) == COMPLETE


def test_observed_variants_can_be_asked_for():
    """Older names, keys and models are made of the documented form, which is left untouched."""
    before = json.dumps(COMPLETE)
    old = events.varied(COMPLETE, list(events.OPTIONS))
    assert old == {
        "event": "sync_completed",
        "sync": "googledrive",
        "user": {"id": "u1"},
        "data": {"model": "File", "synced_at": DATE, "num_records": 7},
    }
    assert json.dumps(COMPLETE) == before
    error = events.varied(events.record_errored(SYNC, "r", "no"), list(events.OPTIONS))
    assert error["error"]["model"] == "File"
    assert events.varied(events.verification(), list(events.OPTIONS)) == events.verification()


def test_the_command_knows_every_event():
    """The command's list of events is the emulator's."""
    assert command.EVENTS == events.KINDS
