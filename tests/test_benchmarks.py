"""The benchmarks: that every suite runs, that work is checked, that tables say what was measured."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree as ET

import pytest

from benchmarks import canned, corpus, plots, results, serving, targets
from benchmarks.__main__ import main
from benchmarks.corpus import Corpus
from benchmarks.running import Case, Contender, Row, Setting, Table
from benchmarks.targets import TARGETS, Target, verdict
from benchmarks.task import Figure, Item, Task


def figure(wall, **known):
    return Figure(**{"wall": wall, "cpu": wall / 2, "memory_mb": 40.0, "count": 1000} | known)


def table(**walls):
    rows = [Row(name=name, is_ours=name == "ours", figures=[figure(w) for w in each]) for name, each in walls.items()]  # fmt: skip
    return Table(title="Drain, <fast>", rows=rows, floor="floor", ideal=1.0)


def scripted(name, script, **known):
    return Contender(name=name, argv=(sys.executable, "-c", script), **known)


def run(contenders, *, rounds=1, **known):
    told = []
    case = Case(title="t", task=known.pop("task", Task()), contenders=contenders, count=3, rounds=rounds, **known)  # fmt: skip
    return Setting(is_quick=False, tell=told.append).run(case), told


GOOD = 'print(\'{"wall": 1, "cpu": 1, "memory_mb": 1, "count": 3}\')'


@pytest.mark.parametrize("suite", results.SUITES)
def test_suite(suite, tmp_path, capsys):
    """Each suite yields figures for everyone who is there, names who is missing, and keeps its page."""
    tables = main([suite, "--quick", "--out", str(tmp_path)])
    shown, page = capsys.readouterr(), (tmp_path / "RESULTS.md").read_text()
    assert f"## {suite}" in page and "round 1 of 1" in shown.err
    for each in tables:
        assert each.title in page and each.title in shown.out
        for row in each.rows:
            assert row.figures or row.missing
            # A peer that breaks is named with its reason, and is its makers' matter.
            is_own = row.is_ours or row.name.startswith(("floor", "aiohttp", "bare"))
            assert not (is_own and row.missing.startswith("failed")), f"{row.name}: {row.missing}"
    drawn = {path.name for path in (tmp_path / "plots").iterdir()}
    # A table in which everybody is missing, as the one over TLS without nginx, has nothing to draw.
    assert drawn == {
        plots.file_name(suite, each) for each in tables if any(row.figures for row in each.rows)
    }
    names = {each.title: {row.name for row in each.rows} for each in tables}
    for target in (each for each in TARGETS if each.suite == suite and each.table in names):
        wanted = {target.ours, target.peer} | ({target.of} if target.kind == "excess" else set())
        assert wanted - {""} <= names[target.table]


def test_missing_and_failed():
    """Who is not there is named with the reason; who fails has no figures, and a reason too."""
    found, _ = run(
        [
            scripted("good", GOOD),
            scripted("absent", GOOD, needs=("program:no-such-program",)),
            scripted("bare", GOOD, needs=("module:no_such_module",)),
            scripted("broken", "raise SystemExit('no luck')"),
            scripted("lazy", GOOD.replace("3", "2")),
        ],
        rounds=2,
    )
    assert {row.name: (len(row.figures), row.missing) for row in found.rows} == {
        "good": (2, ""),
        "absent": (0, "no-such-program is not on this machine"),
        "bare": (0, "no_such_module is not installed"),
        "broken": (0, "failed: no luck"),
        "lazy": (0, "failed: 2 records came, not 3"),
    }


def test_interleaved():
    """Rounds go through all contenders, each time beginning with another one."""
    _, told = run([scripted(name, GOOD) for name in "abc"], rounds=3)
    assert [re.search(r": (\w),", line)[1] for line in told] == list("abcbcacab")


WRITE = "import json, sys, pathlib; t = json.load(sys.stdin); f = pathlib.Path(t['folder'])\n"


@pytest.mark.parametrize(
    ("work", "trouble"),
    [
        ("(f / 'id-1.bin').write_bytes(b'12345')", ""),
        ("(f / 'id-1').mkdir(); (f / 'id-1' / 'report').write_bytes(b'12345')", ""),
        ("(f / 'id-1.bin').write_bytes(b'1234')", "failed: a file has 4 bytes, not 5"),
        ("(f / 'id-1.bin').write_bytes(b'54321')", "failed: the content of a file is wrong"),
        ("(f / 'else').write_bytes(b'12345')", "failed: the file of record id-1"),
    ],
)
def test_files_are_checked(work, trouble, tmp_path):
    """A file that is missing, short or another one is a failure; the folder is gone afterwards."""
    item = Item(id="id-1" + 32 * "-", size=5, name="unused")
    script = WRITE + work.replace("id-1", item.id) + "\n" + GOOD
    digest = hashlib.sha256(b"12345").hexdigest()
    found, _ = run([scripted("one", script)], task=Task(items=[item]), room=tmp_path, digest=lambda _: digest)  # fmt: skip
    assert found.rows[0].missing.startswith(trouble) and bool(trouble) == (
        not found.rows[0].figures
    )
    assert list(tmp_path.iterdir()) == []


def test_what_a_case_adds():
    """What is asked of the server after a run is added to the run's own figures."""
    found, _ = run([scripted("one", GOOD)], after=lambda name: {"in_flight": float(len(name))})
    assert found.rows[0].more("in_flight") == 3.0 and found.rows[0].more("other") is None


