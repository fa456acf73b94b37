"""`paragon-async webhooks trigger EVENT`: make a running emulator send an event."""

from __future__ import annotations

import json

import click

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


@click.group()
def webhooks() -> None:
    """Work with the webhook of a running emulator."""


@webhooks.command()
@click.argument("event", type=click.Choice(EVENTS))
@click.option("--record", help="The record's id; its sync follows from it.")
@click.option("--sync", help="The sync's id.")
@click.option("--user", help="The user's id, where several have a sync of this kind.")
@click.option("--url", help="The emulator's URL.  [default: $PARAGON_BASE_URL, or port 4620]")
def trigger(
    event: str, record: str | None, sync: str | None, user: str | None, url: str | None
) -> None:
    """Send EVENT to the webhook that the emulator is configured with."""
    named = {"event": event, "record": record, "sync": sync, "user": user}
    perform(_trigger(url, {key: value for key, value in named.items() if value is not None}))


async def _trigger(url: str | None, asked: dict[str, str]) -> None:
    from paragon_async.emulator.remote import call

    answer = await call(url, "POST", "/_emulator/events", asked)
    print(f"queued {answer['queued']}: {json.dumps(answer['event'])}")
