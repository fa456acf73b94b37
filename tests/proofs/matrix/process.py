"""F114 to F125: two at once, another loop, a consumer who leaves, a clock that is wrong, a storm."""

from __future__ import annotations

from paragon_async import Retry
from tests.proofs.matrix.faults import Fault, rules

STORM = Retry(attempts=50, first_wait=0.0, budget=10)

FAULTS = {
    "F114": [Fault(held=True)],
    "F120": [Fault(foreign=True)],
    "F122": [Fault(leaves=1, points={"download": "page"})],
    "F124": [Fault(ahead=86_400.0, points=dict.fromkeys(("pull", "download", "page"), "any"))],
    "F125": rules({"status": 503}, retry=STORM),
}
