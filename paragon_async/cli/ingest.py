"""`paragon-async ingest`: mirror a sync into a folder; `status`, `verify`, `retry`, `reconcile` it."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from paragon_async.cli.address import Address, listens
from paragon_async.cli.outcome import perform, stop
from paragon_async.cli.signals import GO_ON

F = TypeVar("F", bound=Callable[..., Any])
_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%")
_WHOLE = 100


def _share(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Read a share of a whole; without its sign `0.5` could be taken for either."""
    found = _SHARE.fullmatch(value.strip())
    if found is None or float(found[1]) > _WHOLE:
        raise click.BadParameter(
            f"{value!r} is no share: say it like 50%, from 0% to 100%", ctx=ctx, param=param
        )
    return float(found[1]) / _WHOLE


def named(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty name: it is a variable that is not set, and means no folder, user or sync."""
    if value is not None and not value:
        raise click.BadParameter("it is empty: name one", ctx=ctx, param=param)
    return value


def folder_named(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    """Return a folder that was named; an empty name would be the current one."""
    found = named(ctx, param, value)
    return None if found is None else Path(found)


_DIR = click.argument("folder", metavar="DIR", callback=folder_named)
_TO = click.option(
    "--to",
    required=True,
    metavar="DIR",
    callback=folder_named,
    help="The folder of the mirror.",
)
_CONTENT = click.option(
    "--content/--no-content",
    default=None,
    help="Fetch contents.  [default: if the mirror holds any]",
)
_EVERY = click.option(
    "--every",
    metavar="SECONDS",
    type=click.FloatRange(0.1),
    help="The longest pause with --follow.  [default: 30]",
)
_QUIET = click.option("-q", "--quiet", is_flag=True, help="No progress, and no notes on it.")
_MANNER = (
    click.option(
        "--concurrency",
        default=16,
        show_default=True,
        metavar="N",
        type=click.IntRange(1, 1024),
        help="Contents fetched at once.",
    ),
    click.option(
        "--durability",
        default="file",
        show_default=True,
        type=click.Choice(["file", "batch"]),
        help="Flush each file by itself, or a page's files together.",
    ),
    click.option(
        "--max-delete",
        "fuse",
        default="50%",
        show_default=True,
        metavar="PERCENT",
        callback=_share,
        help="The share of the mirror that one run may delete.",
    ),
    _QUIET,
)


def _manner(command: F) -> F:
    for option in reversed(_MANNER):
        command = option(command)
    return command


class Running(click.Group):
    """A group that runs an ingest unless another command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take everything but a command's name for an ingest."""
        if not args or args[0] not in self.commands:
            asks = {"-h", "--help"} & set(args)
            args = ["--help"] if asks else ["run", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show both forms."""
        formatter.write_usage(ctx.command_path, "SYNC --user USER --to DIR [OPTIONS]")
        formatter.write_usage(ctx.command_path, "status|verify|retry|reconcile DIR [OPTIONS]")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the options of an ingest, and the commands."""
        options = [p for p in self.commands["run"].get_params(ctx) if isinstance(p, click.Option)]
        with formatter.section("Options"):
            formatter.write_dl([record for o in options if (record := o.get_help_record(ctx))])
        self.format_commands(ctx, formatter)


@click.group(cls=Running)
def ingest() -> None:
    """Mirror the sync SYNC of a connected user into the folder DIR, and keep it up to date.

    Each time it goes on where it stopped, however that was, and fetches what is new. Credentials come
    from the environment: PARAGON_SIGNING_KEY and PARAGON_PROJECT_ID, or PARAGON_USER_TOKEN.

    \b
    paragon-async ingest 1b2c… --user user-1 --to mirror
    paragon-async ingest 1b2c… --user user-1 --to mirror --follow --every 60
    paragon-async ingest 1b2c… --user user-1 --to mirror --follow --listen 127.0.0.1:8080
    paragon-async ingest status mirror
    paragon-async ingest verify mirror --offline

    With --follow it runs again and again; with --listen it also receives webhooks, and each is a reason
    to run at once. The URL for Paragon's dashboard is said on standard error; it stays the same where
    --listen names a port.

    Standard output has a table, or one line of JSON where it is no terminal. The exit status is

    \b
    0    when all is well
    1    when it is done, and there are dead letters, damage, or records that wait for deletion
    2    for a wrong call: an option, a user, a project or a format of rows that does not fit the
         mirror, no mirror, no credentials
    3    when an error stopped it: the service, the disk, a state that is damaged or held by another
         process, a destination that holds something else, too many deletes, a port that is taken
    130  after Ctrl-C, 143 after SIGTERM
    """  # noqa: D301  # the mark by which click leaves a paragraph as it is


@ingest.command("run", hidden=True)
@click.argument("sync", callback=named)
@click.option(
    "--user", callback=named, help="The connected user; a PARAGON_USER_TOKEN implies one."
)
@_TO
@click.option("--no-content", is_flag=True, help="Records alone; see `reconcile --content`.")
@click.option("--parquet", is_flag=True, help="Rows as Parquet (extra `parquet`).")
@click.option("--follow", is_flag=True, help="Go on until interrupted.")
@_EVERY
@listens
@_manner
def run(
    *,
    sync: str,
    user: str | None,
    to: Path,
    no_content: bool,
    parquet: bool,
    follow: bool,
    every: float | None,
    listen: Address | None,
    secret_file: str | None,
    **manner: Any,
) -> None:
    """Mirror SYNC into a folder."""
    if every is not None and not follow:
        raise click.UsageError("--every is the pause of --follow: give both")
    if listen is not None and not follow:
        raise click.UsageError("--listen is for the events of --follow: give both")
    if secret_file is not None and listen is None:
        raise click.UsageError("--secret-file is for the webhook of --listen: give both")
    from paragon_async.cli import mirror

    following = None
    if follow:
        from paragon_async.cli.following import Following, Hook

        hook = Hook(listen, secret_file) if listen else None
        following = Following(every=every or 30.0, hook=hook, quiet=manner["quiet"])
    asked = _asked(content=not no_content, **manner)
    _end(mirror.run(sync, user, to, parquet=parquet, following=following, manner=asked))


@ingest.command()
@_DIR
@_QUIET
def status(folder: Path, *, quiet: bool) -> None:
    """Tell what DIR holds and how its last runs went; also while one is going on."""
    del quiet  # it is taken like everywhere, and there is no progress
    _mirror(folder)
    from paragon_async.cli import mirror

    raise SystemExit(perform(mirror.status(folder)))


@ingest.command()
@_DIR
@click.option("--offline", is_flag=True, help="Ask the service nothing and mend nothing.")
@_CONTENT
@_manner
def verify(folder: Path, *, offline: bool, **manner: Any) -> None:
    """Read every content in DIR, and fetch again what is gone or altered."""
    _mirror(folder)
    from paragon_async.cli import mirror

    _end(mirror.verify(folder, offline=offline, manner=_asked(**manner)))


@ingest.command()
@_DIR
@_CONTENT
@_manner
def retry(folder: Path, **manner: Any) -> None:
    """Try the dead letters of DIR once more."""
    _mirror(folder)
    from paragon_async.cli import mirror

    _end(mirror.retry(folder, manner=_asked(**manner)))


@ingest.command()
@_DIR
@_CONTENT
@_manner
def reconcile(folder: Path, **manner: Any) -> None:
    """Pull everything once more, and find what the feed of DIR never said."""
    _mirror(folder)
    from paragon_async.cli import mirror

    _end(mirror.reconcile(folder, manner=_asked(**manner)))


def _asked(**manner: Any) -> Any:
    from paragon_async.cli.mirror import Manner

    return Manner(**manner)


def _end(work: Coroutine[Any, Any, int]) -> None:
    raise SystemExit(perform(work, interrupted=GO_ON))


def _mirror(folder: Path) -> None:
    from paragon_async.ingest.overview import is_mirror

    if not is_mirror(folder):
        stop(f"there is no mirror in {folder}", 2)
