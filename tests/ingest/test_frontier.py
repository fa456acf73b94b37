from __future__ import annotations

from itertools import combinations, permutations

import pytest

from paragon_async.ingest.frontier import Frontier

PAGES = range(6)


def begun(*cursors, saved=None):
    frontier = Frontier(saved)
    return frontier, [frontier.begin(cursor) for cursor in cursors]


def expected(done, saved=None):
    """The cursor of the last page before the first that is not done."""
    count = next((n for n in PAGES if n not in done), len(PAGES))
    return f"c{count - 1}" if count else saved


def test_every_order_of_six_pages():
    """In all 720 orders the cursor is at every moment that before which everything is done."""
    orders = list(permutations(PAGES))
    assert len(orders) == 720
    for order in orders:
        frontier, tickets = begun(*(f"c{n}" for n in PAGES), saved="s")
        done = set()
        for number in order:
            done.add(number)
            before = frontier.cursor
            assert frontier.after([tickets[number]]) == expected(done, "s")
            assert frontier.cursor == before
            frontier.finish([tickets[number]])
            assert frontier.cursor == expected(done, "s")
            assert frontier.waiting == next(6 - n for n in range(7) if n not in done)
        assert frontier.cursor == "c5" and not frontier.waiting


@pytest.mark.parametrize("size", range(1, 7))
def test_pages_done_together(size):
    """Any set of pages that is finished at once moves the cursor as one by one would."""
    for group in combinations(PAGES, size):
        frontier, tickets = begun(*(f"c{n}" for n in PAGES))
        chosen = [tickets[n] for n in group]
        assert frontier.after(chosen) == expected(set(group))
        frontier.finish(chosen)
        assert frontier.cursor == expected(set(group))


def test_no_cursor_never_replaces_one():
    """A page without a cursor leaves the one before it, and is passed by the next that has one."""
    frontier, (first, second, third) = begun(None, None, "c", saved="s")
    assert frontier.after([first]) == "s"
    frontier.finish([first])
    assert frontier.cursor == "s"
    frontier.finish([third])
    assert frontier.cursor == "s" and frontier.waiting == 2
    frontier.finish([second])
    assert frontier.cursor == "c"
    frontier.finish([frontier.begin(None)])
    assert frontier.cursor == "c"


def test_looking_ahead_changes_nothing():
    """`after` marks no page: the same question twice has one answer, and nothing moves on."""
    frontier, tickets = begun("a", "b", "c")
    for _ in range(2):
        assert frontier.after(tickets) == "c" and frontier.after(tickets[1:]) is None
    assert frontier.cursor is None and frontier.waiting == 3
    assert not any(ticket.is_done for ticket in tickets)
    frontier.finish(tickets[:1])
    assert frontier.cursor == "a"
