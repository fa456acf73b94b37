"""`decode`: from the bytes of a page to typed objects, one process for each way."""

from __future__ import annotations

from benchmarks import corpus
from benchmarks.running import Case, Setting, Table, python
from benchmarks.task import Task

TITLE = "Decoding, bytes to File"
OURS = "ours, typed File"
OURS_FROM_DICTS = "ours, typed File, from decoded dicts"
DETAILED = "msgspec + stock cattrs, detailed validation"
PLAIN = "msgspec + stock cattrs, without it"
PYDANTIC = "pydantic, validate_json, extra=allow"
FLOOR = "msgspec, untyped"


def measure(setting: Setting) -> list[Table]:
    """Decode pages of 1,000 File records, 100,000 in all."""
    total = 4_000 if setting.is_quick else corpus.RECORDS
    contenders = [
        python(OURS, "decoding", "ours", is_ours=True),
        python(OURS_FROM_DICTS, "decoding", "ours_from_dicts", is_ours=True),
        python(FLOOR, "decoding", "untyped"),
        python(PLAIN, "decoding", "cattrs_plain"),
        python(DETAILED, "decoding", "cattrs_detailed"),
        python(PYDANTIC, "decoding", "pydantic", "module:pydantic"),
    ]
    notes = [
        "Every tenth record has a field that no model knows; all keep it.",
        "Ours checks scalars, where cattrs turns `5` into `'5'`.",
    ]
    case = Case(
        title=TITLE,
        task=Task(options={"records": total}),
        contenders=contenders,
        count=total,
        floor=FLOOR,
        notes=notes,
    )
    return [setting.run(case)]
