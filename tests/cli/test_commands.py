"""What `syncs`, `get`, `permissions` and `webhooks trigger` answer, and what they do to the service."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from paragon_async import Frequency, Role
from paragon_async.cli.asking import Roots
from paragon_async.cli.permissions import ROLES
from paragon_async.cli.syncs import FREQUENCIES
from paragon_async.models import Tree

USER = ("--user", "user-1")
UNKNOWN = "00000000-0000-4000-8000-000000000000"
STATE = {
    "id", "status", "reason", "integration", "pipeline", "records", "synced_records", "completed_at",
    "latest_cursor", "credential_id", "incremental_frequency", "rate_limit_backoff_ms", "extra",
}  # fmt: skip


def lines(done):
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_choices():
    """The choices that are spelled out for speed are those of the API."""
    assert get_args(Frequency) == FREQUENCIES
    assert get_args(Role) == ROLES


async def test_enable_and_list(call, emulator):
    """A sync is enabled, once however often, waited for, and listed; a dry run does nothing."""
    given = ("syncs", "enable", "googledrive", "files", *USER)
    dry = await call(*given, "--dry-run")
    assert lines(dry) == [{"would": "enable", "integration": "googledrive", "pipeline": "files", "configuration_name": "default"}]  # fmt: skip
    assert dry.stderr == "nothing was done: this is a dry run\n"
    empty = await call("syncs", "list", *USER)
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert (await call("syncs", "list", *USER, "--no-json")).stderr == "this user has no sync\n"
    done = await call(*given, "--wait", "--configuration", '{"folderId": "root"}')
    (sync,) = lines(done)
    assert (done.exit_code, sync["status"], sync["integration"]) == (0, "IDLE", "googledrive")
    assert done.stderr.endswith("waiting for its first run\n")
    (again,) = lines(await call(*given, "-q", "--dry-run"))
    assert (again["would"], again["id"]) == ("show", sync["id"])
    (listed,) = lines(await call("syncs", "list", *USER))
    assert listed.keys() == sync.keys()
    assert listed["id"] == sync["id"]
    table = (await call("syncs", "list", *USER, "--no-json")).stdout.splitlines()
    assert [line.split() for line in table] == [
        ["id", "integration", "pipeline", "status", "name"],
        [sync["id"], "googledrive", "files", "IDLE", "default"],
    ]


async def test_state(call, sync_id, emulator):
    """The state has the same keys always; an errored sync is status 1, with what to do."""
    done = await call("syncs", "status", sync_id, *USER)
    (state,) = lines(done)
    assert (done.exit_code, done.stderr, state.keys()) == (0, "", STATE)
    assert (state["status"], state["records"], state["id"]) == ("IDLE", 7, sync_id)
    assert lines(await call("syncs", "wait", sync_id, *USER)) == [state]
    emulator.world.life.enter(sync_id, "ERRORED", reason="revoked\x1b")
    done = await call("syncs", "status", sync_id, *USER)
    assert (done.exit_code, lines(done)[0].keys()) == (1, STATE)
    assert done.stderr == (
        f"sync {sync_id} is suspended: revoked\\x1b\n"
        f"hint: mend the cause, then `paragon-async syncs reenable {sync_id}`\n"
    )
    done = await call("syncs", "wait", sync_id, *USER)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (3, "", 2)


async def test_waiting(call, emulator, sync_id):
    """Who waits is told for what, and the status is 4 when the time is over."""
    emulator.world.life.enter(sync_id, "ACTIVE")
    done = await call("syncs", "wait", sync_id, *USER, "--timeout", "0")
    assert (done.exit_code, done.stdout) == (4, "")
    assert done.stderr.splitlines() == [
        f"sync {sync_id} is ACTIVE; waiting until its run is complete",
        f"paragon-async: sync {sync_id} is still ACTIVE after 0.0 seconds",
    ]


async def test_pause_and_change(call, user, sync_id):
    """Disable, reenable and update do what they say, and say what they would do in a dry run."""
    for command, status in (("disable", "DISABLED"), ("reenable", None)):
        before = (await user.syncs.status(sync_id)).status
        dry = await call("syncs", command, sync_id, *USER, "--dry-run")
        assert lines(dry)[0]["would"] == command
        assert (await user.syncs.status(sync_id)).status == before
        done = await call("syncs", command, sync_id, *USER)
        assert lines(done) == [{"id": sync_id, f"{command}d": True, "was": before}]
        assert status in {None, (await user.syncs.status(sync_id)).status}
    dry = await call("syncs", "update", sync_id, *USER, "--every", "5m", "--dry-run")
    assert lines(dry)[0]["to"] == {"credential_id": None, "incremental_frequency": "5m"}
    assert (await user.syncs.status(sync_id)).incremental_accumulator_frequency is None
    done = await call("syncs", "update", sync_id, *USER, "--every", "5m")
    assert lines(done) == [{"id": sync_id, "updated": True, "credential_id": None, "incremental_frequency": "5m"}]  # fmt: skip
    assert (await user.syncs.status(sync_id)).incremental_accumulator_frequency == "5m"


async def test_delete(call, user, sync_id):
    """A program is not asked, and a dry run deletes nothing."""
    dry = await call("syncs", "delete", sync_id, *USER, "--dry-run")
    assert (lines(dry)[0]["would"], lines(dry)[0]["records"]) == ("delete", 7)
    assert len(await user.syncs.list()) == 1
    done = await call("syncs", "delete", sync_id, *USER)
    assert lines(done) == [{"id": sync_id, "deleted": True, "records": 7}]
    assert await user.syncs.list() == []
    assert (await call("syncs", "delete", sync_id, *USER)).exit_code == 3


@pytest.mark.parametrize(
    "given",
    [
        ["syncs", "status", UNKNOWN], ["syncs", "wait", UNKNOWN], ["syncs", "disable", UNKNOWN], ["syncs", "reenable", UNKNOWN],
        ["syncs", "delete", UNKNOWN], ["syncs", "update", UNKNOWN, "--every", "1h"], ["get", UNKNOWN, "r"],
        ["permissions", "users", UNKNOWN, "r"], ["permissions", "check", UNKNOWN, "a@b.c", "r"],
        ["permissions", "objects", UNKNOWN, "a@b.c"], ["permissions", "expand", UNKNOWN, "r"],
    ],
    ids=" ".join,
)  # fmt: skip
async def test_what_is_not_there(call, given):
    """A sync that is not this user's is one sentence and a hint, and status 3, in every command."""
    done = await call(*given, *USER)
    assert (done.exit_code, done.stdout) == (3, "")
    sentence, hint = done.stderr.splitlines()
    assert sentence.startswith("paragon-async: 404 from ")
    assert hint.startswith("hint: is it this user's?")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["syncs", "list"], "whose sync is it? Name the user: --user USER"),
        (["syncs", "enable", "googledrive", "files", *USER, "--configuration", "{"], "it is no JSON"),
        (["syncs", "enable", "googledrive", "files", *USER, "--configuration", "[]"], "say an object"),
        (["syncs", "enable", "googledrive", "files", *USER, "--configuration", "@absent"], "No such file"),
        (["syncs", "update", "s", *USER, "--every", "2m"], "'2m' is not one of"), (["syncs", "status", "", *USER], "it is empty"),
        (["get", "s", "", *USER], "it is empty"), (["get", "s", *USER], "Missing argument 'RECORD...'"),
        (["permissions", "check", "s", "a@b.c", "r", *USER, "--role", "boss"], "'boss' is not one of"),
        (["permissions", "expand", "s", "r", *USER, "--depth", "0"], "0 is not in the range"),
        (["syncs", "list", *USER, "--base-url", "ftp://x"], "is no http address"),
    ],
)  # fmt: skip
async def test_wrong_calls(call, given, sentence):
    """What cannot be meant is said before anything is asked, with status 2."""
    done = await call(*given)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr


