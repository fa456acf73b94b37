"""`ingest report`, `ingest status` and dry runs of a mirror, as a person or a script calls them."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner

from paragon_async.cli.figures import bar
from paragon_async.cli.root import cli
from tests.ingest.fakes import ingest


@pytest.fixture
async def mirror(user, sync_id, tmp_path):
    mirror = tmp_path / "mirror"
    await ingest(user, sync_id, mirror).run()
    return mirror


@pytest.fixture
def call(emulator):
    """Run the command in a thread, for the emulator answers from this loop."""

    async def call(*arguments):
        runner = CliRunner(env=emulator.environ)
        return await asyncio.to_thread(runner.invoke, cli, ["ingest", *map(str, arguments)])

    return call


def everything(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


async def test_a_report_is_a_page_in_a_file(call, mirror, tmp_path):
    """With `-o` the page is written whole, and an older one is replaced only by force."""
    target = tmp_path / "report.html"
    done = await call("report", mirror, "-o", target)
    assert done.exit_code == 0 and "needs no network" in done.stderr and not done.stdout
    page = target.read_text()
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    target.write_text("mine")
    done = await call("report", mirror, "-o", target)
    assert done.exit_code == 2 and target.read_text() == "mine"
    assert (await call("report", mirror, "-o", target, "--force")).exit_code == 0
    assert target.read_text() != "mine"


async def test_a_report_goes_to_a_pipe(call, mirror):
    """Without `-o` the page comes on standard output."""
    done = await call("report", mirror)
    assert done.exit_code == 0 and done.stdout.startswith("<!doctype html>")


async def test_a_report_of_no_mirror_is_refused(call, tmp_path):
    """Where there is no mirror the error says so, and nothing is written."""
    done = await call("report", tmp_path, "-o", tmp_path / "report.html")
    assert done.exit_code == 2 and "there is no mirror" in done.stderr
    assert list(tmp_path.glob("*.html")) == []


async def test_a_status_shows_rates_as_a_chart(call, mirror, user, sync_id):
    """Each run has a bar of its rate, the fastest a full one; the cursor is there, and its age."""
    await ingest(user, sync_id, mirror).run()
    done = await call("status", mirror, "--no-json")
    lines = [line for line in done.stdout.splitlines() if "/s  " in line]
    assert done.exit_code == 0 and len(lines) == 2
    assert any(bar(1, 1) in line for line in lines)
    (cursor,) = [line for line in done.stdout.splitlines() if line.startswith("cursor")]
    assert cursor.rstrip().endswith(" s old")


async def test_a_dry_run_tells_and_changes_nothing(call, mirror, user, sync_id, folder, emulator):
    """What a run would do is counted; the mirror stays as it is, byte for byte."""
    (folder / "hello.txt").unlink()
    (folder / "new.txt").write_text("new")
    await emulator.refresh()
    before = everything(mirror)
    done = await call(sync_id, "--user", "user-1", "--to", mirror, "--dry-run")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["created"], found["deleted"], found["files"]) == (1, 1, 1)
    again = await call("reconcile", mirror, "-n")
    assert again.exit_code == 0, again.stderr
    found = json.loads(again.stdout)
    assert (found["created"], found["deleted"], found["files"]) == (1, 1, 1)
    assert everything(mirror) == before
    shown = await call("reconcile", mirror, "-n", "--no-json")
    assert "would be deleted" in shown.stdout and "14.3% of the mirror" in shown.stdout


async def test_a_dry_run_does_not_follow(call, sync_id, mirror):
    """Looking once and going on exclude each other."""
    done = await call(sync_id, "--user", "user-1", "--to", mirror, "--dry-run", "--follow")
    assert done.exit_code == 2 and "--dry-run looks once" in done.stderr


@pytest.mark.parametrize(
    ("value", "most", "length", "last"), [(0, 0, 0, ""), (0, 9, 0, ""), (9, 9, 12, "\u2588"), (1, 9, 2, "\u258d")]
)  # fmt: skip
def test_a_bar_is_drawn_in_eighths(value, most, length, last):
    """The most fills the room; less is drawn to the eighth of a character."""
    found = bar(value, most)
    assert len(found) == length and found[-1:] == last
