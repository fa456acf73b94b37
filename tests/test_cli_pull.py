"""`paragon-async pull`: records as JSON lines, CSV and Parquet, to a file or a pipe, on from a cursor."""

from __future__ import annotations

import asyncio
import csv
import gc
import json
import os

import attrs
import pytest
from click.testing import CliRunner

from paragon_async.cli.formats import at, cell, columns_of
from paragon_async.cli.pull import limited
from paragon_async.cli.root import cli
from paragon_async.models import Record
from tests.fakes import answer, records


@pytest.fixture
def pull(emulator, sync_id):
    """Run the command in a thread, for the emulator answers from this loop."""

    async def pull(*arguments, sync=sync_id):
        runner = CliRunner(env=emulator.environ)
        given = ["pull", sync, "--user", "user-1", *map(str, arguments)]
        return await asyncio.to_thread(runner.invoke, cli, given)

    return pull


@pytest.fixture
async def whole(user, sync_id):
    return [record.data async for record in user.records.pull(sync_id)]


def cursor_in(text):
    return text.rpartition("--after ")[2].strip()


async def test_records_come_as_json_lines_as_they_are(pull, whole):
    """In a pipe each record is a line, as it came; the last cursor is told on standard error."""
    done = await pull()
    assert done.exit_code == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == whole
    assert done.stderr.startswith(f"{len(whole)} records; what comes next: --after ")


async def test_a_pull_goes_on_from_a_cursor(pull, whole, folder, emulator):
    """Pulled in two parts, after the cursor that the first one told, records come once."""
    first = await pull("--limit", "3")
    second = await pull("--after", cursor_in(first.stderr))
    lines = (first.stdout + second.stdout).splitlines()
    assert len(first.stdout.splitlines()) == 3
    assert [json.loads(line) for line in lines] == whole


async def test_a_cursor_is_kept_in_a_file(pull, whole, folder, emulator, tmp_path):
    """With `--cursor FILE` each call brings what is new since the last one."""
    book = tmp_path / "cursor"
    assert len((await pull("--cursor", book)).stdout.splitlines()) == len(whole)
    assert (await pull("--cursor", book)).stdout == ""
    (folder / "new.txt").write_text("new")
    await emulator.refresh()
    (line,) = (await pull("--cursor", book)).stdout.splitlines()
    assert json.loads(line)["name"] == "new.txt"


@pytest.mark.parametrize("text", ["", "two words", "\x00", "x" * 5000, "ümlaut"])
async def test_a_file_that_holds_no_cursor_is_refused(pull, tmp_path, text):
    """What cannot be a cursor is a clear error, and the file stays as it is."""
    book = tmp_path / "cursor"
    book.write_text(text)
    done = await pull("--cursor", book)
    assert done.exit_code == 2 and "holds no cursor" in done.stderr and not done.stdout
    assert book.read_text() == text


async def test_a_pull_that_fails_keeps_the_cursor_and_no_file(pull, emulator, tmp_path):
    """Stopped on the second page, a file has no name, nothing lies beside, and the cursor stands."""
    book, target = tmp_path / "cursor", tmp_path / "out" / "records.jsonl"
    target.parent.mkdir()
    book.write_text("")
    book.unlink()
    emulator.fault(path="*/records", status=403, skip=1, times=None)
    done = await pull("--cursor", book, "-o", target, "--page-size", "2")
    assert done.exit_code == 3 and "403" in done.stderr
    assert list(target.parent.iterdir()) == [] and not book.exists()


async def test_what_stands_on_standard_output_can_be_gone_on_from(pull, whole, emulator):
    """Stopped on the second page, the cursor of the first one is told: nothing has to come twice."""
    emulator.fault(path="*/records", status=403, skip=1, times=1)
    first = await pull("--page-size", "2")
    assert first.exit_code == 3
    second = await pull("--after", cursor_in(first.stderr.splitlines()[0]))
    lines = (first.stdout + second.stdout).splitlines()
    assert [json.loads(line) for line in lines] == whole