async def test_credentials(call, emulator, tmp_path, sync_id):
    """Options beat the environment; without any credentials it is said what can be set."""
    nothing = {"PARAGON_SIGNING_KEY": None, "PARAGON_PROJECT_ID": None}
    absent = await call("syncs", "list", *USER, **nothing)
    assert (absent.exit_code, absent.stderr.splitlines()[1]) == (2, "hint: `paragon-async help environment` shows what can be set, `emulator` needs no account")  # fmt: skip
    (tmp_path / "key.pem").write_text(emulator.signing_key)
    options = ("--signing-key", tmp_path / "key.pem", "--project-id", emulator.project_id)
    assert lines(await call(*options, "syncs", "list", *USER, **nothing))[0]["id"] == sync_id
    audience = f"dashboard.useparagon.com/{emulator.project_id}"
    assert lines(await call("syncs", "list", *USER, "--audience", audience))[0]["id"] == sync_id
    token = (await call("token", "mint", *USER)).stdout
    (tmp_path / "token").write_text(token)
    named = ("syncs", "list", "--user-token", f"@{tmp_path / 'token'}")
    assert lines(await call(*named, **nothing))[0]["id"] == sync_id
    assert (await call(*named, PARAGON_SIGNING_KEY="none")).exit_code == 0
    (tmp_path / "token").unlink()


