"""The quirks of api.md section 9, each with what the client makes of it.

Numbers 14 to 17 are of webhooks: their tests come with the webhooks. Here it is only proved that the
API's own words are as free.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from paragon_async import (
    Check,
    CustomObject,
    DecodeError,
    File,
    IncompleteListError,
    NotFoundError,
    Paragon,
    Record,
    ServerError,
    SigningKey,
    Sync,
    SyncStatus,
    Ticket,
)
from paragon_async.api import endpoints, shapes
from paragon_async.api.subject import of
from paragon_async.convert import structure
from tests.conftest import PROJECT
from tests.fakes import FakeResponse, answer, permissions, records, syncs

S = "3f0c1d2e-0000-5000-8000-000000000001"
PAGE = {"data": [{"id": "1"}], "paging": {"remainingRecords": 0, "cursor": "c", "totalRecords": 1}}


async def test_01_page_size_is_sent_as_documented():
    """`pageSize` is sent, and a page of any other size is taken."""
    made, session = records(answer({"data": [{"id": str(n)} for n in range(7)], "paging": {}}))
    assert len([r async for r in made.pull(S, page_size=5)]) == 7
    assert session.requests[0].query == {"pageSize": "5"}


async def test_02_a_refused_page_size_is_lowered():
    """With an unknown maximum, a large first page that is refused is asked for again with 100."""
    for status in (400, 422):
        made, session = records(answer({"message": "too large"}, status), answer(PAGE))
        assert [r.id async for r in made.pull(S)] == ["1"]
        assert [r.query["pageSize"] for r in session.requests] == ["1000", "100"]


async def test_03_data_is_an_array():
    """The documentation's placeholder string is not taken for records."""
    made, _ = records(answer({"data": "[/* … */]", "paging": {}}))
    with pytest.raises(DecodeError, match=r"\$\.data: an array is wanted, this is a string"):
        _ = [r async for r in made.pull(S)]


async def test_04_single_record_enveloped_or_bare():
    """One record comes in an envelope or bare."""
    for value in ({"data": {"id": "1", "name": "n"}}, {"id": "1", "name": "n"}):
        made, _ = records(answer(value))
        assert (await made.get(S, "1", File)).name == "n"


async def test_05_snake_case_everywhere():
    """Paging, summaries and record fields are read in the older spelling too."""
    old = {"data": [{"id": "1", "external_id": "e", "mime_type": "a/b", "parent_id": "p"}],
           "paging": {"total_records": 3, "remaining_records": 0, "cursor": "c"}}  # fmt: skip
    made, _ = records(answer(old))
    pages = [page async for page in made.pages(S, File)]
    assert (pages[0].total, pages[0].remaining) == (3, 0)
    assert (pages[0].records[0].external_id, pages[0].records[0].mime_type) == ("e", "a/b")
    status = structure({"status": "idle", "summary": {"synced_records_count": 2}}, SyncStatus)
    assert status.summary.synced_records_count == 2
    assert Record({"id": "1", "external_id": "e"}).external_id == "e"


@pytest.mark.parametrize("seen", [123, "2025-07-07T19:00:00Z", None])
def test_06_last_seen_of_any_kind(seen):
    """`lastSeen` may be number, date or null, and counts may be missing."""
    found = shapes.envelope({"data": [], "paging": {"lastSeen": seen, "cursor": None}})
    assert (found.remaining, found.total) == (None, None)


async def test_07_cursor_null_absent_or_repeated_at_the_end():
    """At the end the cursor may be anything; a saved one is never lost, and it is URL-encoded."""
    for paging in ({"cursor": None}, {}, {"cursor": ""}, {"cursor": "a+/="}):
        made, session = records(answer({"data": [], "paging": paging | {"remainingRecords": 0}}))
        pages = [page async for page in made.pages(S, after="a+/=")]
        assert pages[-1].cursor == "a+/="
        assert session.requests[0].query["cursor"] == "a+/="


async def test_08_tombstones_and_repeats():
    """A tombstone has little but an id; an id that comes twice is given out twice, in order."""
    data = [{"id": "1"}, {"id": "1", "deleted": True}, {"id": "2", "deleted": None}]
    made, _ = records(answer({"data": data, "paging": {}}))
    assert [(r.id, r.deleted) async for r in made.pull(S)] == [
        ("1", False),
        ("1", True),
        ("2", False),
    ]
    made, _ = records(answer({"data": data, "paging": {}}))
    assert [f.deleted async for f in made.pull(S, File)] == [False, True, False]


