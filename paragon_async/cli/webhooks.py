"""`paragon-async webhooks`: print events as they come, or make a running emulator send one."""

from __future__ import annotations

import click

from paragon_async.cli.address import Address, listens, target
from paragon_async.cli.connect import named
from paragon_async.cli.frame import group
from paragon_async.cli.outcome import perform

# Spelled out here, for the emulator is imported only when the command runs.
EVENTS = (
    "sync_complete",
    "sync_errored",
    "record_created",
    "record_updated",
    "record_deleted",
    "record_errored",
    "webhook_verification",
)


@group()
def webhooks() -> None:
    """Receive webhooks, or make a running emulator send them."""


@webhooks.command()
@listens
@click.option(
    "--forward",
    metavar="URL",
    callback=target,
    help="Post each event there too, until it is answered 2xx.",
)
@click.option(
    "--inbox",
    metavar="FILE",
    callback=named,
    help="Keep what was not passed on through a restart.",
)
@click.option("--insecure", is_flag=True, help="No secret: anybody may send events.")
def listen(
    *,
    listen: Address | None,
    secret_file: str | None,
    forward: str | None,
    inbox: str | None,
    insecure: bool,
) -> None:
    """Print events as they come, until interrupted.

    Each is a line on a terminal, and a line of JSON elsewhere, with the whole body under `raw`. The URL
    for Paragon's dashboard is said on standard error; it ends with the secret, and stays the same when
    port and secret are given. What --forward could not deliver is tried again for some minutes, then
    given up, and tried anew when the command starts again with the same --inbox.
    """
    if insecure and secret_file is not None:
        raise click.UsageError("--insecure is to have no secret: leave --secret-file out")
    from paragon_async.cli.listen import listen as listened

    perform(
        listened(
            listen or Address(),
            forward=forward,
            inbox=inbox,
            secret_file=secret_file,
            insecure=insecure,
        )
    )


@webhooks.command()
@click.argument("event", metavar="EVENT", type=click.Choice(EVENTS))
@click.option("--record", help="The record's id; its sync follows from it.")
@click.option("--sync", help="The sync's id.")
@click.option("--user", help="The user's id, where several have a sync of this kind.")
@click.option("--url", help="The emulator's URL.  [default: $PARAGON_BASE_URL, or port 4620]")
@click.option(
    "-n", "--dry-run", is_flag=True, help="Say what would be asked of it, and ask nothing."
)
def trigger(
    event: str,
    record: str | None,
    sync: str | None,
    user: str | None,
    url: str | None,
    *,
    dry_run: bool,
) -> None:
    """Send EVENT to the webhook that the emulator is configured with.

    Only an emulator can be asked to: the service itself sends what happens, and nothing else.
    """
    named = {"event": event, "record": record, "sync": sync, "user": user}
    asked = {key: value for key, value in named.items() if value is not None}
    perform(_trigger(url, asked, dry_run=dry_run))


async def _trigger(url: str | None, asked: dict[str, str], *, dry_run: bool) -> None:
    from paragon_async.cli import output

    if dry_run:
        output.one({"would": "trigger", **asked})
        output.note("nothing was sent: this is a dry run")
        return
    from paragon_async.cli.settings import now
    from paragon_async.emulator.remote import call

    output.one(await call(url or now().base_url, "POST", "/_emulator/events", asked))