async def test_fields_are_picked_and_found_below(pull, whole):
    """Only the fields asked for come, in their order; dots go into objects; a typing error is told."""
    done = await pull("--fields", "name,hash.value,nam")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(line) for line in lines] == [["name", "hash.value", "nam"]] * len(whole)
    assert [line["hash.value"] for line in lines] == [
        (data.get("hash") or {}).get("value") for data in whole
    ]
    assert "no record has the field 'nam': did you mean name?" in done.stderr


async def test_records_come_as_csv(pull, whole, tmp_path):
    """A header, a row for each record, numbers plain, objects as JSON, nothing as an empty cell."""
    target = tmp_path / "records.csv"
    assert (await pull("-o", target)).exit_code == 0
    with target.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [data["id"] for data in whole]
    for row, data in zip(rows, whole, strict=True):
        assert row["name"] == data["name"] and row["deleted"] == ""
        assert row["size"] == ("" if data.get("size") is None else str(data["size"]))
        assert (json.loads(row["hash"]) if row["hash"] else None) == data.get("hash")


async def test_a_key_that_comes_late_has_no_column_and_is_told(
    pull, user, sync_id, folder, emulator
):
    """A column that the first page does not have is named at the end, and how to get it."""
    done = await pull("--format", "csv", "--page-size", "1")
    header, *_ = done.stdout.splitlines()
    late = {"size", "hash"} - {*header.split(",")}
    assert late
    for key in late:
        assert key in done.stderr.partition("without a column")[2]


async def test_records_come_as_parquet(pull, whole, tmp_path):
    """All of a record is there as JSON, and its columns have types."""
    import pyarrow.parquet as pq

    target = tmp_path / "records.parquet"
    assert (await pull("-o", target, "--page-size", "2")).exit_code == 0
    table = pq.read_table(target)
    assert [json.loads(text) for text in table["record"].to_pylist()] == whole
    assert str(table.schema.field("size").type) == "int64"
    assert str(table.schema.field("updated_at").type) == "timestamp[us, tz=UTC]"
    assert table["deleted"].to_pylist() == [False] * len(whole)


async def test_fields_of_parquet_keep_their_type(pull, whole, tmp_path):
    """A known field has its type under its own name, any other is text, and JSON where it is none."""
    import pyarrow.parquet as pq

    target = tmp_path / "records.parquet"
    assert (await pull("-o", target, "--fields", "size,updatedAt,hash,hash.value")).exit_code == 0
    table = pq.read_table(target)
    assert [str(field.type) for field in table.schema] == [
        "int64", "timestamp[us, tz=UTC]", "string", "string",
    ]  # fmt: skip
    assert table["size"].to_pylist() == [data.get("size") for data in whole]
    for text, data in zip(table["hash"].to_pylist(), whole, strict=True):
        assert (json.loads(text) if text else None) == data.get("hash")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--format", "parquet"), "name a file"),
        (("--fields", "id,,name"), "an empty one"),
        (("--fields", "id,id"), "twice"),
        (("--after", "x", "--cursor", "y"), "give one"),
        (("--limit", "0"), "--limit"),
        (("--format", "xml"), "--format"),
        (("-o", "."), "is a folder"),
        (("-o", ""), "empty"),
        (("--after", "no-cursor"), "cursor"),
    ],
)
async def test_what_cannot_be_is_refused(pull, arguments, says):
    """A wrong call is one sentence that says what is wrong, and no output."""
    done = await pull(*arguments)
    assert done.exit_code in {2, 3} and says in done.stderr.replace("\n", " ")
    assert not done.stdout and "Traceback" not in done.stderr


async def test_a_file_that_is_there_is_replaced_only_by_force(pull, whole, tmp_path):
    """An existing file is an error, and stays; with `--force` it is replaced as a whole."""
    target = tmp_path / "records.jsonl"
    target.write_text("mine")
    done = await pull("-o", target)
    assert done.exit_code == 2 and "--force" in done.stderr and target.read_text() == "mine"
    assert (await pull("-o", target, "--force")).exit_code == 0
    assert len(target.read_text().splitlines()) == len(whole)
    assert list(tmp_path.glob(".*part")) == []


