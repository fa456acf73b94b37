"""Google's documents as their export types, and tickets as ZIPs: valid, complete, the same each time."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from xml.etree import ElementTree

import pytest

from paragon_async.emulator.errors import Refusal
from paragon_async.emulator.exports import export, native_type
from paragon_async.emulator.tickets import ticket_zip

GOOGLE = "application/vnd.google-apps."
TEXT = "Über <uns> & 'euch'\x00\r\n\nzweite  Zeile\n---\nlast, 12, 007\n"
OFFICE = {"document": "wordprocessingml.document", "spreadsheet": "spreadsheetml.sheet",
          "presentation": "presentationml.presentation"}  # fmt: skip


def opened(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def parsed(xml):
    return ElementTree.fromstring(xml)  # noqa: S314  # it is our own


def texts(xml, tag):
    root = parsed(xml)
    return [element.text for element in root.iter() if element.tag.endswith("}" + tag)]


def test_which_files_are_native():
    """The ending of a name tells, in small and large letters."""
    names = {
        "a.gdoc": "document",
        "b.GSheet": "spreadsheet",
        "c.x.gslides": "presentation",
        "d.gdraw": "drawing",
    }
    assert {name: native_type(name) for name in names} == {n: GOOGLE + t for n, t in names.items()}
    assert [native_type(name) for name in ("a.docx", "gdoc", ".gdoc", "")] == [None] * 4


@pytest.mark.parametrize("kind", OFFICE)
def test_office_files_are_whole(kind):
    """Every part is XML, has a type, and is reached by a link; the same text gives the same bytes."""
    data, content_type = export(GOOGLE + kind, TEXT)
    assert content_type == "application/vnd.openxmlformats-officedocument." + OFFICE[kind]
    assert data == export(GOOGLE + kind, TEXT)[0]
    parts = opened(data)
    for xml in parts.values():
        parsed(xml)
    index = parsed(parts["[Content_Types].xml"])
    named = {e.get("PartName")[1:] for e in index if e.get("PartName")}
    assert named == {
        name for name in parts if not name.endswith(".rels") and name != "[Content_Types].xml"
    }
    linked = set()
    for name, xml in parts.items():
        if name.endswith(".rels"):
            folder = name.replace("_rels/", "").rpartition("/")[0]
            for link in parsed(xml):
                path = f"{folder}/{link.get('Target')}".lstrip("/")
                linked.add(re.sub(r"[^/]+/\.\./", "", path))
    assert linked == named


def test_a_document_has_its_lines():
    """A document's paragraphs are the text's lines."""
    xml = opened(export(GOOGLE + "document", TEXT)[0])["word/document.xml"]
    assert texts(xml, "t") == ["Über <uns> & 'euch'\ufffd", "zweite  Zeile", "---", "last, 12, 007"]


def test_a_sheet_has_its_cells():
    """CSV becomes cells in their places; numbers are numbers, and numbers with zeros before them texts."""
    xml = opened(export(GOOGLE + "spreadsheet", 'a,"b\nc"\n1,-2.5,007\n\n' + "," * 27 + "x")[0])[
        "xl/worksheets/sheet1.xml"
    ]
    assert texts(xml, "t") == ["a", "b\nc", "007", "x"]
    assert texts(xml, "v") == ["1", "-2.5"]
    cells = [e.get("r") for e in parsed(xml).iter() if e.tag.endswith("}c")]
    assert cells == ["A1", "B1", "A2", "B2", "C2", "AB4"]


@pytest.mark.parametrize(
    "text", ["x" * 32_768, "," * 16_384, "\n" * (1 << 20) + "x", '"' + "x" * 200_000]
)
def test_a_sheet_that_no_program_opens(text):
    """What a sheet cannot hold is refused as too large."""
    with pytest.raises(Refusal, match="too large"):
        export(GOOGLE + "spreadsheet", text)


def test_slides_are_parted_by_lines():
    """Lines of dashes part the slides."""
    parts = opened(export(GOOGLE + "presentation", "One\nbody\n---\nTwo & 3\n---\n")[0])
    slides = [texts(parts[f"ppt/slides/slide{n}.xml"], "t") for n in (1, 2, 3)]
    assert slides == [["One", "body"], ["Two & 3"], [None]]


@pytest.mark.parametrize("text", ["", "One (x) \\ é\nbody \u65e5", "line\n" * 5000])
def test_a_drawing_is_one_page(text):
    """The table of a PDF points to its objects, and the stream is as long as it says."""
    data, content_type = export(GOOGLE + "drawing", text)
    assert (
        content_type == "application/pdf"
        and data.startswith(b"%PDF-")
        and data.endswith(b"%%EOF\n")
    )
    table = int(re.search(rb"startxref\n(\d+)", data)[1])
    places = [int(place) for place in re.findall(rb"(\d{10}) 00000 n", data[table:])]
    assert data[table:].startswith(b"xref") and len(places) == 5
    assert all(data[at:].startswith(b"%d 0 obj" % n) for n, at in enumerate(places, 1))
    length, stream = re.search(
        rb"/Length (\d+) >>\nstream\n(.*)\nendstream", data, re.DOTALL
    ).groups()
    assert int(length) == len(stream)
    if text.startswith("One"):
        assert b"(One \\(x\\) \\\\ \xe9) Tj" in stream


@pytest.mark.parametrize("kind", ["document", "spreadsheet", "presentation", "drawing"])
def test_nothing_is_something(kind):
    """An empty text has an export, too."""
    assert export(GOOGLE + kind, "")[0]


def test_what_has_no_export():
    """A form is refused."""
    with pytest.raises(Refusal, match="cannot be exported"):
        export(GOOGLE + "form", "x")


TICKET = {
    "id": "r1", "externalId": "T-1", "title": "It | breaks", "description": "**Really**\n\nbadly",
    "status": {"id": "3", "name": "Open"}, "priority": "high", "assignees": [{"name": "Ada"}, {"email": "b@x"}],
    "dueAt": None, "tags": ["a", "b"], "count": 3,
    "originalRecord": {
        "comments": [{"author": {"name": "Bob"}, "createdAt": "2025-01-01", "body": "First\nline"}, {"body": "Second"}],
        "attachments": [
            {"name": "log.txt", "text": "ü"}, {"name": "LOG.txt", "base64": base64.b64encode(b"\x00\xff").decode()},
            {"name": "../../etc/passwd", "text": "p"}, {"name": "C:\\x\\y?.png"}, {"name": ".."}, {},
            {"name": "n" * 500 + ".txt"}, {"name": "\ud800"},
        ],
    },
}  # fmt: skip


def test_a_ticket_as_a_zip():
    """The Markdown has title, properties, description and all comments; attachments have safe names."""
    parts = opened(ticket_zip(TICKET))
    page = parts.pop("ticket.md").decode()
    for line in ("# It \\| breaks", "| status | Open |", "| assignees | Ada, b@x |", "| tags | a, b |", "| dueAt |  |",
                 "| count | 3 |", "## Description\n\n**Really**\n\nbadly", "### Bob, 2025-01-01\n\nFirst\nline",
                 "### Comment\n\nSecond"):  # fmt: skip
        assert f"\n{line}\n" in f"\n{page}"
    assert parts == {
        "attachments/log.txt": "ü".encode(), "attachments/LOG (2).txt": b"\x00\xff", "attachments/passwd": b"p",
        "attachments/y_.png": b"", "attachments/attachment": b"", "attachments/attachment (2)": b"",
        f"attachments/{'n' * 116}.txt": b"", "attachments/_": b"",
    }  # fmt: skip
    assert ticket_zip(TICKET) == ticket_zip(TICKET)


@pytest.mark.parametrize(
    "original",
    [None, "x", {}, {"comments": 3, "attachments": "no"}, {"comments": [1], "attachments": [None]}],
)
def test_a_ticket_of_another_form(original):
    """A record that lacks what a ticket has makes a shorter file."""
    assert list(opened(ticket_zip({"id": "r1", "title": None, "originalRecord": original}))) == [
        "ticket.md"
    ]


def test_a_damaged_attachment():
    """Bytes that cannot be decoded are refused, naming the attachment."""
    with pytest.raises(Refusal, match=r"a\.bin"):
        ticket_zip({"originalRecord": {"attachments": [{"name": "a.bin", "base64": "ü"}]}})
