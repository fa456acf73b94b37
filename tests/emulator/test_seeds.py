"""JSON lines: what is read, and how what is wrong is named."""

from __future__ import annotations

import pytest

from paragon_async.emulator import seeds
from paragon_async.emulator.errors import EmulatorError
from paragon_async.emulator.seeds import read_lines


def test_records_are_read(tmp_path):
    """Each line is a record; blank lines, a byte order mark and other line ends do no harm."""
    file = tmp_path / "contacts.jsonl"
    file.write_bytes(
        '\ufeff{"externalId":"a","x":[1]}\r\n\n  \n{"id":"ü"}\n{"id":7,"externalId":0}'.encode()
    )
    assert list(read_lines(file)) == [
        {"externalId": "a", "x": [1]},
        {"externalId": "ü", "id": "ü"},
        {"externalId": "0", "id": 7},
    ]


def test_a_text_is_read():
    """A text serves as well as a file."""
    assert list(read_lines('{"id":"1"}')) == [{"id": "1", "externalId": "1"}]
    assert list(read_lines("")) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [(b"{", "no JSON"), (b"[1]", "no JSON object"), (b"null", "no JSON object"), (b'{"name":"x"}', "no externalId"),
     (b'{"externalId":""}', "no externalId"), (b'{"id":null}', "no externalId"), (b'{"id":true}', "no externalId"),
     (b'{"id":"1","x":NaN}', "no JSON"), (b'{"id":"1","x":1e999}', "no JSON"), (b'{"id":"\\ud800"}', "no JSON"),
     (b'{"id":"\xff"}', "no JSON"), (b'{"id":1' + b"0" * 5000 + b"}", "no JSON"), (b"[" * 100_000, "no JSON"),
     (b'{"id":["1"]}', "no externalId")],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, line, words):
    """An error names the file, the line and what to write."""
    file = tmp_path / "deals.jsonl"
    file.write_bytes(b'{"id":"1"}\n\n' + line + b"\n")
    with pytest.raises(EmulatorError, match=f"deals.jsonl, line 3.*{words}"):
        list(read_lines(file))


def test_a_line_without_end(tmp_path, monkeypatch):
    """A line over the limit is refused before it fills the memory."""
    monkeypatch.setattr(seeds, "LONGEST", 1 << 20)
    file = tmp_path / "long.jsonl"
    file.write_bytes(b" " * (3 << 20))
    with pytest.raises(EmulatorError, match="line 1: a line has at most 1 MiB"):
        list(read_lines(file))


def test_a_file_that_cannot_be_read(tmp_path):
    """A missing file and a folder are errors of one sentence."""
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(EmulatorError, match="cannot read"):
            list(read_lines(path))