async def test_a_limit_counts_exactly_and_asks_for_no_more(pull, emulator, whole):
    """Of pages of two, a limit of three takes three records in two calls, and no page ahead."""
    emulator.world.journal.clear()
    done = await pull("--limit", "3", "--page-size", "2")
    assert len(done.stdout.splitlines()) == 3
    asked = [call for call in emulator.requests if call.path.endswith("/records")]
    assert len(asked) == 2


async def test_a_service_that_gives_more_than_asked_skips_nothing():
    """A page longer than the limit is cut, and its cursor, which would skip the rest, is not told."""
    page = {
        "data": [{"id": str(n)} for n in range(5)],
        "paging": {"cursor": "c5", "remainingRecords": 0},
    }
    api, _ = records(answer(page))

    @attrs.frozen
    class Owner:
        records: object

    pages = [page async for page in limited(Owner(api), "s1", "c0", 2, 2)]
    assert [[r.id for r in page.records] for page in pages] == [["0", "1"]]
    assert pages[0].cursor == "c0"


def test_values_are_found_and_shown():
    """A field with a dot in its name comes before a way into objects; nothing is an empty cell."""
    assert at({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert at({"a": {"b": {"c": 2}}}, "a.b.c") == 2
    assert cell(None) == "" and cell(True) == "true" and cell(1.5) == "1.5"
    assert cell("é\n") == "é\n" and cell({"a": [1]}) == '{"a":[1]}'
    assert columns_of([Record({"id": "1"}), Record({"x": 1})]) == ["id", "x", "deleted"]


def test_a_parquet_file_that_is_left_says_nothing(tmp_path):
    """A pull to Parquet that is interrupted, or whose disk is full, leaves no file and no traceback."""
    from paragon_async.cli.parquet import Parquet
    from paragon_async.cli.whole import Whole

    for size in (1, 20_000):
        with (
            pytest.raises(KeyboardInterrupt),
            Parquet(Whole(tmp_path / "records.parquet", replaces=False), None) as form,
        ):
            form.write([Record({"id": str(number)}) for number in range(size)])
            raise KeyboardInterrupt
        # What it wrote with is collected here: then pyarrow would close the file once more.
        del form
        gc.collect()
    assert not [*tmp_path.iterdir()]


async def test_a_cursor_that_cannot_be_kept_is_told(pull, tmp_path):
    """Where the cursor's file cannot be written, the cursor stands on standard error: nothing is lost."""
    done = await pull("--cursor", tmp_path / "none" / "cursor")
    assert (done.exit_code, len(done.stdout.splitlines())) == (3, 7)
    cursor = cursor_in(done.stderr.partition("\n")[0])
    rest = await pull("--after", cursor)
    assert (rest.exit_code, rest.stdout) == (0, "")


def test_a_person_sees_names_of_contacts():
    """A record without a name of a file is shown with the name that it has."""
    from paragon_async.cli.formats import _row

    named = [
        {"fullName": "Ada King"},
        {"firstName": "Ada", "lastName": "King"},
        {"lastName": "King"},
    ]
    assert [_row(Record({"id": "1", **data}))["name"] for data in named] == ["Ada King"] * 2 + [
        "King"
    ]


async def test_parts_that_a_kill_left(pull, tmp_path):
    """What a killed pull left beside its file is removed after a day, and nothing of another file."""
    (place := tmp_path / "place").mkdir()
    left, fresh, other = ".a[1].csv.01234567", ".a[1].csv.76543210", ".b.csv.01234567"
    for name in (left, fresh, other):
        (place / f"{name}.part").touch()
        if name != fresh:
            os.utime(place / f"{name}.part", (1, 1))
    assert (await pull("-o", place / "a[1].csv")).exit_code == 0
    assert {path.name for path in place.iterdir()} == {
        "a[1].csv",
        f"{fresh}.part",
        f"{other}.part",
    }
