"""The graph of permissions at its own seam: tables in memory, no server."""

from __future__ import annotations

import pytest

from paragon_async.emulator import feed, graph
from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.expand import expand
from paragon_async.emulator.feed import Feed, Row
from paragon_async.emulator.graph import OWNER, Graph
from paragon_async.emulator.store import Store

ITEMS = """CREATE TABLE IF NOT EXISTS items (
    account TEXT, pipeline TEXT, external TEXT, parent TEXT, kind TEXT, name TEXT, gone INTEGER,
    PRIMARY KEY (account, pipeline, external))"""
SYNC = {"id": "s", "user": "u", "account": "", "integration": "googledrive", "pipeline": "files"}
FOLDER = ("folder", None)


def made(record, external, parent=None, kind="file", *, deleted=False):
    return Row(id=record, body="{}", external=external, parent=parent, kind=kind, deleted=deleted)


@pytest.fixture
def store():
    store = Store(None, [feed.SCHEMA, graph.SCHEMA, ITEMS])
    yield store
    store.close()


@pytest.fixture
def asked(store):
    return Graph(store)


def put(store, tree, sync="s"):
    """Store records: {external: (kind, parent)}; the id is the external one with `id-` before."""
    rows = [made(f"id-{e}", e, parent, kind) for e, (kind, parent) in tree.items()]
    Feed(store).put(sync, rows, 1.0)


def scan(store, tree, account="", *, gone=False):
    rows = [(account, "files", e, parent, kind, e, gone) for e, (kind, parent) in tree.items()]
    store.db.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def agree(asked, user, role="can_read", sync=SYNC):
    """Return what a user may, after making sure that check, list-users and list-objects agree."""
    listed = [*asked.objects(sync, user, role, "file"), *asked.objects(sync, user, role, "folder")]
    assert len(listed) == len(set(listed))
    ids = [
        row[0]
        for row in asked._store.db.execute("SELECT id FROM records WHERE sync = ?", (sync["id"],))
    ]
    assert {one for one in ids if asked.allowed(sync, one, user, role)} == set(listed)
    named = {one for one in ids if user in asked.users(sync, one, role)}
    assert "@" not in user or named <= set(listed)
    return set(listed)


def test_a_role_implies_the_weaker_ones_and_is_inherited_downwards(store, asked):
    """What is granted on a folder holds below it, with every weaker role and no stronger one."""
    put(
        store,
        {"top": FOLDER, "sub": ("folder", "top"), "in": ("file", "sub"), "out": ("file", None)},
    )
    asked.grant("", "top", "Ann@Example.com", "can_write")
    assert agree(asked, "ann@example.com") == {"id-top", "id-sub", "id-in"}
    assert agree(asked, "ann@example.com", "can_write") == {"id-top", "id-sub", "id-in"}
    assert agree(asked, "ann@example.com", "is_owner") == set()
    assert asked.allowed(SYNC, "file:id-in", "user:ANN@example.com", "can_read")
    assert list(asked.objects(SYNC, "user:ANN@example.com", "can_read", "file")) == ["id-in"]
    assert asked.revoke("", "top", "ann@example.com", "can_write")
    assert not asked.revoke("", "top", "ann@example.com", "can_write")
    assert agree(asked, "ann@example.com") == set()


def test_groups_nest_and_their_circles_end(store, asked):
    """A member of a group in a group in a circle of groups has what any of them has."""
    put(store, {"f": ("file", None)})
    for group, member in [("a", "group:b"), ("b", "group:c"), ("c", "group:a"), ("c", "x@y.z")]:
        asked.add_member("", group, member)
    asked.grant("", "f", "group:a", "can_read")
    assert agree(asked, "x@y.z") == {"id-f"}
    assert asked.users(SYNC, "id-f", "can_read") == [OWNER, "x@y.z"]
    assert asked.remove_member("", "c", "x@y.z")
    assert agree(asked, "x@y.z") == set()


