"""The command `paragon-async`. Each command imports what it needs when it runs.

    words      where the global options end and the command begins; pure, and imported by everybody
    signals    Ctrl-C and SIGTERM, from the first line of the process on
    exits      the exit statuses, in one table
    settings   what the global options say; `now()` returns it anywhere
    frame      `command` and `group`: click, with the global options before or after any command
    outcome    `perform` runs a coroutine; `stop` and every error leave as a sentence, a hint, a status
    output     `rows`, `one`, `line`: tables for a person, JSON lines for a program; `note`, `detail`
    safe       `plain`: nothing from outside moves a cursor, colours a line or turns its direction
    connect    `client()` and `whose()`: credentials from options and the environment
    root       the table of commands; none is imported before it is named

A new command is a function in a file of its own, decorated with `frame.command()`, and one line in
`root.COMMANDS` (or `@group.command()` below one that is there). It returns its status, or None for 0:

    @command()
    @click.argument("sync")
    @user_option
    def count(sync: str, user: str | None) -> int:
        \"\"\"Count the records of SYNC.\"\"\"
        return perform(_count(sync, user))

    async def _count(sync: str, user: str | None) -> int:
        from paragon_async.cli import connect, output

        async with connect.client() as paragon:
            found = await connect.whose(paragon, user).syncs.status(sync)
        output.one({"sync": sync, "records": found.summary.total_records})
        return 0

What it answers with goes to standard output, and only that: `output.one` for one thing, `output.rows`
for many, with the same keys whatever there is. What is said about it goes to standard error:
`output.note` (not with -q), `output.detail` (with -v), `output.warn`. What cannot go on raises a
`ParagonError` or calls `stop(sentence, Exit.WRONG, hint)`; a wrong call raises `click.UsageError` or
`click.BadParameter`. Each new status stands in `exits` first.
"""

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