async def test_get(call, sync_id, evil, user):
    """Records come as the service sent them, a line each; a person sees names and values, made safe."""
    ids = [r.id async for r in user.records.pull(sync_id)][:2]
    done = await call("get", sync_id, *ids, *USER)
    assert [found["id"] for found in lines(done)] == ids
    (found,) = lines(await call("get", sync_id, evil, *USER))
    assert found == (await user.records.get(sync_id, evil)).data
    shown = (await call("get", sync_id, ids[0], evil, *USER, "--no-json")).stdout
    assert "evil\\x1b[31m\\u202e\\x9b.txt\n" in shown
    assert shown.count("\n\n") == 1


async def test_check(call, sync_id, evil, emulator, user):
    """Access is answered by the status too; one that is denied makes it 1."""
    owner = (await user.permissions.list_users(sync_id, object=evil))[0]
    yes = await call("permissions", "check", sync_id, owner, evil, *USER)
    assert (yes.exit_code, lines(yes)) == (0, [{"object": evil, "user": owner, "role": "can_read", "allowed": True, "error": None}])  # fmt: skip
    no = await call(
        "permissions", "check", sync_id, "x@example.com", evil, evil, *USER, "--no-json"
    )
    assert (no.exit_code, no.stdout.count(" no ")) == (1, 2)


async def test_users_and_objects(call, sync_id, evil, user, emulator):
    """Lists come line by line; one that the service cut is shown, and is status 1."""
    owner = (await user.permissions.list_users(sync_id, object=evil))[0]
    assert lines(await call("permissions", "users", sync_id, evil, *USER)) == [{"user": owner}]
    nobody = await call("permissions", "users", sync_id, UNKNOWN, *USER, "--no-json")
    assert (nobody.stdout, nobody.stderr) == ("", "nobody has can_read on it\n")
    done = await call("permissions", "objects", sync_id, owner, *USER)
    assert {"object": evil} in lines(done)
    assert done.stderr == f"{len(lines(done))} files\n"
    folders = await call(
        "permissions", "objects", sync_id, owner, *USER, "--type", "folder", "--no-json", "-q"
    )
    assert (len(folders.stdout.splitlines()), folders.stderr) == (3, "")


async def test_expand(call, sync_id, evil, user):
    """The tree goes down to who has access, each level asked for once, and as deep as was said."""
    (tree,) = lines(await call("permissions", "expand", sync_id, evil, *USER, "--depth", "9"))
    names = []

    def walk(node):
        assert node.keys() == {"name", "by", "users", "from"}
        names.append(node["name"])
        return node["users"] + [user for below in node["from"] for user in walk(below)]

    assert (tree["name"], tree["by"]) == (f"file:{evil}#can_read", "any of")
    assert (await user.permissions.list_users(sync_id, object=evil))[0] in walk(tree)
    assert len(names) > 3
    (flat,) = lines(await call("permissions", "expand", sync_id, evil, *USER, "--depth", "1"))
    assert {below["by"] for below in flat["from"]} == {"not followed"}
    drawn = (await call("permissions", "expand", sync_id, evil, *USER, "--no-json")).stdout
    assert drawn.startswith(f"file:{evil}#can_read  (any of)\n")
    assert "├── " in drawn