def test_circles_of_folders_end(store, asked):
    """Folders within each other inherit from each other and from the root, and nothing hangs."""
    put(
        store,
        {"a": ("folder", "b"), "b": ("folder", "a"), "f": ("file", "a"), "me": ("folder", "me")},
    )
    asked.grant("", "b", "x@y.z", "can_read")
    assert agree(asked, "x@y.z") == {"id-a", "id-b", "id-f"}
    assert agree(asked, OWNER) == {"id-a", "id-b", "id-f", "id-me"}


def test_domains_and_anyone(store, asked):
    """A domain is everybody with an address there, and nobody else; anyone is anyone."""
    put(store, {"d": ("file", None), "p": ("file", None)})
    asked.grant("", "d", "domain:Example.com", "can_read")
    asked.grant("", "p", "anyone", "can_read")
    assert agree(asked, "new@EXAMPLE.com") == {"id-d", "id-p"}
    assert agree(asked, "new@sub.example.com") == {"id-p"}
    for nearly in ("example.com", "domain:example.com", "anyone", "group:x"):
        assert agree(asked, nearly) == {"id-p"}
    assert asked.users(SYNC, "id-d", "can_read") == ["domain:example.com", OWNER]
    assert asked.users(SYNC, "id-p", "can_read") == ["anyone", OWNER]


def test_unknown_parents_hang_under_the_root(store, asked):
    """A record without a parent, or with one that nobody knows, has what was given on the root."""
    put(store, {"none": ("file", None), "lost": ("file", "void"), "root": ("file", "root")})
    asked.grant("", "root", "x@y.z", "can_read")
    asked.grant("", "void", "v@y.z", "can_read")
    assert agree(asked, "x@y.z") == {"id-none", "id-lost", "id-root"}
    assert agree(asked, "v@y.z") == set()


def test_folders_that_the_sync_does_not_hold_are_known_from_the_account(store, asked):
    """A narrowed sync inherits from the folders above it, also where records lie above those again."""
    scan(
        store,
        {"high": FOLDER, "mid": ("folder", "high"), "low": ("folder", "mid"), "aside": FOLDER},
    )
    put(store, {"low": ("folder", "mid"), "f": ("file", "low"), "g": ("file", "aside")})
    asked.grant("", "high", "x@y.z", "can_read")
    asked.grant("", "aside", "a@y.z", "can_read")
    assert agree(asked, "x@y.z") == {"id-low", "id-f"}
    assert agree(asked, "a@y.z") == {"id-g"}
    put(store, {"high": ("folder", "upper"), "upper": FOLDER})
    asked.grant("", "upper", "u@y.z", "can_read")
    assert agree(asked, "u@y.z") == {"id-high", "id-upper", "id-low", "id-f"}
    scan(store, {"mid": ("folder", "high")}, gone=True)
    assert agree(asked, "x@y.z") == {"id-high"}


def test_the_record_of_the_sync_beats_the_account(store, asked):
    """A file that moved in the account stays where the sync last saw it, until its next run."""
    scan(store, {"old": FOLDER, "new": FOLDER, "f": ("file", "new")})
    put(store, {"old": FOLDER, "new": FOLDER, "f": ("file", "old")})
    asked.grant("", "new", "n@y.z", "can_read")
    asked.grant("", "old", "o@y.z", "can_read")
    assert agree(asked, "n@y.z") == {"id-new"}
    assert agree(asked, "o@y.z") == {"id-old", "id-f"}


def test_unknown_and_deleted_objects_are_nobodys(store, asked):
    """Neither the owner nor a grant reaches what is not there, or not there any more."""
    put(store, {"f": ("file", None), "d": FOLDER, "in": ("file", "d")})
    asked.grant("", "f", "x@y.z", "can_read")
    asked.grant("", "d", "x@y.z", "can_read")
    Feed(store).put("s", [made("id-f", "f", deleted=True), made("id-d", "d", deleted=True)], 2.0)
    assert agree(asked, "x@y.z") == set()
    assert agree(asked, OWNER) == {"id-in"}
    for gone in ("id-f", "nowhere", "root"):
        assert not asked.allowed(SYNC, gone, OWNER, "can_read")
        assert asked.users(SYNC, gone, "can_read") == []


