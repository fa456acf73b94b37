"""`paragon-async download`: contents of many records, what is there already left alone."""

from __future__ import annotations

import asyncio
import json
import os

import pytest
from click.testing import CliRunner

from paragon_async.cli.matching import Matching
from paragon_async.cli.present import is_present
from paragon_async.cli.root import cli
from paragon_async.download import Evidence
from paragon_async.models import Record


@pytest.fixture
def to(tmp_path):
    return tmp_path / "made" / "files"


@pytest.fixture
def download(emulator, sync_id, to):
    """Run the command in a thread, for the emulator answers from this loop."""

    async def download(*arguments):
        runner = CliRunner(env=emulator.environ)
        given = ["download", sync_id, *map(str, arguments), "--user", "user-1", "--to", str(to)]
        return await asyncio.to_thread(runner.invoke, cli, given)

    return download


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def asked(emulator):
    """How many contents were asked for since the last time."""
    count = sum(call.path.endswith("/content") for call in emulator.requests)
    emulator.world.journal.clear()
    return count


async def test_all_files_come_and_the_second_call_brings_nothing(download, emulator, to, folder):
    """Every content of the sync is there, byte for byte; called again, none is fetched again."""
    emulator.world.journal.clear()
    first = await download("--all")
    assert first.exit_code == 0 and {line["status"] for line in lines(first)} == {"downloaded"}
    sources = sorted(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert sorted(p.read_bytes() for p in to.iterdir()) == sources
    assert asked(emulator) == len(sources)
    second = await download("--all")
    assert second.exit_code == 0 and {line["status"] for line in lines(second)} == {"there"}
    # An empty file has no hash in its record, and a date that is older.
    assert asked(emulator) == 0 and f"{len(sources)} were there" in second.stderr


async def test_what_is_altered_or_cut_comes_again(download, emulator, to):
    """A file of another size, or of the same size with other bytes, is fetched once more."""
    await download("--all")
    cut, altered = sorted(to.glob("*large*")) + sorted(to.glob("hello*"))
    whole = cut.read_bytes()
    cut.write_bytes(whole[:-1])
    altered.write_text("HELLO")
    asked(emulator)
    assert (await download("--all")).exit_code == 0
    assert asked(emulator) == 2
    assert cut.read_bytes() == whole and altered.read_text() == "hello"


async def test_files_are_chosen_by_name_type_and_size(download, to):
    """Patterns do not regard case; bounds of size are those of the record; all must fit."""
    done = await download(
        "--name", "*.PDF", "--name", "hello*", "--mime", "application/*", "--larger", "1kB"
    )
    assert done.exit_code == 0
    assert [path.suffix for path in to.iterdir()] == [".pdf"]


async def test_records_are_named(download, user, sync_id, to):
    """Of records that are named only these come; one that is not there is told, and the rest comes."""
    by_name = {r.data["name"]: r.id async for r in user.records.pull(sync_id)}
    done = await download(by_name["hello.txt"], "no-such-record", by_name["reports"])
    assert done.exit_code == 1
    assert [path.read_text() for path in to.iterdir()] == ["hello"]
    assert "no-such-record" in done.stderr and "reports: it is a folder" in done.stderr


async def test_a_file_that_fails_is_told_and_the_others_come(download, emulator, to):
    """One refusal is a line, a sentence and status 1."""
    emulator.fault(path="*/content", status=403, times=1)
    done = await download("--all", "--concurrency", "1")
    assert done.exit_code == 1 and "not downloaded: " in done.stderr and "403" in done.stderr
    assert sorted(line["status"] for line in lines(done)) == ["downloaded"] * 3 + ["failed"]


async def test_a_dry_run_brings_nothing(download, emulator, to):
    """What would come is listed with its path; not even the folder is made."""
    asked(emulator)
    done = await download("--all", "--dry-run")
    assert done.exit_code == 0 and asked(emulator) == 0 and not to.parent.exists()
    assert {os.path.dirname(line["path"]) for line in lines(done)} == {str(to)}  # noqa: PTH120  # a text
    assert "4 files would be downloaded" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "which files?"),
        (("abc", "--all"), "records are named"),
        (("abc", "--name", "*"), "records are named"),
        (("--all", "--larger", "ten"), "is no size"),
        (("--all", "--durability", "maybe"), "--durability"),
    ],
)
async def test_what_cannot_be_is_refused(download, to, arguments, says):
    """A wrong call is one sentence, and nothing is made."""
    done = await download(*arguments)
    assert done.exit_code == 2 and says in done.stderr and not to.parent.exists()