@pytest.mark.parametrize("status", ["idle", "paused", "RATE_LIMITED", "BACKFILLING"])
def test_09_statuses_are_open(status):
    """A status of any time and in any case is a word in upper case."""
    assert structure({"status": status}, SyncStatus).status == status.upper()


def test_10_status_extras_are_optional():
    """The state has no id, and carries its extras only now and then."""
    status = structure(
        {"status": "ERRORED", "reason": "gone", "rateLimitBackoffMs": 5, "new": 1}, SyncStatus
    )
    assert (status.id, status.reason, status.rate_limit_backoff_ms) == (None, "gone", 5)
    assert status.extra == {"new": 1}


@pytest.mark.parametrize("at", ["2025-01-01T00:00:00.000Z", 1735689600, 1735689600000])
def test_11_timestamps(at):
    """Dates come as ISO, as seconds and as milliseconds, thin and typed."""
    noon = datetime(2025, 1, 1, tzinfo=UTC)
    record = Record({"id": "1", "updatedAt": at, "created_at": at})
    assert record.updated_at == record.created_at == noon
    assert record.into(File).updated_at == noon
    assert Record({"id": "1"}).updated_at is None


def test_12_folders():
    """A folder has Drive's special type, or neither type nor size."""
    assert File(id="1", mime_type="application/vnd.google-apps.folder").is_folder
    assert File(id="1", name="f").is_folder
    assert not File(id="1", size=5).is_folder
    assert of(Record({"id": "1", "name": "f", "mimeType": ""})).is_folder
    assert not of(Record({"id": "1", "title": "a ticket"})).is_folder


def test_13_exported_documents_have_no_evidence():
    """The size and hash of a Google document say nothing of its export."""
    document = File(id="1", name="d", mime_type="application/vnd.google-apps.document", size=9)
    assert of(document).evidence.size is None
    assert of(File(id="1", name="d", mime_type="text/plain", size=9)).evidence.size == 9


def test_14_words_are_free():
    """Names that vary in prose are plain strings: no field of ours refuses one."""
    assert (
        structure({"id": "1", "priority": "whatever", "type": "x"}, Ticket).priority == "whatever"
    )


@pytest.mark.parametrize("shape", [{"message": "m"}, {"error": {"message": "m"}}, {"error": "m"}])
async def test_26_error_words_in_any_place(shape):
    """The words of an error are found under `message` or `error`, with ids beside them or not."""
    made, _ = syncs(answer(shape, 404))
    with pytest.raises(NotFoundError, match="m"):
        await made.status(S)


async def test_26_bodies_that_are_not_json():
    """An error of a load balancer is HTML, and is still an error with a status."""
    made, _ = syncs(FakeResponse(501, b"<html><h1>Not here</h1>"))
    with pytest.raises(ServerError, match="Not here"):
        await made.list()


async def test_18_user_prefix_and_echoes():
    """`user:` is sent where it is wanted and nowhere else; `file:` and `relation` in echoes match."""
    echo = {"object": "file:o1", "user": "user:A@b.c", "relation": "can_read"}
    made, session = permissions(answer({"result": [{"allowed": True, "request": echo}]}))
    verdicts = await made.batch_check(S, [Check("o1", "a@b.c")])
    assert [v.allowed for v in verdicts] == [True]
    assert session.requests[0].body["checks"][0]["user"] == "user:a@b.c"
    made, session = permissions(answer({"hasAccess": True}))
    assert await made.check(S, object="o1", user="user:a@b.c")
    assert session.requests[0].body == {"object": "o1", "user": "a@b.c", "role": "can_read"}
    assert endpoints.expand(S, "o", "can_read").body == {"object": "o", "relation": "can_read"}


async def test_19_lists_that_may_be_cut():
    """A list of just the cap may be cut: that is an error which holds what came."""
    users = [f"u{n}@b.c" for n in range(1000)]
    made, _ = permissions(answer({"users": users}))
    with pytest.raises(IncompleteListError) as caught:
        await made.list_users(S, object="o")
    assert caught.value.partial == users
    made, _ = permissions(answer({"users": users[:999]}))
    assert await made.list_users(S, object="o") == users[:999]


