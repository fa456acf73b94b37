"""Every cut of a page of records, in every framing: an error, or asked for again, never a short page.

A page has one more witness than a file: cut JSON is no JSON. So even a page that nothing marks the
end of, and that ends as connections do end, is found at each of its cuts.
"""

from __future__ import annotations

import json

import pytest

from paragon_async import NotJsonError, ParagonError
from paragon_async.convert import parse
from tests.proofs.framings import (
    FRAMINGS,
    all_of,
    cuts,
    every_framing,
    every_reframing,
    reframed,
    to_the_end,
    unnoticed,
)
from tests.proofs.memory import FIN, RST, Memory, records_of

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]
S = "sync-1"
ITEMS = [{"id": f"r{n}", "name": f"{n}.txt", "note": f"{n:032x}"} for n in range(48)]
PAGE = json.dumps({"data": ITEMS, "paging": {"cursor": "c", "remainingRecords": 0}}).encode()
IDS = [item["id"] for item in ITEMS]


async def pulls(answers, end=FIN):
    """Pull a feed of one page for every answer."""
    turn = iter(answers)
    async with records_of(Memory(lambda _: (next(turn), end))) as records:

        async def one(_):
            return [record.id async for record in records.pull(S)]

        found = {}
        for k in range(len(answers)):
            found |= await all_of(one, [k])
        return found


@every_framing
@pytest.mark.parametrize("end", [FIN, RST])
async def test_pages(framing, end):
    """A page is whole or an error that is tried again, at every cut and in every framing."""
    whole = FRAMINGS[framing](PAGE)
    answers = cuts(whole) if end == FIN else [*cuts(whole)[:-1:11], whole]
    found = await pulls(answers, end)
    last = len(answers) - 1
    never = framing == "close" and end == RST
    assert unnoticed(found) == ([] if never else [last])
    assert found[last] == IDS or never
    assert all(error.retryable for error in found.values() if isinstance(error, ParagonError))


@every_reframing
async def test_pages_cut_before_they_were_framed(framing):
    """A page whose gzip was cut is found at every cut, also when its framing agrees with the cut."""
    answers = reframed(framing, PAGE)
    found = await pulls(answers)
    assert unnoticed(found) == [len(answers) - 1]
    assert found[len(answers) - 1] == IDS


@every_framing
async def test_a_pull_survives_a_cut(framing):
    """A page that was cut is asked for again, and the pull gives what it always gives."""
    whole = FRAMINGS[framing](PAGE)
    turn = iter([part for k in range(0, len(whole), 97) for part in (whole[:k], whole)])
    async with records_of(Memory(lambda _: (next(turn), FIN)), attempts=2) as records:
        for _ in range(0, len(whole), 97):
            assert [record.id async for record in records.pull(S)] == IDS
    assert list(turn) == []


def large_page():
    """A page whose paging is read before its records are, with a paging inside of a record."""
    inner = {"note": "x" * 70_000, "paging": {"cursor": "nowhere", "remainingRecords": 1}}
    data = [{"id": "a"}, {"id": "b", "data": inner}, {"id": "c", "name": "y" * 200}]
    paging = {"cursor": "c1", "remainingRecords": 1}
    return json.dumps({"data": data, "paging": paging}, separators=(",", ":")).encode()


async def test_large_pages_survive_a_cut():
    """A large page, decoded only after the next was asked for, is never taken for whole when cut."""
    page = large_page()
    last = to_the_end(b'{"data":[{"id":"z"}],"paging":{"remainingRecords":0}}')
    places = [*range(0, len(page) - 300, 1999), *range(len(page) - 300, len(page))]
    for k in places:
        first = iter([to_the_end(page[:k])])

        def answers(url, first=first):
            body = last if url.query.get("cursor") == "c1" else next(first, to_the_end(page))
            return body, FIN

        async with records_of(Memory(answers), attempts=3) as records:
            assert [record.id async for record in records.pull(S)] == ["a", "b", "c", "z"]


def test_json_that_is_cut_is_no_json():
    """The page that stands for all others is short of being JSON at each of its cuts."""
    for k in range(len(PAGE)):
        with pytest.raises(NotJsonError):
            parse(PAGE[:k])
