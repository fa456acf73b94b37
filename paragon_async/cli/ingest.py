"""`paragon-async ingest`: mirror a sync into a folder; `status`, `verify`, `retry`, `reconcile` it."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from paragon_async.cli.address import Address, listens
from paragon_async.cli.connect import named
from paragon_async.cli.frame import Group, Unknown, group
from paragon_async.cli.outcome import perform, stop
from paragon_async.cli.settings import Global, now
from paragon_async.cli.signals import GO_ON
from paragon_async.cli.words import leading

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
_DRY_RUN = click.option(
    "-n", "--dry-run", is_flag=True, help="Only tell what would be done; nothing is written."
)
_EVERY = click.option(
    "--every",
    metavar="SECONDS",
    type=click.FloatRange(0.1),
    help="The longest pause with --follow.  [default: 30]",
)
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
)


def _manner(command: F) -> F:
    for option in reversed(_MANNER):
        command = option(command)
    return command


class Running(Group):
    """A group that runs an ingest unless another command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take everything but a command's name for an ingest."""
        first = leading(args)
        # A shell that completes the word asks for the commands there are.
        is_asked = ctx.resilient_parsing and not args[first:]
        if is_asked or (args[first:] and args[first] in self.commands):
            return super().parse_args(ctx, args)
        self._refuse_near_miss(ctx, args, first)
        asks = {"-h", "--help"} & set(args)
        args = ["--help"] if asks else [*args[:first], "run", *args[first:]]
        return super().parse_args(ctx, args)

    def _refuse_near_miss(self, ctx: click.Context, args: list[str], first: int) -> None:
        """Take no `statsu DIR` for a sync: an ingest says --to."""
        import difflib

        names = [name for name, found in self.commands.items() if not found.hidden]
        is_ingest = any(arg.partition("=")[0] in {"--to", "-h", "--help"} for arg in args)
        if not is_ingest and difflib.get_close_matches("".join(args[first : first + 1]), names):
            raise Unknown(args[first], names, ctx)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show both forms."""
        formatter.write_usage(ctx.command_path, "SYNC --user USER --to DIR [OPTIONS]")
        formatter.write_usage(
            ctx.command_path, "status|report|verify|retry|reconcile DIR [OPTIONS]"
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the options of an ingest, and the commands."""
        params = self.commands["run"].get_params(ctx)
        options = [p for p in params if isinstance(p, click.Option) and not isinstance(p, Global)]
        with formatter.section("Options"):
            formatter.write_dl([record for o in options if (record := o.get_help_record(ctx))])
        self.format_commands(ctx, formatter)


@group(cls=Running)
def ingest() -> None:
    """Mirror the sync SYNC of a connected user into the folder DIR, and keep it up to date.

    Each time it goes on where it stopped, however that was, and fetches what is new. Credentials come
    from the environment: PARAGON_SIGNING_KEY and PARAGON_PROJECT_ID, or PARAGON_USER_TOKEN.

    \b
    paragon-async ingest 1b2c… --user user-1 --to mirror
    paragon-async ingest 1b2c… --user user-1 --to mirror --follow --every 60
    paragon-async ingest 1b2c… --user user-1 --to mirror --follow --listen 127.0.0.1:8080
    paragon-async ingest status mirror
    paragon-async ingest report mirror -o report.html
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
    4    when trouble that passes stopped it, such as no connection, 429 or 5xx: run it again later
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
@_DRY_RUN
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
    dry_run: bool,
    **manner: Any,
) -> None:
    """Mirror SYNC into a folder."""
    if every is not None and not follow:
        raise click.UsageError("--every is the pause of --follow: give both")
    if listen is not None and not follow:
        raise click.UsageError("--listen is for the events of --follow: give both")
    if dry_run and follow:
        raise click.UsageError("--dry-run looks once, --follow goes on: give one")
    if secret_file is not None and listen is None:
        raise click.UsageError("--secret-file is for the webhook of --listen: give both")
    from paragon_async.cli import mirror

    if dry_run:
        _end(mirror.look_ahead(sync, user, to, content=not no_content))
    following = None
    if follow:
        from paragon_async.cli.following import Following, Hook

        hook = Hook(listen, secret_file) if listen else None
        following = Following(every=every or 30.0, hook=hook, quiet=now().quiet)
    asked = _asked(content=not no_content, **manner)
    _end(mirror.run(sync, user, to, parquet=parquet, following=following, manner=asked))


@ingest.command()
@_DIR
def status(folder: Path) -> None:
    """Tell what DIR holds and how its last runs went; also while one is going on."""
    _mirror(folder)
    from paragon_async.cli import mirror

    raise SystemExit(perform(mirror.status(folder)))


@ingest.command()
@_DIR
@click.option(
    "-o",
    "--output",
    "target",
    metavar="FILE",
    callback=folder_named,
    help="[default: standard output]",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
def report(folder: Path, target: Path | None, *, force: bool) -> None:
    """Write a page about DIR: files by kind and size, activity, runs, dead letters."""
    _mirror(folder)
    from paragon_async.cli import reporting

    raise SystemExit(perform(reporting.report(folder, target, force=force)))


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
@_DRY_RUN
@_manner
def reconcile(folder: Path, *, dry_run: bool, **manner: Any) -> None:
    """Pull everything once more, and find what the feed of DIR never said."""
    _mirror(folder)
    from paragon_async.cli import mirror

    if dry_run:
        _end(mirror.look_over(folder, content=manner["content"]))

    _end(mirror.reconcile(folder, manner=_asked(**manner)))


def _asked(**manner: Any) -> Any:
    from paragon_async.cli.mirror import Manner

    return Manner(quiet=now().quiet, **manner)


def _end(work: Coroutine[Any, Any, int]) -> None:
    raise SystemExit(perform(work, interrupted=GO_ON))


def _mirror(folder: Path) -> None:
    from paragon_async.ingest.overview import is_mirror

    if not is_mirror(folder):
        stop(f"there is no mirror in {folder}", 2)