def test_speed_is_a_median_of_pairs():
    """A ratio is taken within each round, and the median of them counts."""
    found = table(ours=[1.0, 2.0, 4.0], floor=[1.0, 4.0, 4.0], absent=[])
    assert found.speed("ours", "floor") == 1.0
    assert found.speed("ours", "absent") is None and found.speed("nobody", "ours") is None


@pytest.mark.parametrize(
    ("kind", "wanted", "reached", "outcome"),
    [
        ("speed", 2.0, "2", "met"),
        ("speed", 4.0, "2", "short by 50%"),
        ("ideal", 1.5, "1.5", "met"),
        ("ideal", 1.0, "1.5", "short by 50%"),
        ("memory", 60, "40", "met"),
        ("memory", 20, "40", "short by 100%"),
        ("growth", 0.5, "0.5", "met"),
        ("more", 20, "5", "met"),
        ("beyond", -1.0, "-1.5", "met"),
        ("excess", 0.5, "0.4", "met"),
    ],
)
def test_targets(kind, wanted, reached, outcome):
    """Every kind of target is held against its rows, and says how much it is short by."""
    found, other = table(ours=[1.5], peer=[3.0], floor=[0.5]), table(ours=[1.0])
    found.rows[0].figures[0].more["lag_ms"] = 5.0
    other.rows[0].figures = [figure(1.0, memory_mb=80.0)]
    of = {"more": "lag_ms", "excess": "floor", "growth": "other"}.get(kind, "")
    target = Target("pull", "t", kind, "ours", wanted, "peer", of)
    given = verdict(target, {"t": found, "other": other})
    assert (given.reached, given.outcome) == (reached, outcome) and target.what.startswith("ours, ")


@pytest.mark.parametrize("kind", ["speed", "beyond", "excess", "growth"])
def test_a_target_without_its_peer(kind):
    """Where a peer or a table is missing nothing is claimed."""
    target = Target("pull", "t", kind, "ours", 1.0, "curl", "else")
    for tables in ({}, {"t": table(curl=[1.0])}, {"t": table(ours=[1.0])}):
        assert verdict(target, tables).outcome == "not measured: who it takes is missing"


def test_tables():
    """Text and Markdown show wall, ratio, CPU and memory, and the reason of who is missing."""
    found = table(ours=[1.0, 3.0, 2.0], floor=[1.0, 1.5, 1.0])
    found.rows.append(Row(name="a|b", missing="it is not here"))
    text, page = results.as_text(found), results.as_markdown(found)
    assert re.search(r"ours +2.000 \(1.000\) +500 records/s +0.50 +1.000 +40\n", text)
    assert "| **ours** | 2.000 (1.000) | 500 records/s | 0.50 | 1.000 | 40 |" in page
    assert "| a\\|b | it is not here |" in page and "a|b" in text


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        ({"count": 2, "bytes": 8 << 20}, "4 MiB/s"),
        ({"count": 1}, "2,000 ms"),
        ({}, "500 records/s"),
    ],
)
def test_rates(known, shown):
    """Large files are shown in MiB/s, a single start in its time, all else by the piece."""
    found = Table(title="t", rows=[Row(name="x", figures=[figure(2.0, **known)])])
    assert results.rate(found, found.rows[0])[0] == shown


def test_page_keeps_what_it_does_not_measure():
    """A section takes the place of its older self; others and words by hand stay, suites in order."""
    page = results.page("", {"many": "MANY 1\n"})
    page = results.page(page + "By hand.\n", {"pull": "PULL 1\n"})
    page = results.page(page, {"many": "MANY 2\n"})
    again = results.page(page, {"many": "MANY 2\n"})
    assert page == again and "MANY 1" not in page
    places = [page.index(word) for word in ("# Results", "PULL 1", "MANY 2", "did not pay", "By hand.")]  # fmt: skip
    assert places == sorted(places)