@pytest.mark.parametrize("line", [b'{"object":"o%d"}', b'{"result":{"object":"file:o%d"}}'])
async def test_20_streams_in_both_forms(line):
    """A stream's lines are Paragon's or OpenFGA's, cut into chunks anywhere."""
    body = b"\n".join(line % n for n in range(1500)) + b"\n\n"
    chunks = [body[n : n + 7] for n in range(0, len(body), 7)]
    made, _ = permissions(FakeResponse(200, chunks=chunks))
    assert await made.list_objects(S, user="a@b.c") == [f"o{n}" for n in range(1500)]


async def test_21_audience_in_both_spellings(emulator, signing_key):
    """The audience can be chosen, and the emulator takes both that are known."""
    for audience in (None, f"dashboard.useparagon.com/{PROJECT}"):
        tokens = SigningKey(PROJECT, signing_key, audience=audience)
        async with Paragon(tokens=tokens, base_url=emulator.url) as paragon:
            assert await paragon.user("u").syncs.list() == []


@pytest.mark.parametrize(
    "given", ["https://ms-sync.example.com", "https://ms-sync.example.com/api/"]
)
def test_22_base_url_with_and_without_api(given):
    """The base URL may end in /api or not, on any host."""
    assert Paragon(token="t", base_url=given).base_url == "https://ms-sync.example.com"


async def test_23_bodies_of_acknowledgements():
    """Enabling answers 200 or 201; what the other verbs answer does not matter."""
    made, _ = syncs(answer({"id": S, "status": "INITIALIZING"}, 201))
    assert (await made.enable("googledrive", "files")).id == S
    for reply in (answer(None, 204), answer({"id": S}), answer("done", 202)):
        made, _ = syncs(reply)
        assert await made.disable(S) is None
        assert await made.reenable(S) is None
        assert await made.delete(S) is None
        assert await made.update(S, incremental_frequency="1h") is None


async def test_24_credentials():
    """A credential is sent where it is given, and nowhere when it is not."""
    made, session = syncs(answer({"id": S}))
    await made.enable("box", "files", credential_id="cred")
    await made.enable("box", "files")
    assert session.requests[0].body["credentialId"] == "cred"
    assert "credentialId" not in session.requests[1].body
    assert endpoints.list_syncs("cred").query == {"credentialId": "cred"}


async def test_25_slugs_are_free():
    """Integrations and pipelines are strings as the service spells them."""
    made, session = syncs(answer({"id": S}))
    await made.enable("microsoftDynamics", "some_new_pipeline")
    assert session.requests[0].body["integration"] == "microsoftDynamics"


def test_27_notion_names():
    """Notion's names for name and parent are read as the schema's."""
    file = structure({"id": "1", "fileName": "n", "parentId": "p"}, File)
    assert (file.name, file.parent_folder_id) == ("n", "p")


def test_28_shapes_of_the_samples():
    """The official sample's own fields do no harm: they are kept as extras."""
    sync = structure({"id": "1", "status": "PENDING", "createdAt": "2025-01-01T00:00:00Z"}, Sync)
    assert (sync.status, sync.extra) == ("PENDING", {"createdAt": "2025-01-01T00:00:00Z"})


async def test_29_inventions_are_not_believed():
    """`allowed` instead of `hasAccess` does not open a door."""
    made, _ = permissions(answer({"allowed": True}))
    with pytest.raises(DecodeError):
        await made.check(S, object="o", user="a@b.c")


async def test_30_a_sync_made_again_refuses_its_old_cursors(user, sync_id):
    """A deleted and recreated sync keeps its id; its old cursor is an error, not a silent end."""
    cursor = [page async for page in user.records.pages(sync_id)][-1].cursor
    await user.syncs.delete(sync_id)
    again = await user.syncs.enable("googledrive", "files")
    assert again.id == sync_id
    await user.syncs.wait_until_idle(sync_id, timeout=10)
    with pytest.raises(Exception, match="cursor"):
        _ = [r async for r in user.records.pull(sync_id, after=cursor)]


def test_custom_fields_and_lists():
    """A custom object keeps all of its source's fields."""
    made = structure({"id": "1", "objectType": "P__c", "customFields": {"a": [1]}}, CustomObject)
    assert (made.object_type, made.custom_fields) == ("P__c", {"a": [1]})
