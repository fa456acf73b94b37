"""`paragon-async get SYNC RECORD...`: records as they came."""

from __future__ import annotations

import click

from paragon_async.cli.connect import named, sync_argument, user_option
from paragon_async.cli.frame import command
from paragon_async.cli.outcome import perform
from paragon_async.cli.settings import now


def all_named(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse an empty name among several."""
    for one in value:
        named(ctx, param, one)
    return value


@command()
@sync_argument
@click.argument("records", nargs=-1, required=True, metavar="RECORD...", callback=all_named)
@user_option
def get(sync: str, records: tuple[str, ...], user: str | None) -> int:
    """Show records by their ids.

    A program gets each as the service sent it, one line of JSON each. Records are asked for one after
    the other; the first that is not there ends it, with status 3.
    """
    return perform(_get(sync, records, user))


async def _get(sync: str, records: tuple[str, ...], user: str | None) -> int:
    from paragon_async.cli import connect, output

    async with connect.client() as paragon:
        mine = connect.whose(paragon, user)
        for number, record in enumerate(records):
            found = await mine.records.get(sync, record)
            if number and not now().for_program:
                print()
            output.one(found.data)
    return 0
