"""`python -m benchmarks emulator [--quick]`: what is measured, and how fast it is on this machine."""

from __future__ import annotations

import argparse
import asyncio

from benchmarks import emulator


def main() -> None:
    """Measure what was asked for and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="?", default="emulator", choices=["emulator"])
    parser.add_argument("--quick", action="store_true", help="small numbers: does it run at all")
    chosen = parser.parse_args()
    asyncio.run(emulator.measure(is_quick=chosen.quick))


if __name__ == "__main__":
    main()
