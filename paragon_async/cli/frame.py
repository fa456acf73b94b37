"""What every command is made with: `command` and `group`, and the one place where a call ends.

They are click's, with the global options before and after any command, help that keeps these apart,
near misses, and errors as `outcome` tells them. A command returns its exit status, or None for 0.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import click

from paragon_async.cli import outcome
from paragon_async.cli.exits import Exit
from paragon_async.cli.settings import GLOBALS, Global, begun

_NAME = "paragon-async"
_COMPLETE = "_PARAGON_ASYNC_COMPLETE"
_ELSEWHERE = "Options of every command, such as --quiet and --json: paragon-async --help"


class Command(click.Command):
    """A command that knows the global options, and ends as the table of statuses says."""

    def main(self, args: Sequence[str] | None = None, *given: Any, **more: Any) -> Any:
        """Run with *args*, or the process's, and leave with a status."""
        if not more.pop("standalone_mode", True):
            return partial(super().main, standalone_mode=False)(args, *given, **more)
        arguments = list(sys.argv[1:] if args is None else args)
        run = partial(super().main, arguments, *given, standalone_mode=False, **more)
        with begun(arguments):
            return _end(run)

    def make_context(self, *given: Any, **more: Any) -> click.Context:
        """Read the arguments. Help that nobody reads ends here: click would make a fault of it."""
        try:
            return super().make_context(*given, **more)
        except BrokenPipeError:
            outcome.gone()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an interrupt before its work has begun ends like any other."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            outcome.gone()
        except KeyboardInterrupt:
            outcome.stop(outcome.INTERRUPTED, Exit.INTERRUPTED)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters, and the global ones that it has none like."""
        own = super().get_params(ctx)
        names = {name for param in own for name in param.opts}
        return own + [option for option in GLOBALS if not names & {*option.opts}]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the command's own options, and where the others are shown."""
        params = [p for p in self.get_params(ctx) if not isinstance(p, Global | click.Argument)]
        if shown := [record for p in params if (record := p.get_help_record(ctx))]:
            with formatter.section("Options"):
                formatter.write_dl(shown)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Say where the global options are shown."""
        super().format_epilog(ctx, formatter)
        if ctx.parent is not None:
            formatter.write_paragraph()
            formatter.write_text(_ELSEWHERE)


class Group(Command, click.Group):
    """A group of such commands, which are told apart by name, and nearly so."""

    command_class = Command
    group_class = type

    def list_commands(self, _: click.Context) -> list[str]:
        """Return the names as they were declared: what comes first is used first."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for one that is not there, name the nearest."""
        if args and self.get_command(ctx, args[0]) is None and args[0][:1] != "-":
            raise Unknown(args[0], self.list_commands(ctx), ctx)
        return super().resolve_command(ctx, args)


class Unknown(click.UsageError):
    """A word where a command should be; *hint* names the nearest one."""

    def __init__(
        self, word: str, names: Sequence[str], ctx: click.Context, *, after: str | None = None
    ) -> None:
        import difflib

        super().__init__(f"there is no command {word!r}", ctx)
        near = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
        near = near or [name for name in names if name.startswith(word[:3]) and word[:3]]
        path = after or ctx.command_path
        self.hint = (
            f"did you mean {' or '.join(f'`{path} {name}`' for name in near)}?"
            if near
            else f"`{ctx.command_path} --help` lists the commands"
        )


command: Callable[..., Callable[[Callable[..., Any]], Command]] = partial(
    click.command, cls=Command
)
group: Callable[..., Callable[[Callable[..., Any]], Group]] = partial(click.command, cls=Group)


def _end(run: Callable[[], Any]) -> NoReturn:
    """Run a call, and leave with its status, however it ends."""
    status: Any = Exit.GOOD
    try:
        status = run()
    except SystemExit as ended:
        status = ended.code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        status = Exit.WRONG
    except click.UsageError as error:
        outcome.stop(_sentence(error), Exit.WRONG, _hint(error))
    except click.ClickException as error:
        outcome.stop(error.format_message(), Exit.WRONG)
    except (click.Abort, KeyboardInterrupt):
        outcome.stop(outcome.INTERRUPTED, Exit.INTERRUPTED)
    except Exception as error:  # noqa: BLE001  # the outermost place: what is left is a fault of ours
        outcome.fail(error)
    try:
        sys.stdout.flush()
    except OSError as error:
        outcome.silence()
        if not status:
            outcome.fail(error)
    # What is no status is what a command returned by the way.
    raise SystemExit(status if isinstance(status, int) else Exit.GOOD)


def _sentence(error: click.UsageError) -> str:
    # What click adds about near misses is the hint's.
    first = error.format_message().partition("\n")[0].partition("Did you mean")[0]
    return first.rstrip(" (").removesuffix(".")


def _hint(error: click.UsageError) -> str | None:
    if near := getattr(error, "possibilities", None):
        return f"did you mean {' or '.join(sorted(near))}?"
    if given := getattr(error, "hint", None):
        return str(given)
    return f"`{error.ctx.command_path} --help` shows how it is called" if error.ctx else None
