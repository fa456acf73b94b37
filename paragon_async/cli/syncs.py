"""`paragon-async syncs`: list, enable, status, wait, update, disable, reenable, delete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from paragon_async.cli.connect import named, sync_argument, user_option
from paragon_async.cli.frame import group
from paragon_async.cli.outcome import perform

# Spelled out here, for the models are imported only when the command runs; a test compares.
FREQUENCIES = ("1m", "5m", "10m", "30m", "1h", "3h", "6h", "24h")
_dry_run = click.option(
    "-n", "--dry-run", is_flag=True, help="Say what would be done, and do nothing."
)


@group()
def syncs() -> None:
    """List, enable, watch, change, pause and delete syncs."""


@syncs.command("list")
@user_option
@click.option("--credential", callback=named, help="Those of one credential.")
def list_(user: str | None, credential: str | None) -> int:
    """List the syncs of a user."""
    from paragon_async.cli import lifecycle

    return perform(lifecycle.listed(user, credential))


def _configuration(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
    """Read an object, from the file after `@` where it begins so."""
    if value is None:
        return {}
    try:
        text = Path(value[1:]).read_text(encoding="utf-8") if value[:1] == "@" else value
        found = json.loads(text)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise click.BadParameter(f"it is no JSON: {why}", ctx=ctx, param=param) from None
    if not isinstance(found, dict):
        raise click.BadParameter('say an object, like {"folderId": "…"}', ctx=ctx, param=param)
    return found


@syncs.command()
@click.argument("integration", callback=named)
@click.argument("pipeline", callback=named)
@user_option
@click.option("--name", default="default", show_default=True, help="The configuration's name.")
@click.option("--configuration", metavar="JSON|@FILE", callback=_configuration, help="[{}: all]")
@click.option("--credential", callback=named, help="The credential; else the oldest active one.")
@click.option("--wait", is_flag=True, help="Wait until the first run is complete.")
@_dry_run
def enable(integration: str, pipeline: str, user: str | None, **asked: Any) -> int:
    """Start a sync, or show the one that there is.

    \b
    paragon-async syncs enable googledrive files --user user-1 --wait
    """  # noqa: D301  # the mark by which click leaves a paragraph as it is
    from paragon_async.cli import lifecycle

    return perform(lifecycle.enabled(user, integration, pipeline, **asked))


@syncs.command()
@sync_argument
@user_option
def status(sync: str, user: str | None) -> int:
    """Show the state of SYNC."""
    from paragon_async.cli import lifecycle

    return perform(lifecycle.state(user, sync))


@syncs.command()
@sync_argument
@user_option
@click.option("--timeout", type=click.FloatRange(0), metavar="SECONDS", help="[none]")
def wait(sync: str, user: str | None, timeout: float | None) -> int:
    """Wait until SYNC has completed a run, then show its state.

    The status is 3 when the sync is errored or disabled, and 4 when the time is over.
    """
    from paragon_async.cli import lifecycle

    return perform(lifecycle.waited(user, sync, timeout))


@syncs.command()
@sync_argument
@user_option
@click.option("--credential", callback=named, help="Another credential; starts a full run.")
@click.option("--every", type=click.Choice(FREQUENCIES), help="How often it looks for news.")
@_dry_run
def update(
    sync: str, user: str | None, credential: str | None, every: str | None, **dry: bool
) -> int:
    """Change the credential of SYNC, or how often it runs."""
    if not credential and not every:
        raise click.UsageError("there is nothing to change: give --credential or --every")
    from paragon_async.cli import lifecycle

    return perform(lifecycle.updated(user, sync, credential, every, **dry))


@syncs.command()
@sync_argument
@user_option
@_dry_run
def disable(sync: str, user: str | None, **dry: bool) -> int:
    """Pause SYNC; its records stay."""
    from paragon_async.cli import lifecycle

    return perform(lifecycle.disabled(user, sync, **dry))


@syncs.command()
@sync_argument
@user_option
@_dry_run
def reenable(sync: str, user: str | None, **dry: bool) -> int:
    """Resume SYNC, which was disabled, or errored and mended."""
    from paragon_async.cli import lifecycle

    return perform(lifecycle.reenabled(user, sync, **dry))


@syncs.command()
@sync_argument
@user_option
@_dry_run
@click.option("-y", "--yes", is_flag=True, help="Do not ask; only a terminal is asked at all.")
def delete(sync: str, user: str | None, **asked: bool) -> int:
    """Delete SYNC and all its records, for ever.

    A mirror of it stays; a cursor that was saved of it must be forgotten.
    """
    from paragon_async.cli import lifecycle

    return perform(lifecycle.deleted(user, sync, **asked))
