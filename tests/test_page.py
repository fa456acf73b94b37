"""A mirror as a page: counted right, self-contained, and safe with names from outside."""

from __future__ import annotations

import asyncio
import re
import shutil
from html.parser import HTMLParser

import attrs
import pytest

from paragon_async.cli.charts import Mark, bars, ceiling, columns, short
from paragon_async.cli.page import page
from paragon_async.emulator import Emulator
from paragon_async.ingest.survey import Amount, Survey, kind_of, survey
from tests.ingest.fakes import ingest, quick_user

EVIL = "evil\x1b[31m<img src=x onerror=y>\u202e.txt"
NOW = 1_790_000_000.0


@pytest.fixture
async def mirror(tmp_path):
    """A mirror of files of several kinds and sizes, with deletes, a dead letter, and several runs."""
    folder, mirror = tmp_path / "drive", tmp_path / "mirror"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.{'pdf' if number % 2 else 'TXT'}").write_bytes(b"x" * 2**number)
    (folder / "empty").touch()
    (folder / EVIL).write_text("evil")
    async with Emulator(folder, settle=0, rescan=0) as emulator, quick_user(emulator) as user:
        sync = await user.syncs.enable("googledrive", "files")
        await user.syncs.wait_until_idle(sync.id)
        evil = [r async for r in user.records.pull(sync.id) if r.data["name"] == EVIL]
        emulator.fault(path=f"*/{evil[0].id}/content", status=403, times=None)
        await ingest(user, sync.id, mirror).run()
        (folder / "3.pdf").unlink()
        await emulator.refresh()
        await ingest(user, sync.id, mirror).run()
    return mirror


async def test_a_survey_counts_what_lies_there(mirror):
    """Kinds, sizes and times of contents are counted once each; deletes and runs are there."""
    (found,) = survey(mirror)
    assert found.kinds == {
        ".pdf": Amount(files=9, bytes=sum(2**n for n in range(1, 20, 2)) - 8),
        ".txt": Amount(files=10, bytes=sum(2**n for n in range(0, 20, 2))),
        "none": Amount(files=1, bytes=0),
    }
    assert found.sizes[0] == Amount(files=1, bytes=0)
    assert found.sizes[3] == Amount(files=1, bytes=4) and 4 not in found.sizes
    assert sum(a.files for a in found.stored.values()) == found.overview.contents == 20
    assert sum(found.deleted.values()) == found.overview.deleted == 1
    assert len(found.overview.runs) == 2


class Page(HTMLParser):
    """Collects tags, what they refer to, and words."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [v for k, v in attributes if k in {"src", "href"} or k.startswith("on")]

    def handle_data(self, data):
        self.words.append(data)


async def test_a_page_is_self_contained_and_obeys_no_name(mirror):
    """No script, no link to anywhere; a name full of markup and control stands there as words."""
    text = page(survey(mirror), f"Mirror {EVIL}", NOW)
    found = Page(text)
    assert "script" not in found.tags and "img" not in found.tags
    assert found.links == ["data:,"]
    assert "default-src 'none'" in text
    assert r"evil\x1b[31m<img src=x onerror=y>\u202e.txt" in " ".join(found.words)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert found.tags.count("svg") == 7


async def test_a_page_shows_the_figures(mirror):
    """Tiles, plots, dead letters and runs hold what the survey holds."""
    words = " ".join(Page(page(survey(mirror), "Mirror", NOW)).words)
    for figure in (".txt: 10, 349.5 kB", "empty: 1, 0 B", "1 deleted", "403: 1", "no"):
        assert figure in words
    assert words.count("done") >= 2 * 2


async def test_an_empty_mirror_is_a_page(mirror):
    """Without feeds, and with a feed without anything, the page says that there is nothing yet."""
    assert "Nothing was mirrored yet." in page([], "Mirror", NOW)
    (found,) = survey(mirror)
    bare = attrs.evolve(found.overview, runs=[], dead={}, letters=[], contents=0, bytes=0)
    empty = Survey(overview=bare, kinds={}, sizes={}, stored={}, deleted={})
    assert page([empty], "Mirror", NOW).count("Nothing yet.") == 3


@pytest.mark.parametrize(
    ("path", "kind"),
    [("files/1/a.PDF", ".pdf"), ("a", "none"), (".hidden", "none"), ("a.b c", "none"), ("a.", "none"),
     ("a.tar.gz", ".gz"), ("x." + "y" * 20, "none")],
)  # fmt: skip
def test_a_kind_is_a_sensible_suffix(path, kind):
    """A suffix counts in small letters, and only where it looks like one."""
    assert kind_of(path) == kind


@pytest.mark.parametrize(
    ("value", "above"),
    [(0, 1), (1, 1), (1.1, 2), (9, 10), (10, 10), (11, 20), (24, 25), (1e9, 1e9), (0.3, 0.5), (0.004, 0.005)],
)  # fmt: skip
def test_an_axis_ends_at_a_round_figure(value, above):
    """The top of an axis is the next of 1, 2, 2.5 and 5 times a power of ten."""
    assert ceiling(value) == pytest.approx(above)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (1500, "1.5k"), (2.5e6, "2.5M"), (3e9, "3G"), (0.25, "0.25")]
)  # fmt: skip
def test_figures_are_short(value, text):
    """An axis says thousands as k, millions as M."""
    assert short(value) == text


def test_marks_are_drawn_to_scale():
    """The largest bar fills its room, half of it is half as wide; a column of nothing is none."""
    widths = re.findall(
        r'<rect [^>]*width="([\d.]+)"', bars([Mark("a", 4, "4"), Mark("b", 2, "2")], "x")
    )
    assert float(widths[0]) == pytest.approx(2 * float(widths[1]))
    heights = re.findall(
        r'<rect [^>]*height="([\d.]+)"',
        columns([Mark("a", 10, "10"), Mark("b", 0, "0"), Mark("c", 5, "5")], "x", "files"),
    )
    assert len(heights) == 2 and float(heights[0]) == pytest.approx(2 * float(heights[1]))


@pytest.mark.proof
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium here")
async def test_a_browser_opens_the_page_without_a_complaint(mirror, tmp_path):
    """A real Chromium shows the page, with its plots, and its console stays empty."""
    file = tmp_path / "report.html"
    file.write_text(page(survey(mirror), "Mirror", NOW), encoding="utf-8")
    chromium = await asyncio.create_subprocess_exec(
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri()),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    shown, said = await chromium.communicate()
    assert chromium.returncode == 0 and b"CONSOLE" not in said
    assert shown.count(b"<svg") == 7 and b"Last runs" in shown
