"""A mirror as one self-contained page: `ingest report`. Pure: surveys in, HTML out.

No script, no font, no picture from elsewhere: the page opens from a disk without a network, and its own
policy forbids it to load anything. All that comes from outside is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from paragon_async.cli.charts import Mark, bars, columns, short
from paragon_async.cli.figures import rate, size, span
from paragon_async.cli.outcome import plain
from paragon_async.ingest.overview import Ran
from paragon_async.ingest.survey import Amount, Survey
from paragon_async.ingest.values import DeadLetter

_KINDS = 12
_COLUMNS = 60
_RUNS = 60
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_STEPS = (_MINUTE, 10 * _MINUTE, _HOUR, 6 * _HOUR, _DAY, 7 * _DAY, 30 * _DAY, 365 * _DAY)
_STYLE = """
:root { --ink: #1c2024; --soft: #68727d; --paper: #fff; --card: #f5f6f8; --line: #e2e5e9;
  --one: #2f6fde; --two: #e0662b; --bad: #c92a3e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #98a2ad; --paper: #14171a;
  --card: #1e2226; --line: #31373d; --one: #6ea2ff; --two: #ff9a63; --bad: #ff6b7d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 66rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.2rem; margin: 3rem 0 .2rem; }
h3 { font-size: 1rem; margin: 0 0 .6rem; } p { margin: .2rem 0; color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: .8rem;
  margin: 1.2rem 0; }
.tile, .card { background: var(--card); border-radius: 10px; padding: .9rem 1.1rem; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.3; overflow-wrap: anywhere; }
.tile.bad b { color: var(--bad); } .tile span { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr));
  gap: .8rem; }
.card svg { max-width: 45rem; display: block; } .card + .card { margin: 0; }
.wide { margin: .8rem 0 2rem; }
svg { width: 100%; height: auto; font-size: 13px; fill: var(--soft); }
svg .one { fill: var(--one); } svg .two { fill: var(--two); } svg .bad { fill: var(--bad); }
svg .figure { fill: var(--ink); } svg .grid { stroke: var(--line); }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; font-size: .92em; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 500; white-space: nowrap; } td:first-child { min-width: 9rem; }
 td.n { text-align: right; white-space: nowrap; }
i { font-style: normal; padding: 0 .5em; border-radius: 1em; background: var(--one);
  color: var(--paper); }
i.two { background: var(--two); } i.bad { background: var(--bad); }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(surveys: Sequence[Survey], title: str, now: float) -> str:
    """Return the page of a mirror called *title*, as it was at *now*, Unix time."""
    body = "".join(_feed(survey, now) for survey in surveys) or "<p>Nothing was mirrored yet.</p>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Without it a browser asks for one.
        '<link rel="icon" href="data:,">'
        f"<title>{_safe(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{_safe(title)}</h1><p>{_moment(now)}</p>\n{body}</body></html>\n"
    )


def _feed(survey: Survey, now: float) -> str:
    found = survey.overview
    feed = found.feed
    who = f"user {feed.user or 'of the token'}, project {feed.project or 'of the token'}"
    where = found.sink + (f", rows as {found.format}" if found.format else "")
    return "\n".join(
        [
            f"<section><h2>Sync {_safe(feed.sync)}</h2><p>{_safe(who)}; {_safe(where)}</p>",
            _tiles(survey, now),
            '<div class="cards">',
            _card("Contents by kind", _kinds(survey.kinds)),
            _card("Contents by size", _sizes(survey.sizes)),
            _card("Contents stored", _activity(survey)),
            _card("Throughput of runs", _throughput(found.runs)),
            "</div>",
            _letters(found.dead, found.letters),
            _runs(found.runs),
            "</section>",
        ]
    )


def _tiles(survey: Survey, now: float) -> str:
    found = survey.overview
    dead = sum(found.dead.values())
    last = f"{span(now - found.runs[0].started_at)} ago" if found.runs else "never"
    tiles = [
        ("records", f"{found.records:,}", False),
        ("deleted", f"{found.deleted:,}", False),
        ("contents", f"{found.contents:,}", False),
        ("stored", size(found.bytes), False),
        ("dead letters", f"{dead:,}", dead > 0),
        ("to be deleted", f"{found.doomed:,}", found.doomed > 0),
        ("last run", last, bool(found.runs) and found.runs[0].outcome != "done"),
    ]
    shown = "".join(
        f'<div class="tile{" bad" if is_bad else ""}"><b>{_safe(value)}</b><span>{name}</span></div>'
        for name, value, is_bad in tiles
    )
    return f'<div class="tiles">{shown}</div>'


def _kinds(kinds: dict[str, Amount]) -> str:
    ranked = sorted(kinds.items(), key=lambda kind: (-kind[1].files, kind[0]))
    shown = [(plain(name), amount) for name, amount in ranked[:_KINDS]]
    if rest := [amount for _, amount in ranked[_KINDS:]]:
        others = Amount(files=sum(a.files for a in rest), bytes=sum(a.bytes for a in rest))
        shown.append((f"{len(rest)} others", others))
    return bars([Mark(name, a.files, _amount(a)) for name, a in shown], "Contents by kind")


