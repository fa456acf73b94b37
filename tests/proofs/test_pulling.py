"""A pull against a model of a feed: it changes while it is read, it breaks, the reader dies and resumes.

The model is the documented service and nothing more: every record stands once, where it changed last;
a cursor stands for the last record of its page. Whatever happens, a reader that saves the cursor of each
page behind its records has in the end what the feed has, no record is given twice in one quiet pull,
and no more is asked for than promised (R14).
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from paragon_async import ConnectionFailedError, ServerError, StalledCursorError
from tests.fakes import FakeResponse, answer, records

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]
RUNS, STEPS = 150, 20
IDS = st.integers(0, 11)


class Feed:
    """Every record where it changed last; what is *odd* happens to the next answers."""

    def __init__(self):
        self.log = []
        self.clock = 0
        self.odd = []
        self.asked = []

    def put(self, number, *, deleted=False):
        self.log = [entry for entry in self.log if entry[1]["id"] != str(number)]
        self.clock += 1
        record = {"id": str(number), "version": self.clock, "deleted": deleted}
        self.log.append((self.clock, record))

    def __call__(self, request):
        cursor, size = request.query.get("cursor"), int(request.query["pageSize"])
        self.asked.append(cursor)
        kind = self.odd.pop() if self.odd else "none"
        match kind:
            case "refused":
                return answer({}, 503)
            case "lost":
                raise ConnectionFailedError("lost")
            case "cut":
                return FakeResponse(200, b'{"data":[{"id":"1"')
            case "nothing":
                return FakeResponse(200, b"")
        after = [entry for entry in self.log if entry[0] > int(cursor or 0)]
        page = after[:size]
        paging = {
            "cursor": str(page[-1][0]) if page else cursor,
            "remainingRecords": len(after) - len(page),
        }
        if kind == "still" and paging["remainingRecords"]:
            paging["cursor"] = cursor
        if kind == "lame" and paging["remainingRecords"]:
            paging["cursor"] = None
        if kind == "mute" and not paging["remainingRecords"]:
            paging["cursor"] = None
        if kind == "hollow":
            return answer(
                {"data": [], "paging": paging | {"remainingRecords": 7, "cursor": cursor}}
            )
        return answer({"data": [record for _, record in page], "paging": paging})


class Pulling(RuleBasedStateMachine):
    """Reads the feed with one cursor, which is saved when a page's records are."""

    @initialize()
    def begin(self):
        self.runner = asyncio.Runner()
        self.feed = Feed()
        self.records, _ = records(self.feed)
        self.cursor = None
        self.mirror = {}

    @rule(numbers=st.lists(IDS, min_size=1, max_size=6))
    def change(self, numbers):
        for number in numbers:
            self.feed.put(number)

    @rule(number=IDS)
    def delete(self, number):
        self.feed.put(number, deleted=True)

    @rule(
        kinds=st.lists(
            st.sampled_from(["refused", "lost", "cut", "nothing", "hollow", "mute"]), max_size=2
        )
    )
    def trouble(self, kinds):
        """What passes: two in a row are less than the attempts that a pull has."""
        self.feed.odd = list(kinds)

    @rule(size=st.integers(1, 5), ahead=st.integers(0, 3), pages=st.integers(0, 4), late=IDS)
    def leave(self, size, ahead, pages, late):
        """Read some pages while the feed changes, and die in the middle of the next."""
        self.runner.run(self.read(size, ahead, pages, late))

    @rule(size=st.integers(1, 5), ahead=st.integers(0, 3))
    def catch_up(self, size, ahead):
        quiet = not self.feed.odd
        behind = [entry for entry in self.feed.log if entry[0] > int(self.cursor or 0)]
        self.feed.asked.clear()
        got = self.runner.run(self.read(size, ahead, None))
        assert [int(record["version"]) for record in got] == [version for version, _ in behind]
        if quiet:
            assert len(self.feed.asked) == max(1, -(-len(behind) // size))
        assert self.mirror == {record["id"]: record for _, record in self.feed.log}

    @rule(size=st.integers(1, 3), ahead=st.integers(0, 3), kind=st.sampled_from(["still", "lame"]))
    def stall(self, size, ahead, kind):
        """A feed that stops leading on is an error that holds the cursor to go on from."""
        behind = [entry for entry in self.feed.log if entry[0] > int(self.cursor or 0)]
        self.feed.odd = [kind]
        if len(behind) <= size:
            self.runner.run(self.read(size, ahead, None))
            return
        try:
            self.runner.run(self.read(size, ahead, None, saves=False))
        except StalledCursorError as error:
            assert error.cursor == self.cursor
        else:
            raise AssertionError("a stalled feed was taken for its end")

    @rule(size=st.integers(1, 5), ahead=st.integers(0, 3))
    def give_up(self, size, ahead):
        """A service that is away for good ends the pull, after what came before it."""
        before, mirror = self.cursor, dict(self.mirror)
        self.feed.odd = ["refused"] * 99
        try:
            self.runner.run(self.read(size, ahead, None))
        except ServerError:
            assert (self.cursor, self.mirror) == (before, mirror)
        else:
            raise AssertionError("nothing was refused")
        self.feed.odd = []

    async def read(self, size, ahead, pages, late=None, *, saves=True):
        got = []
        feed = self.records.pages("s", after=self.cursor, page_size=size, pages_ahead=ahead)
        async with aclosing(feed):
            async for page in feed:
                if pages is not None and not pages:
                    break
                got += [record.data for record in page.records]
                if late is not None:
                    self.feed.put(late)
                assert int(page.cursor or 0) >= int(self.cursor or 0)
                if saves:
                    self.mirror |= {record.id: record.data for record in page.records}
                    self.cursor = page.cursor
                pages = pages and pages - 1
        return got

    @invariant()
    def the_cursor_is_never_ahead(self):
        """Whatever stands before the saved cursor is in the mirror, as it was or newer."""
        if hasattr(self, "feed"):
            for version, record in self.feed.log:
                if version <= int(self.cursor or 0):
                    assert self.mirror[record["id"]] == record

    def teardown(self):
        if hasattr(self, "feed"):
            try:
                self.feed.odd = []
                self.catch_up(3, 1)
            finally:
                self.runner.close()


TestPulling = Pulling.TestCase
TestPulling.settings = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
