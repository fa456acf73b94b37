"""What the global options say. They are taken before a command and after it, and `now()` tells them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import click

from paragon_async.cli import words


class Settings:
    """The global options of one call. *json* is None where the kind of output decides."""

    def __init__(self) -> None:
        self.json: bool | None = None
        self.quiet = False
        self.verbose = 0
        self.log_json = False
        self.debug = False
        self.project_id: str | None = None
        self.signing_key: str | None = None
        self.user_token: str | None = None
        self.base_url: str | None = None
        self.audience: str | None = None

    @property
    def for_program(self) -> bool:
        """Whether the answer is for a program: JSON lines, and no table."""
        return not sys.stdout.isatty() if self.json is None else self.json


_NOW: ContextVar[Settings | None] = ContextVar("settings", default=None)


def now() -> Settings:
    """Return the settings of the call that is under way, or the usual ones."""
    return _NOW.get() or Settings()


@contextmanager
def begun(arguments: Sequence[str]) -> Iterator[Settings]:
    """Begin a call: what decides how errors are told counts even where *arguments* cannot be read."""
    settings = Settings()
    settings.debug = words.says(arguments, "--debug")
    settings.log_json = words.says(arguments, "--log-json")
    token = _NOW.set(settings)
    try:
        yield settings
    finally:
        _NOW.reset(token)


class Global(click.Option):
    """An option of every command; what it says is kept in the settings, and passed to nobody."""

    def __init__(self, *names: str, **options: Any) -> None:
        super().__init__(names, expose_value=False, is_eager=True, callback=_kept, **options)


def _kept(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    name = param.name or ""
    if ctx.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
        return
    settings = now()
    if name == "verbose":
        settings.verbose += value
    elif name in {"signing_key", "user_token"}:
        setattr(settings, name, _from_file(ctx, param, value))
    elif value == "":
        raise click.BadParameter("it is empty: name one", ctx=ctx, param=param)
    else:
        setattr(settings, name, value)


def _from_file(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Return the file's text: what stands in a command line can be read by everybody on the machine."""
    from pathlib import Path

    try:
        return Path(value.removeprefix("@")).expanduser().read_text(encoding="utf-8")
    except UnicodeDecodeError:
        why = "the file is no text"
    except (OSError, ValueError) as error:
        why = (
            f"the file cannot be read ({getattr(error, 'strerror', None) or type(error).__name__})"
        )
    raise click.BadParameter(
        f"{why}: name a file that holds it, or set the variable", ctx=ctx, param=param
    )


SPEAKING = (
    Global(
        "--json/--no-json", default=None, help="JSON lines on a terminal too; or tables in a pipe."
    ),
    Global("-q", "--quiet", is_flag=True, help="No progress and no notes; errors are told."),
    Global("-v", "--verbose", count=True, help="Tell what is done; -vv: every request."),
    Global("--log-json", is_flag=True, help="Standard error as JSON lines."),
    Global("--debug", is_flag=True, help="A traceback with an error."),
)
CONNECTING = (
    Global("--project-id", metavar="ID", help="[$PARAGON_PROJECT_ID]"),
    Global("--signing-key", metavar="FILE", help="The key's PEM.  [$PARAGON_SIGNING_KEY]"),
    Global("--user-token", metavar="FILE", help="A token instead.  [$PARAGON_USER_TOKEN]"),
    Global("--base-url", metavar="URL", help="The service.  [$PARAGON_BASE_URL]"),
    Global("--audience", metavar="HOST/ID", help="What tokens are for, on-premises."),
)  # fmt: skip
GLOBALS = (*SPEAKING, *CONNECTING)