def test_section():
    """A section names the machine, the versions, and what was asked beside what was reached."""
    made = results.section("pull", [Table(title=TARGETS[0].table, rows=[])])
    assert "Python 3." in made and "aiohttp 3." in made and "not measured" in made


def test_plot():
    """A plot is small, well-formed, has a bar a row in proportion, and ours stands out."""
    drawn = plots.bars(table(ours=[2.0], floor=[1.0], absent=[]))
    root = ET.fromstring(drawn)  # noqa: S314  # ours
    rects = [(node.get("fill"), float(node.get("width"))) for node in root.iter() if node.tag.endswith("rect")]  # fmt: skip
    assert len(drawn) < 10_000 and len(rects) == 2 and rects[0][0] != rects[1][0]
    assert rects[0][1] == pytest.approx(2 * rects[1][1], abs=0.2)
    assert "Drain, &lt;fast&gt;" in drawn and "500 records/s" in drawn
    assert plots.bars(table(absent=[])) is None
    assert plots.file_name("pull", table()) == "pull-drain-fast.svg"


def test_plot_of_times():
    """Where times are shown the shortest bar is the best."""
    rows = [Row(name=str(wall), figures=[figure(wall, count=1)]) for wall in (2.0, 1.0)]
    drawn = plots.bars(Table(title="t", rows=rows))
    widths = [float(found) for found in re.findall(r'width="([\d.]+)" height="18"', drawn)]
    assert "shorter is better" in drawn and widths[0] < widths[1]


def test_corpus_pages():
    """The pages of a corpus lead from one to the next, to the end, and no id comes twice."""
    cursor, seen = None, []
    while True:
        page = json.loads(corpus.page(cursor, 400, 1500))
        seen += [record["id"] for record in page["data"]]
        cursor = page["paging"]["cursor"]
        if not page["paging"]["remainingRecords"]:
            break
    assert len(seen) == len(set(seen)) == 1500
    assert 600 < len(corpus.page(None, 1000)) / 1000 < 720


@pytest.mark.parametrize(("tls", "emulated"), [(False, True), (False, False), (True, False)])
def test_serving(tls, emulated):
    """nginx, over TLS too, and the emulator hold the records and contents that they are said to."""
    if not emulated and serving.nginx() is None:
        pytest.skip("nginx is not on this machine")
    with corpus.room(1 << 20) as room:
        made = Corpus(room.path)
        made.pages(100, 250)
        made.files(3, 70_000)
        with serving.serving(made, is_tls=tls, is_emulated=emulated) as served:
            task = served.task()
            context = None
            if served.ca_file:
                import ssl

                context = ssl.create_default_context(cafile=served.ca_file)
            request = urllib.request.Request(task.content_url(task.items[1]), headers=task.headers)
            with urllib.request.urlopen(request, context=context) as answer:
                content = answer.read()
            assert len(content) == task.items[1].size
            assert hashlib.sha256(content).hexdigest() == served.digest(task.items[1])
            assert len({served.digest(item) for item in task.items}) == len(task.items) == 3
    assert not room.path.exists()


def test_tls_needs_nginx(tmp_path):
    """Without nginx there is no TLS, and the reason is said."""
    service = serving.serving(Corpus(tmp_path), is_tls=True, is_emulated=True)
    with pytest.raises(serving.UnavailableError, match="nginx"), service:
        pass


def test_canned_counts():
    """The canned server says how many answers were under way, then begins anew."""
    with canned.canned(latency=0.2, records=300, page_size=100, file_size=5) as url:

        def ask(path):
            with urllib.request.urlopen(url + path) as answer:
                return answer.read()

        with ThreadPoolExecutor() as pool:
            pages = list(pool.map(ask, ["/api/syncs/s/records?pageSize=100&cursor=c100"] * 3))
        told = json.loads(ask("/_canned/stats"))
        assert told["requests"] == 3 and 1 <= told["mean"] <= told["most"] <= 3
        assert json.loads(ask("/_canned/stats"))["requests"] == 0
        assert pages[0] == corpus.page("c100", 100, 300)
        assert ask("/api/syncs/s/records/x/content") == b"".join(corpus.content(1, 5))
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask("/else")


def test_targets_name_known_suites():
    """Nothing is asked of a suite that does not exist."""
    assert {each.suite for each in targets.TARGETS} <= set(results.SUITES)
