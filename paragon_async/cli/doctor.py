"""`paragon-async doctor`: what is set, what is reachable, and what is wrong, a line each."""

from __future__ import annotations

import click

from paragon_async.cli.connect import named
from paragon_async.cli.exits import Exit
from paragon_async.cli.frame import command
from paragon_async.cli.outcome import perform


@command()
@click.option("--user", callback=named, help="Ask as this user.  [one that has no syncs]")
@click.option("--offline", is_flag=True, help="Look at what is set, and ask the service nothing.")
@click.option("--timeout", default=10.0, show_default=True, type=click.FloatRange(0.1, 300))
def doctor(user: str | None, timeout: float, *, offline: bool) -> int:
    """Tell what is set, what is reachable, and what is wrong.

    One line each, with the mend. Nothing is changed, and no secret is shown. The status is 1 when
    something is bad; what is only odd works all the same.
    """
    return perform(_doctor(user, timeout, offline=offline))


async def _doctor(user: str | None, timeout: float, *, offline: bool) -> int:  # noqa: ASYNC109  # it is the session's
    from paragon_async.cli import checkup, examine, output
    from paragon_async.cli.safe import paint, plain
    from paragon_async.cli.settings import now

    def tell(finding: checkup.Finding) -> None:
        if now().for_program:
            output.line(finding.values())
            return
        import sys

        mark = paint(f"{finding.state:4}", output.COLOURS[finding.state], sys.stdout)
        mend = f"  → {plain(finding.mend)}" if finding.mend else ""
        print(f"{mark}  {finding.check:11}  {plain(finding.told)}{mend}", flush=True)

    is_bad = False
    settled = checkup.Settled()
    for finding in settled.look():
        is_bad |= finding.state == "bad"
        tell(finding)
    if not offline and settled.base_url is not None:
        asked = examine.Examined(settled.base_url, settled.tokens, user, timeout)
        async for finding in asked.look():
            is_bad |= finding.state == "bad"
            tell(finding)
    return Exit.NOT_ALL if is_bad else Exit.GOOD
