"""Google's own documents and what they are exported as. Source: api.md 4.9 and 5.

A text file named `.gdoc`, `.gsheet`, `.gslides` or `.gdraw` in a mounted folder stands for such a
document. Entirely ours: what its text means. A document has a paragraph a line; a sheet is read as
CSV; lines of `---` part slides, whose first line is the title; a drawing is one page. They are the
smallest files that office programs open, and the same text always gives the same bytes.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from xml.sax.saxutils import escape

from paragon_async.emulator.errors import Refusal

_GOOGLE = "application/vnd.google-apps."
_OFFICE = "application/vnd.openxmlformats-officedocument."
_NATIVE = {
    ".gdoc": f"{_GOOGLE}document",
    ".gsheet": f"{_GOOGLE}spreadsheet",
    ".gslides": f"{_GOOGLE}presentation",
    ".gdraw": f"{_GOOGLE}drawing",
}
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org"
_LINKS = f"{_MAIN}/officeDocument/2006/relationships"
_W = f'xmlns:w="{_MAIN}/wordprocessingml/2006/main"'
_S = f'xmlns="{_MAIN}/spreadsheetml/2006/main" xmlns:r="{_LINKS}"'
_P = (
    f'xmlns:a="{_MAIN}/drawingml/2006/main" xmlns:r="{_LINKS}" '
    f'xmlns:p="{_MAIN}/presentationml/2006/main"'
)
_ODD = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,10})?")
_ROWS, _COLUMNS, _CELL = 1 << 20, 1 << 14, 32_767
_LETTERS = 26


def native_type(filename: str) -> str | None:
    """Return the type of the Google document that a file stands for, None for other files."""
    return _NATIVE.get(PurePath(filename).suffix.lower())


def export(mime: str, text: str) -> tuple[bytes, str]:
    """Return the exported bytes and their type; refuse what has no export."""
    found = _EXPORTS.get(mime)
    if found is None:
        raise Refusal(403, f"Files of type {mime!r:.80} cannot be exported")
    make, content_type = found
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
    return make(_ODD.sub("\ufffd", lines)), content_type


def pack(parts: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a ZIP of names and bytes; all of it is dated 1980, so that it repeats."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in parts:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            archive.writestr(entry, data)
    return packed.getvalue()


def _package(types: dict[str, str], parts: dict[str, str]) -> bytes:
    """Return an office file: its parts, and an index of *types*, which begins with the main one."""
    overrides = "".join(
        f'<Override PartName="/{name}" ContentType="{_OFFICE}{kind}+xml"/>'
        for name, kind in types.items()
    )
    index = (
        f'<Types xmlns="{_MAIN}/package/2006/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>'
    )
    root = _relations([("officeDocument", next(iter(types)))])
    named = {"[Content_Types].xml": index, "_rels/.rels": root} | parts
    return pack((name, (_XML + part).encode()) for name, part in named.items())


def _relations(targets: Iterable[tuple[str, str]]) -> str:
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{_LINKS}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{_MAIN}/package/2006/relationships">{links}</Relationships>'


def _docx(text: str) -> bytes:
    paragraphs = "".join(
        f'<w:p><w:r><w:t xml:space="preserve">{escape(line)}</w:t></w:r></w:p>'
        if line
        else "<w:p/>"
        for line in text.split("\n")
    )
    page = '<w:sectPr><w:pgSz w:w="11906" w:h="16838"/></w:sectPr>'
    document = f"<w:document {_W}><w:body>{paragraphs}{page}</w:body></w:document>"
    types = {"word/document.xml": "wordprocessingml.document.main"}
    return _package(types, {"word/document.xml": document})


def _xlsx(text: str) -> bytes:
    rows = "".join(_rows(text))
    kind = "spreadsheetml"
    types = {
        "xl/workbook.xml": f"{kind}.sheet.main",
        "xl/worksheets/sheet1.xml": f"{kind}.worksheet",
    }
    sheets = '<sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets>'
    parts = {
        "xl/workbook.xml": f"<workbook {_S}>{sheets}</workbook>",
        "xl/_rels/workbook.xml.rels": _relations([("worksheet", "worksheets/sheet1.xml")]),
        "xl/worksheets/sheet1.xml": f"<worksheet {_S}><sheetData>{rows}</sheetData></worksheet>",
    }
    return _package(types, parts)


def _rows(text: str) -> Iterator[str]:
    large = Refusal(403, "This file is too large to be exported")
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline="")), 1):
            if number > _ROWS or len(row) > _COLUMNS or any(len(cell) > _CELL for cell in row):
                raise large
            cells = (_cell(f"{_column(n)}{number}", cell) for n, cell in enumerate(row) if cell)
            yield f'<row r="{number}">{"".join(cells)}</row>'
    except csv.Error:
        raise large from None


def _cell(place: str, text: str) -> str:
    if _NUMBER.fullmatch(text):
        return f'<c r="{place}"><v>{text}</v></c>'
    shown = f'<is><t xml:space="preserve">{escape(text)}</t></is>'
    return f'<c r="{place}" t="inlineStr">{shown}</c>'


def _column(number: int) -> str:
    name = ""
    while number >= 0:
        name = chr(ord("A") + number % _LETTERS) + name
        number = number // _LETTERS - 1
    return name


def _pptx(text: str) -> bytes:
    slides = [part.strip("\n") for part in re.split(r"(?m)^---[ \t]*$", text)]
    names = [f"slides/slide{n}.xml" for n in range(1, len(slides) + 1)]
    layout, master, theme = (
        "slideLayouts/slideLayout1.xml",
        "slideMasters/slideMaster1.xml",
        "theme/theme1.xml",
    )
    kind = "presentationml"
    types = {"presentation.xml": f"{kind}.presentation.main"} | dict.fromkeys(
        names, f"{kind}.slide"
    )
    types |= {layout: f"{kind}.slideLayout", master: f"{kind}.slideMaster", theme: "theme"}
    parts = {
        "presentation.xml": _presentation(len(slides)),
        "_rels/presentation.xml.rels": _relations(
            [("slideMaster", master), *(("slide", name) for name in names)]
        ),
        layout: f'<p:sldLayout {_P} type="blank"><p:cSld>{_tree("")}</p:cSld></p:sldLayout>',
        "slideLayouts/_rels/slideLayout1.xml.rels": _relations([("slideMaster", f"../{master}")]),
        master: _MASTER,
        "slideMasters/_rels/slideMaster1.xml.rels": _relations(
            [("slideLayout", f"../{layout}"), ("theme", f"../{theme}")]
        ),
        theme: _THEME,
    }
    for name, slide in zip(names, slides, strict=True):
        parts[name] = f"<p:sld {_P}><p:cSld>{_tree(_box(slide))}</p:cSld></p:sld>"
        parts[f"slides/_rels/{name[7:]}.rels"] = _relations([("slideLayout", f"../{layout}")])
    return _package(
        {f"ppt/{name}": kind for name, kind in types.items()},
        {f"ppt/{name}": part for name, part in parts.items()},
    )


def _presentation(count: int) -> str:
    slides = "".join(f'<p:sldId id="{256 + n}" r:id="rId{2 + n}"/>' for n in range(count))
    return (
        f'<p:presentation {_P}><p:sldMasterIdLst><p:sldMasterId id="2147483648" r:id="rId1"/>'
        f"</p:sldMasterIdLst><p:sldIdLst>{slides}</p:sldIdLst>"
        '<p:sldSz cx="9144000" cy="6858000"/><p:notesSz cx="6858000" cy="9144000"/></p:presentation>'
    )


def _tree(shapes: str) -> str:
    return (
        '<p:spTree><p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr>'
        f"<p:grpSpPr/>{shapes}</p:spTree>"
    )


def _box(text: str) -> str:
    title, *rest = text.split("\n")
    lines = f'<a:p><a:r><a:rPr sz="3200" b="1"/><a:t>{escape(title)}</a:t></a:r></a:p>'
    lines += "".join(f"<a:p><a:r><a:t>{escape(line)}</a:t></a:r></a:p>" for line in rest)
    return (
        '<p:sp><p:nvSpPr><p:cNvPr id="2" name="Text"/><p:cNvSpPr txBox="1"/><p:nvPr/></p:nvSpPr>'
        '<p:spPr><a:xfrm><a:off x="457200" y="457200"/><a:ext cx="8229600" cy="5943600"/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr>'
        f'<p:txBody><a:bodyPr wrap="square"/>{lines}</p:txBody></p:sp>'
    )


def _pdf(text: str) -> bytes:
    """Return one page, on which long texts are set in small letters."""
    lines = text.split("\n")
    leading = min(14.0, 700 / len(lines))
    shown = b"".join(b"(%b) Tj T*\n" % _quoted(line) for line in lines)
    fonts = b"/Resources << /Font << /F1 4 0 R >> >>"
    font = b"BT /F1 %.4f Tf %.4f TL 50 740 Td\n" % (leading * 0.8, leading)
    stream = font + shown + b"ET"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R %b >>" % fonts,
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
    )
    page, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(b"%010d 00000 n \n" % len(page))
        page += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"xref\n0 6\n0000000000 65535 f \n" + b"".join(places)
    end = b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(page)
    return page + table + end


def _quoted(line: str) -> bytes:
    return re.sub(rb"([\\()])", rb"\\\1", line.expandtabs(4).encode("cp1252", "replace"))


_COLOURS = "".join(
    f'<a:{name}><a:srgbClr val="{value}"/></a:{name}>'
    for name, value in (
        ("dk1", "000000"), ("lt1", "FFFFFF"), ("dk2", "44546A"), ("lt2", "E7E6E6"),
        ("accent1", "4472C4"), ("accent2", "ED7D31"), ("accent3", "A5A5A5"), ("accent4", "FFC000"),
        ("accent5", "5B9BD5"), ("accent6", "70AD47"), ("hlink", "0563C1"), ("folHlink", "954F72"),
    )
)  # fmt: skip
_FONT = '<a:latin typeface="Arial"/><a:ea typeface=""/><a:cs typeface=""/>'
_FILL = '<a:solidFill><a:schemeClr val="phClr"/></a:solidFill>'
_EFFECT = "<a:effectStyle><a:effectLst/></a:effectStyle>"
# Office programs refuse a theme that lacks any of these lists, or an entry of one.
_THEME = (
    f'<a:theme xmlns:a="{_MAIN}/drawingml/2006/main" name="Plain"><a:themeElements>'
    f'<a:clrScheme name="Plain">{_COLOURS}</a:clrScheme><a:fontScheme name="Plain"><a:majorFont>{_FONT}'
    f'</a:majorFont><a:minorFont>{_FONT}</a:minorFont></a:fontScheme><a:fmtScheme name="Plain">'
    f"<a:fillStyleLst>{_FILL * 3}</a:fillStyleLst><a:lnStyleLst>{f'<a:ln>{_FILL}</a:ln>' * 3}"
    f"</a:lnStyleLst><a:effectStyleLst>{_EFFECT * 3}</a:effectStyleLst><a:bgFillStyleLst>{_FILL * 3}"
    "</a:bgFillStyleLst></a:fmtScheme></a:themeElements></a:theme>"
)
_MASTER = (
    f"<p:sldMaster {_P}><p:cSld>{_tree('')}</p:cSld>"
    '<p:clrMap bg1="lt1" tx1="dk1" bg2="lt2" tx2="dk2" accent1="accent1" accent2="accent2" '
    'accent3="accent3" accent4="accent4" accent5="accent5" accent6="accent6" hlink="hlink" '
    'folHlink="folHlink"/><p:sldLayoutIdLst><p:sldLayoutId id="2147483649" r:id="rId1"/>'
    "</p:sldLayoutIdLst></p:sldMaster>"
)
_EXPORTS: dict[str, tuple[Callable[[str], bytes], str]] = {
    f"{_GOOGLE}document": (_docx, f"{_OFFICE}wordprocessingml.document"),
    f"{_GOOGLE}spreadsheet": (_xlsx, f"{_OFFICE}spreadsheetml.sheet"),
    f"{_GOOGLE}presentation": (_pptx, f"{_OFFICE}presentationml.presentation"),
    f"{_GOOGLE}drawing": (_pdf, "application/pdf"),
}
