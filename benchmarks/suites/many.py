"""`many`: 200 syncs of 200 users at once; whether what is allowed at once is always under way."""

from __future__ import annotations

import json
import urllib.request

from benchmarks import canned
from benchmarks.running import Case, Setting, Table, python
from benchmarks.task import Task
from paragon_async.emulator.auth import new_signing_key

TITLE = "200 syncs of 200 users at once, 50 ms a page"
OURS = "ours, pull()"
OURS_TYPED = "ours, pull(File)"
BYHAND = "aiohttp + msgspec by hand, a semaphore"
_LATENCY = 0.05
_AT_ONCE = 32
_SIZE = 100


def measure(setting: Setting) -> list[Table]:
    """Pull ten pages of each sync; the ideal is pages times latency by concurrency."""
    syncs, pages = (20, 4) if setting.is_quick else (200, 10)
    ideal = syncs * pages * _LATENCY / _AT_ONCE
    with canned.canned(latency=_LATENCY, records=pages * _SIZE, page_size=_SIZE) as url:

        def asked(_: str) -> dict[str, float]:
            with urllib.request.urlopen(f"{url}/_canned/stats") as answer:  # noqa: S310  # our own
                told = json.load(answer)
            if told["requests"] != syncs * pages:
                raise RuntimeError(f"{told['requests']} requests for {syncs * pages} pages")
            return {"in_flight": told["mean"], "most_in_flight": told["most"]}

        options = {"syncs": syncs, "page_size": _SIZE, "signing_key": new_signing_key()}
        case = Case(
            title=TITLE,
            task=Task(
                base_url=url,
                token="token",  # noqa: S106  # nobody looks at it
                concurrency=_AT_ONCE,
                options=options,
            ),
            contenders=[
                python(OURS, "ours", "many", is_ours=True),
                python(OURS_TYPED, "ours", "many", model="File", is_ours=True),
                python(BYHAND, "byhand", "many"),
            ],
            count=syncs * pages * _SIZE,
            ideal=ideal,
            after=asked,
            notes=[
                f"{syncs} syncs of {pages} pages of {_SIZE} records, {_AT_ONCE} requests at once.",
                f"The ideal, pages by latency by what is allowed at once, is {ideal:.2f} s.",
                "Ours signs a token for each user meanwhile.",
                "`in flight` is what the server saw under way on average.",
            ],
        )
        return [setting.run(case)]
