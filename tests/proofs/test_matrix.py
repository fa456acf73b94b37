"""The fault matrix, R1: every fault of the catalogue against pull, download and ingest, as declared.

What is declared stands in `matrix/catalogue.py`, to be read beside failures.md; `matrix/outcome.py`
explains its words. Each cell is tried as often as its fault has forms and ways to come (once, for good).
"""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest

from tests.proofs.matrix import disks, http, pages, process, transport
from tests.proofs.matrix.catalogue import ELSEWHERE, ROWS
from tests.proofs.matrix.cells import run
from tests.proofs.matrix.outcome import cases
from tests.proofs.matrix.service import LARGE, SMALL, Service

pytestmark = [pytest.mark.proof, pytest.mark.timeout(120)]
FAULTS = {}
for _module in (transport, http, pages, disks, process):
    FAULTS |= _module.FAULTS
CELLS = [(row, column) for row in ROWS for column in row.cells]
# Section 2 of the catalogue, but for its webhooks.
ROOT = Path(__file__).parents[2]
IDS = {*range(1, 34), *range(40, 62), *range(70, 86), *range(90, 102), *range(110, 126)}


@pytest.fixture(scope="module", autouse=True)
def little_to_collect():
    """What is there already is no rubbish of a cell: to look through it takes longer than most cells."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def service(tmp_path_factory, signing_key):
    made = Service(tmp_path_factory.mktemp("drive"), signing_key, SMALL)
    yield made
    made.close()


@pytest.fixture(scope="module")
def large(tmp_path_factory, signing_key):
    made = Service(tmp_path_factory.mktemp("large"), signing_key, LARGE)
    yield made
    made.close()


@pytest.mark.parametrize(("row", "column"), CELLS, ids=lambda v: getattr(v, "id", v))
async def test_a_cell_ends_as_it_is_declared(row, column, tmp_path, request):
    """Under this fault the operation ends as declared, is true, leaves nothing, and can be completed."""
    for n, fault in enumerate(FAULTS[row.id]):
        service = request.getfixturevalue("large" if fault.large else "service")
        # The forms of a fault differ in how it looks, and not in how it passes: that is tried once.
        for case in cases(row.cells[column])[-1 if n else 0 :]:
            room = tmp_path / f"{n} {'lasting' if case.lasting else 'once'}"
            room.mkdir()
            try:
                await run(service, fault, column, case, room)
            except Exception as error:
                error.add_note(f"{row.fault}; form {n}; {case}")
                raise


def test_the_matrix_is_as_large_as_it_has_to_be():
    """At least 80 faults of the catalogue and 240 cells, each declared once and each with its fault."""
    ids = [row.id for row in ROWS]
    assert len(ids) == len(set(ids))
    assert set(ids) == FAULTS.keys()
    numbers = {int(re.fullmatch(r"F(\d+)[a-z]?", id_)[1]) for id_ in ids}
    assert numbers <= IDS
    assert len(numbers) >= 80
    assert len(CELLS) >= 240
    columns = {
        row.id: {"ingest" if c in {"page", "content"} else c for c in row.cells} for row in ROWS
    }
    assert sum(map(len, columns.values())) >= 240


def test_what_is_no_cell_is_shown_elsewhere():
    """A fault that fits no column points to a test that is there."""
    assert not ELSEWHERE.keys() & FAULTS.keys()
    for id_, place in ELSEWHERE.items():
        assert int(id_[1:]) in IDS
        path, _, name = place.partition("::")
        assert f"def {name}" in (ROOT / path).read_text()
