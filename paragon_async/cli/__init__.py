"""The command `paragon-async`. Each command imports what it needs when it runs."""

from __future__ import annotations

import sys

from paragon_async.cli.signals import heed_early

_HINT = 'the command needs its extra: pip install "paragon-async[cli]"'


def main() -> None:
    """Run the command; without the extra, say what is missing."""
    heed_early(sys.argv[1:])
    try:
        from paragon_async.cli.root import run
    except ModuleNotFoundError as error:
        if error.name not in {"click", "rich"}:
            raise
        print(f"paragon-async: {_HINT}", file=sys.stderr)
        raise SystemExit(2) from None
    run()