def test_records_without_the_integrations_id_inherit_all_the_same(store, asked):
    """A record that somebody put by hand is found through its parent."""
    put(store, {"d": FOLDER})
    Feed(store).put("s", [made("hand", None, "d", "file")], 2.0)
    asked.grant("", "d", "x@y.z", "can_read")
    assert agree(asked, "x@y.z") == {"id-d", "hand"}


def test_accounts_do_not_share_grants(store, asked):
    """What is granted in one account says nothing about the other, nor do its groups."""
    put(store, {"f": ("file", None)})
    put(store, {"f": ("file", None)}, sync="t")
    other = SYNC | {"id": "t", "account": "bob"}
    asked.grant("bob", "f", "group:g", "can_read")
    asked.add_member("bob", "g", "x@y.z")
    asked.add_member("", "g", "z@y.z")
    assert agree(asked, "x@y.z") == set()
    assert agree(asked, "x@y.z", sync=other) == {"id-f"}
    assert agree(asked, "z@y.z", sync=other) == set()


def test_the_mount_may_name_another_owner(store, asked):
    """The default owner gives way to an owner from the top folder's file, and to no other grant."""
    put(store, {"f": ("file", None)})
    asked.grant("", "root", "boss@y.z", "is_owner", "admin")
    assert asked.users(SYNC, "id-f", "is_owner") == ["boss@y.z", OWNER]
    assert [one["origin"] for one in asked.tuples("")] == ["default", "admin"]
    asked.replace_origin("", "mount:", [("root", "me@y.z", "is_owner")], [("g", "a@y.z")])
    assert asked.users(SYNC, "id-f", "is_owner") == ["boss@y.z", "me@y.z"]
    assert agree(asked, OWNER) == set()
    assert asked.origins("") == ["admin", "mount:"]
    assert asked.members("") == [("g", "user:a@y.z", "mount:")]
    asked.replace_origin("", "mount:", [], [])
    assert agree(asked, OWNER, "is_owner") == {"id-f"}
    assert asked.members("") == []


def test_one_origin_does_not_take_back_what_another_granted(store, asked):
    """A grant holds as long as one of those who said it says it."""
    put(store, {"f": ("file", None)})
    asked.replace_origin("", "mount:", [("f", "x@y.z", "can_read")], [])
    asked.grant("", "f", "x@y.z", "can_read", "admin")
    asked.replace_origin("", "mount:", [], [])
    assert agree(asked, "x@y.z") == {"id-f"}


def test_a_replacement_that_fails_changes_nothing(asked):
    """Half of a file's grants are never seen."""
    asked.replace_origin("", "mount:a", [("f", "x@y.z", "can_read")], [])
    with pytest.raises(ValueError, match="no role"):
        asked.replace_origin(
            "", "mount:a", [("f", "b@y.z", "can_read"), ("f", "c@y.z", "king")], []
        )
    assert [one["subject"] for one in asked.tuples("")] == [f"user:{OWNER}", "user:x@y.z"]


def test_objects_may_change_while_they_are_listed(store, asked):
    """A record that moves to the end of the feed meanwhile is listed once all the same."""
    put(store, {f"f{n:04}": ("file", None) for n in range(1200)})
    found = asked.objects(SYNC, OWNER, "can_read", "file")
    first = [next(found) for _ in range(10)]
    put(store, {f"f{n:04}": ("file", None) for n in range(600)})
    assert [*first, *found] == [f"id-f{n:04}" for n in range(1200)]


