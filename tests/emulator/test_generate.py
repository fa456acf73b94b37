"""Records out of nothing: the same every time, shaped as documented, found again by their ids."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import datetime

import pytest

from paragon_async.emulator import ids
from paragon_async.emulator.errors import EmulatorError
from paragon_async.emulator.generate import PIPELINES, Spec, parse_spec, rows, virtual_of
from paragon_async.emulator.tickets import ticket_zip

SYNC = "5b0e2a52-6f5c-5d6e-8b8a-3f6f3d1c2b11"
NEEDED = {
    "files": "name mimeType size url createdAt updatedAt hash parentFolderId",
    "contacts": "firstName lastName fullName companyName jobTitle emails phoneNumbers addresses socialProfiles type "
    "status ownerId createdAt updatedAt lastActivityAt lifecycleStage leadSource tags notes website customFields",
    "companies": "name description website addresses phoneNumbers annualRevenue numberOfEmployees parentCompanyId "
    "timezone type industry ownerId createdAt updatedAt customFields",
    "deals": "name description amount statusType status accountId ownerId closeDate nextStep probability createdAt "
    "updatedAt customFields",
    "tickets": "title description status priority type assignees createdBy tags dueAt resolvedAt externalUrl project "
    "originalRecord createdAt updatedAt",
    "custom_objects": "objectType createdAt updatedAt customFields",
}
DATES = ("createdAt", "updatedAt", "lastActivityAt", "dueAt", "resolvedAt")


def bodies(text, seed=7):
    return [json.loads(row.body) for row in rows(parse_spec(text, seed), SYNC)]


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_records_are_shaped_as_documented(pipeline):
    """Each record has all fields of its pipeline, dates in UTC, and more than one look."""
    made = bodies(f"{pipeline}:500")
    for body in made:
        assert set(body) == {"id", "externalId", *NEEDED[pipeline].split()}
        for key in DATES:
            if body.get(key):
                assert body[key].endswith("Z") and datetime.fromisoformat(body[key]).year >= 2019
        assert body["createdAt"] < body["updatedAt"]
    assert len({json.dumps(body) for body in made}) == 500


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_rows_are_what_the_feed_wants(pipeline):
    """A row's ids are those of any other record, in the row and in its body."""
    for row in rows(Spec(pipeline, 300, None, 7), SYNC):
        body = json.loads(row.body)
        assert row.id == body["id"] == ids.record_id(SYNC, row.external)
        assert uuid.UUID(row.id).version == 5
        assert (row.external, row.origin) == (body["externalId"], "generated")
        assert (row.kind, row.parent) == (
            ("file", "root") if pipeline == "files" else ("record", None)
        )


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_records_depend_on_seed_and_number_alone(pipeline):
    """The same seed gives the same records, from any start and in any count; another seed others."""
    made = list(rows(Spec(pipeline, 40, None, 7), SYNC))
    assert made == list(rows(Spec(pipeline, 40, None, 7), SYNC))
    assert made[30:] == list(rows(Spec(pipeline, 40, None, 7), SYNC, 30))
    assert made[:5] == list(rows(Spec(pipeline, 5, None, 7), SYNC))
    other = [json.loads(row.body) for row in rows(Spec(pipeline, 40, None, 8), SYNC)]
    assert all(json.loads(a.body) != b for a, b in zip(made, other, strict=True))
    assert made[0].external == f"gen-{pipeline}-7-000001"


def test_files_are_found_again():
    """A generated file's size and hash are those of the bytes behind its id."""
    specs = [parse_spec("contacts:5", 7), parse_spec("files:200", 7)]
    for body in bodies("files:200"):
        file = virtual_of(body["externalId"], specs)
        assert file.size == body["size"]
        digest = hashlib.sha256(file.read(0, file.size)).hexdigest()
        assert body["hash"] == {"type": "SHA256", "value": digest}
    for external in ("gen-files-7-000201", "gen-files-7-000000", "gen-files-8-000001", "gen-contacts-7-000001",
                     "gen-files-7-0000001", "gen-files-07-000001", "other"):  # fmt: skip
        assert virtual_of(external, specs) is None


def test_large_files_have_no_hash_value():
    """A file over a MiB has its size, and a hash that is a type without a value."""
    (body,) = bodies("files:1x32MiB")
    assert (body["size"], body["hash"]) == (32 << 20, {"type": "SHA256"})
    assert virtual_of(body["externalId"], [parse_spec("files:1x32MiB", 7)]).size == 32 << 20


def test_specs_of_other_sizes_stand_side_by_side():
    """Two specs of files with different sizes share no id, and each id leads to its own bytes."""
    specs = [parse_spec("files:3x1KiB", 7), parse_spec("files:1x2KiB", 7), parse_spec("files:2", 7)]
    assert [virtual_of(spec.external(1), specs).size for spec in specs[:2]] == [1024, 2048]
    assert virtual_of(specs[2].external(2), specs) is not None
    assert virtual_of(specs[1].external(2), specs) is None
    assert len({spec.external(1) for spec in specs}) == 3


def test_generated_tickets_can_be_downloaded():
    """Status, users and comments are objects, and the ZIP is made of them."""
    made = bodies("tickets:50")
    assert all(ticket_zip(body) for body in made)
    assert {type(body["status"]) for body in made} == {dict}
    assert {body["priority"] for body in made} == {"low", "normal", "high", "urgent"}
    assert any(body["originalRecord"]["comments"] for body in made)
    assert all(body["assignees"][0]["email"] for body in made)


def test_custom_objects_take_the_name_of_the_sync():
    """The type of custom objects can be any text."""
    (row,) = rows(Spec("custom_objects", 1), SYNC, object_type='My "Type"')
    assert json.loads(row.body)["objectType"] == 'My "Type"'


@pytest.mark.parametrize(
    "text",
    ["", "contacts", "contacts:", "contacts:x", "contacts:-1", "people:5", "contacts:5x3MiB", "files:5x", "files:5x3XB",
     "contacts:999999999999", "contacts:" + "9" * 5000],
)  # fmt: skip
def test_what_is_no_spec(text):
    """An error names the form."""
    with pytest.raises(EmulatorError, match=r"contacts|32MiB|the most|write it"):
        parse_spec(text, 7)


def test_specs():
    """A spec is a pipeline, a count and, for files, a size."""
    assert parse_spec("contacts:100000", 7) == Spec("contacts", 100_000, None, 7)
    assert parse_spec("files:1000x32MiB") == Spec("files", 1000, 32 << 20, 0)
    assert list(rows(parse_spec("deals:0"), SYNC)) == []
