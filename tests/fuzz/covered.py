"""One target under atheris: `python -m tests.fuzz.covered TARGET [option of libFuzzer …] [folder …]`.

The library must be imported in here and nowhere before, or its coverage does not lead.
"""

from __future__ import annotations

import sys

import atheris

from tests.fuzz.seeds import SEEDS


def main() -> None:
    """Fuzz until an option ends it, or a finding does."""
    program, name, *options = sys.argv
    with atheris.instrument_imports(include=["paragon_async", "email"]):
        from tests.fuzz.targets import TARGETS

        target = TARGETS[name]
        for seed in SEEDS[name]:
            # Much is imported where it is used first.
            target(seed)
    atheris.Setup([program, *options], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