async def test_expand_of_every_kind():
    """Intersections and differences keep their parts, and a circle is not followed."""

    class Graph:
        async def expand(self, sync_id, *, object, relation):
            asked.append((object, relation))
            leaf = Tree(name="file:a#x", leaf={"computed": {"userset": "file:a#x"}})
            people = Tree(name="file:a#y", leaf={"users": {"users": ["user:u"]}})
            return Tree(name="file:a#x", intersection=[leaf, people], base=people, subtract=leaf)

    class User:
        permissions = Graph()

    asked = []
    found = await Roots(User(), "s").node("a", "x", 9)
    assert asked == [("a", "x")]
    assert found["by"] == "but not"
    assert [part["users"] for part in found["from"]] == [[], ["u"], ["u"], []]


async def test_trigger(call, emulator, evil):
    """A dry run asks nothing; without a webhook the emulator refuses; a mistaken event is no event."""
    given = ("webhooks", "trigger", "record_updated", "--record", evil)
    dry = await call(*given, "--dry-run")
    assert lines(dry) == [{"would": "trigger", "event": "record_updated", "record": evil}]
    refused = await call(*given)
    assert (refused.exit_code, "no webhook is set" in refused.stderr) == (2, True)
    assert (await call("webhooks", "trigger", "nothing")).exit_code == 2


async def test_what_is_told_meanwhile(call, emulator, sync_id):
    """With -v it is said why nothing comes, with -vv each request, as lines of JSON if so wished."""
    given = ("syncs", "list", *USER)
    assert (await call(*given)).stderr == ""
    emulator.fault(path="/api/syncs", status=503, times=3)
    assert (await call(*given, "-q")).stderr == ""
    emulator.faults.clear()
    emulator.fault(path="/api/syncs", status=503)
    told = (await call(*given, "-v")).stderr.splitlines()
    assert any(line.startswith("GET /api/syncs: 503, trying again in ") for line in told)
    assert "paragon_async.http" not in "".join(told)
    told = (await call("-v", *given, "-v")).stderr
    assert "paragon_async.http: " in told
    assert "status=200" in told
    done = await call(*given, "-vv", "--log-json")
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"time", "level", "message", "logger"} == set().union(*found)
    assert sum("status=200" in one["message"] for one in found) == 1
    assert json.loads(done.stdout)["id"] == sync_id


async def test_the_older_commands_are_in_the_frame(call, sync_id, folder, tmp_path, emulator):
    """What the ingest and the demo say can be JSON on both streams, and `ingest -q status` is a command."""
    mirror = tmp_path / "mirror"
    emulator.fault(path="*/content", status=404)
    done = await call("--log-json", "ingest", sync_id, *USER, "--to", mirror)
    assert (done.exit_code, lines(done)[0]["dead_letters"]) == (1, 1)
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert said[-1]["message"] == f"try them again: paragon-async ingest retry {mirror}"
    looked = await call("ingest", "-q", "status", mirror, "--no-json")
    assert (looked.exit_code, looked.stdout.splitlines()[0].split()) == (1, ["sync", sync_id])
    assert "dead letter: " in looked.stderr
    done = await call("demo", folder, "--to", tmp_path / "demo", "--json", "-q")
    (figures,) = lines(done)
    assert (done.exit_code, done.stderr, figures["verified"], figures["failures"]) == (0, "", 4, [])


async def test_dry_run_is_short_everywhere(call, sync_id):
    """`-n` is `--dry-run`, with syncs as with all else."""
    assert lines(await call("syncs", "delete", sync_id, *USER, "-n"))[0]["would"] == "delete"


async def test_an_event_that_is_none(call):
    """An event that there is not is called by its argument's name, not by the list of them all."""
    done = await call("webhooks", "trigger", "nope")
    assert done.exit_code == 2
    assert done.stderr.startswith("paragon-async: Invalid value for 'EVENT': 'nope' is not one of")


async def test_a_base_url_that_leads_elsewhere(call, emulator):
    """A 404 of the list itself is no sync that is missing: the hint is the doctor."""
    done = await call("syncs", "list", *USER, PARAGON_BASE_URL=f"{emulator.url}/elsewhere")
    assert done.exit_code == 3
    assert "`paragon-async doctor`" in done.stderr
    assert "syncs list" not in done.stderr