async def test_a_folder_that_cannot_be_made_is_told(download, to):
    """Where a file stands in the way, the error says so."""
    to.parent.write_text("in the way")
    done = await download("--all")
    assert done.exit_code == 3 and "cannot make the folder" in done.stderr


@pytest.mark.parametrize(
    ("evidence", "content", "age", "present"),
    [
        (Evidence(), b"x", 0, False),
        (Evidence(size=1), b"x", 10, False),
        (Evidence(size=1), b"x", -10, True),
        (Evidence(size=2), b"x", -10, False),
        (Evidence(algorithm="md5", digest="9dd4e461268c8034f5c8564e155c67a6"), b"x", 10, True),
        (Evidence(algorithm="md5", digest="9dd4e461268c8034f5c8564e155c67a6"), b"y", -10, False),
        (Evidence(), None, -10, False),
    ],
)
def test_what_is_there_is_judged_by_hash_else_by_size_and_age(
    tmp_path, evidence, content, age, present
):
    """A hash decides alone; a size needs a file no older than its record; nothing known is not there.

    *age* is how much newer the record is than the file; 0 means that it has no date.
    """
    path = tmp_path / "file"
    updated_at = None
    if content is not None:
        path.write_bytes(content)
        record = Record({"id": "1", "updatedAt": "2026-01-01T00:00:10Z"})
        updated_at = record.updated_at if age else None
        then = record.updated_at.timestamp() - age
        os.utime(path, (then, then))
    assert is_present(path, evidence, updated_at) is present


def test_a_link_is_not_there(tmp_path):
    """What a link leads to is no content of ours."""
    (tmp_path / "target").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    evidence = Evidence(algorithm="md5", digest="9dd4e461268c8034f5c8564e155c67a6")
    assert not is_present(tmp_path / "link", evidence, None)
    assert is_present(tmp_path / "target", evidence, None)


@pytest.mark.parametrize(
    ("matching", "data", "fits"),
    [
        (Matching(), {}, True),
        (Matching(names=("*.pdf",)), {"name": "A.PDF"}, True),
        (Matching(names=("*.pdf",)), {"title": "A.PDF"}, True),
        (Matching(names=("*.pdf",)), {}, False),
        (Matching(mimes=("image/*",)), {"mimeType": "image/png"}, True),
        (Matching(mimes=("image/*",)), {"mimeType": None}, False),
        (Matching(larger=10), {"size": 10}, False),
        (Matching(larger=10), {"size": 11}, True),
        (Matching(smaller=10), {"size": 10}, False),
        (Matching(smaller=10), {}, False),
    ],
)
def test_records_match(matching, data, fits):
    """A record fits when it says what is asked, and not where it is silent."""
    assert matching(Record({"id": "1", **data})) is fits


async def test_parts_that_a_kill_left(download, to):
    """A part that nobody wrote to for a day is removed, in size told with -v; any other file stays."""
    to.mkdir(parents=True)
    old, fresh, other = ".paragon-0123456789abcdef", ".paragon-fedcba9876543210", ".paragon-mine"
    for name in (old, fresh, other):
        (to / f"{name}.part").write_bytes(b"12345")
        if name != fresh:
            os.utime(to / f"{name}.part", (1, 1))
    assert (await download("--all", "--dry-run")).exit_code == 0
    assert (to / f"{old}.part").exists()
    done = await download("--all", "-v")
    assert "removed parts of downloads that were killed: 1, 5 B" in done.stderr
    assert {path.name for path in to.glob("*.part")} == {f"{fresh}.part", f"{other}.part"}