def _sizes(sizes: dict[int, Amount]) -> str:
    if not sizes:
        return ""
    marks = []
    for power in range(min(sizes), max(sizes) + 1):
        amount = sizes.get(power, Amount(files=0, bytes=0))
        name = "empty" if not power else f"<{size(1 << power)}"
        marks.append(Mark(name, amount.files, _amount(amount)))
    return columns(marks, "Contents by size", "files")


def _activity(survey: Survey) -> str:
    moments = [*survey.stored, *survey.deleted]
    if not moments:
        return ""
    first, last = min(moments), max(moments)
    step = next((s for s in _STEPS if (last - first) // s < _COLUMNS), _STEPS[-1])
    count = (last - first) // step + 1
    stored = [Amount(files=0, bytes=0)] * count
    for at, amount in survey.stored.items():
        before = stored[(at - first) // step]
        stored[(at - first) // step] = Amount(
            files=before.files + amount.files, bytes=before.bytes + amount.bytes
        )
    deleted = [0] * count
    for at, number in survey.deleted.items():
        deleted[(at - first) // step] += number
    form = "%d %b %H:%M" if step < _DAY else "%d %b %Y"
    names = [datetime.fromtimestamp(first + n * step, UTC).strftime(form) for n in range(count)]
    drawn = columns(
        [Mark(name, a.files, _amount(a)) for name, a in zip(names, stored, strict=True)],
        "Contents stored over time",
        f"files in {span(step)}",
    )
    if not any(deleted):
        return drawn
    marks = [Mark(n, d, f"{d:,} deleted", "two") for n, d in zip(names, deleted, strict=True)]
    return drawn + columns(marks, "Records deleted over time", f"records deleted in {span(step)}")


def _throughput(runs: Sequence[Ran]) -> str:
    shown = [ran for ran in reversed(runs[:_RUNS]) if ran.report.records or ran.report.bytes]
    if not shown:
        return ""
    parts = []
    for what, unit in (("records", "records/s"), ("bytes", "B/s")):
        marks = [
            Mark(_brief(ran.started_at), each, f"{short(each)} {unit}, {ran.outcome}", _colour(ran))
            for ran in shown
            for each in [rate(getattr(ran.report, what), ran.report.seconds)]
        ]
        if any(mark.value for mark in marks):
            parts.append(columns(marks, f"Throughput of runs, {what}", unit))
    return "".join(parts)


def _letters(dead: dict[str, int], letters: Sequence[DeadLetter]) -> str:
    if not dead:
        return "<h3>Dead letters</h3><p>None.</p>"
    chart = bars(
        [Mark(kind, n, f"{n:,}", "bad") for kind, n in dead.items()], "Dead letters by kind"
    )
    rows = [
        (letter.name or letter.id, letter.kind, letter.reason, "yes" if letter.passing else "no")
        for letter in letters
    ]
    left = sum(dead.values()) - len(rows)
    more = f"<p>and {left:,} more</p>" if left > 0 else ""
    head = ("record", "kind", "reason", "may pass")
    return f'<div class="card wide"><h3>Dead letters</h3>{chart}{_table(head, rows)}{more}</div>'


def _runs(runs: Sequence[Ran]) -> str:
    if not runs:
        return ""
    lines = []
    for ran in runs[:_RUNS]:
        report = ran.report
        figures = [f"{report.records:,}", f"{report.created:,}", f"{report.updated:,}"]
        figures += [f"{report.deleted:,}", f"{report.files:,}", size(report.bytes)]
        cells = "".join(
            f'<td class="n">{figure}</td>' for figure in [*figures, span(report.seconds)]
        )
        outcome = f'<i class="{_colour(ran)}">{_safe(ran.outcome)}</i>'
        lines.append(
            f"<tr><td>{_moment(ran.started_at)}</td><td>{_safe(ran.kind)}</td><td>{outcome}</td>{cells}</tr>"
        )
    names = (
        "begun",
        "kind",
        "outcome",
        "records",
        "created",
        "updated",
        "deleted",
        "files",
        "bytes",
        "took",
    )
    head = "".join(f"<th>{name}</th>" for name in names)
    return f"<h3>Last runs</h3><table><tr>{head}</tr>{''.join(lines)}</table>"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    names = "".join(f"<th>{name}</th>" for name in head)
    lines = ["".join(f"<td>{_safe(value)}</td>" for value in row) for row in rows]
    return f"<table><tr>{names}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _card(title: str, inside: str) -> str:
    return f'<div class="card"><h3>{title}</h3>{inside or "<p>Nothing yet.</p>"}</div>'


def _colour(ran: Ran) -> str:
    return {"done": "one", "stopped": "two"}.get(ran.outcome, "bad")


def _amount(amount: Amount) -> str:
    return f"{amount.files:,}, {size(amount.bytes)}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _brief(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%d %b %H:%M")


def _safe(text: str) -> str:
    return escape(plain(text))