def test_a_hundred_thousand_files_ten_levels_deep_with_a_thousand_nested_groups(store, asked):
    """At the size that the issue names, every answer is right."""
    folders = {
        f"d{level}-{n}": ("folder", f"d{level - 1}-{n}" if level else None)
        for level in range(10)
        for n in range(100)
    }
    files = {f"f{n}": ("file", f"d9-{n % 100}") for n in range(100_000)}
    put(store, folders | files)
    nested = [(f"g{n}", f"group:g{n + 1}") for n in range(999)]
    granted = [("d0-7", "group:g0", "can_write"), ("d5-8", "group:g500", "can_read")]
    asked.replace_origin(
        "",
        "mount:",
        granted,
        [*nested, ("g999", "deep@y.z"), ("g999", "group:g0"), ("g400", "up@y.z")],
    )
    seventh = {f"id-f{n}" for n in range(7, 100_000, 100)}
    eighth = {f"id-f{n}" for n in range(8, 100_000, 100)}
    assert set(asked.objects(SYNC, "deep@y.z", "can_read", "file")) == seventh | eighth
    assert set(asked.objects(SYNC, "deep@y.z", "can_write", "file")) == seventh
    assert len(list(asked.objects(SYNC, "deep@y.z", "can_read", "folder"))) == 10 + 5
    assert sum(1 for _ in asked.objects(SYNC, OWNER, "is_owner", "file")) == 100_000
    for n in range(100):
        assert asked.allowed(SYNC, f"id-f{n}", "deep@y.z", "can_read") == (n in {7, 8})
    assert not asked.allowed(SYNC, "id-f7", "deep@y.z", "is_owner")
    assert asked.users(SYNC, "id-f7", "can_write") == ["deep@y.z", OWNER, "up@y.z"]


def test_expand_draws_one_level(store, asked):
    """A role is those who have it here, the stronger role, and the folder above."""
    put(store, {"d": FOLDER, "f": ("file", "d")})
    asked.grant("", "f", "group:g", "can_read")
    asked.grant("", "f", "x@y.z", "can_read")
    asked.grant("", "f", "w@y.z", "can_write")
    name = "file:id-f#can_read"
    inherited = {"tupleset": "file:id-f#parent", "computed": [{"userset": "folder:id-d#can_read"}]}
    assert expand(asked, SYNC, "id-f", "can_read") == {
        "name": name,
        "union": {
            "nodes": [
                {"name": name, "leaf": {"users": {"users": ["group:g#member", "user:x@y.z"]}}},
                {"name": name, "leaf": {"computed": {"userset": "file:id-f#can_write"}}},
                {"name": name, "leaf": {"tupleToUserset": inherited}},
            ]
        },
    }
    assert expand(asked, SYNC, "id-f", "parent")["leaf"] == {"users": {"users": ["folder:id-d"]}}


def test_what_expand_names_can_be_expanded(store, asked):
    """Groups, the root and folders outside the sync answer to the names that expand gives them."""
    scan(store, {"far": FOLDER})
    put(store, {"f": ("file", "far")})
    asked.add_member("", "g", "x@y.z")
    above = expand(asked, SYNC, "id-f", "parent")["leaf"]["users"]["users"]
    assert above == ["folder:far"]
    assert expand(asked, SYNC, "folder:far", "parent")["leaf"]["users"]["users"] == ["folder:root"]
    top = expand(asked, SYNC, "folder:root", "is_owner")["union"]["nodes"]
    assert [node["leaf"] for node in top] == [{"users": {"users": [f"user:{OWNER}"]}}]
    group = expand(asked, SYNC, "group:g#member", "member")
    assert group == {"name": "group:g#member", "leaf": {"users": {"users": ["user:x@y.z"]}}}
    nothing = {"name": "file:nowhere#can_read", "leaf": {"users": {"users": []}}}
    assert expand(asked, SYNC, "nowhere", "can_read") == nothing
    with pytest.raises(Refusal, match="relation must be one of"):
        expand(asked, SYNC, "id-f", "viewer")
