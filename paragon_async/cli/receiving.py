"""The receiver that a command runs beside its work: its secret, its URL, and what it has to say.

The secret is all that keeps strangers out, so it is shown once, on a terminal; where there is none,
standard error is somebody's log, and what is shown is where the secret can be read.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import quote

import attrs

from paragon_async.auth import Secret
from paragon_async.cli import output
from paragon_async.cli.address import Address
from paragon_async.disk import SystemDisk
from paragon_async.errors import ConfigurationError, ParagonError
from paragon_async.webhooks import Inbox, Router, receiver, serving

VARIABLE = "PARAGON_WEBHOOK_SECRET"
_PATH = "/webhook"
_SHUTDOWN = 2.0
_BYTES = 24
_log = logging.getLogger("paragon_async.webhooks")
_WHO = re.compile(r"paragon_async\.[\w.<>]+ \w+: ")


@attrs.frozen
class Secrets:
    """Secrets that are valid, the first of them shown; *place* says where they can be read."""

    values: tuple[Secret, ...]
    place: str


def given(file: str | None) -> Secrets | None:
    """Return the secrets of *file*, or else of the environment; None where there are none.

    Raises `ConfigurationError` for a file that cannot be read or is empty.
    """
    if file is not None:
        found = _read(Path(file))
        if found is None:
            raise ConfigurationError(f"there is no secret file {file!r}")
        return found
    value = os.environ.get(VARIABLE)
    return None if value is None else _parted(value, VARIABLE)


def kept(file: Path) -> Secrets:
    """Return the secrets of *file*; where there are none, one is made that only its owner can read."""
    text = _text(file)
    if text is not None and text.strip():
        return _parted(text, str(file))
    made = secrets.token_urlsafe(_BYTES)
    disk, beside = SystemDisk(), file.with_name(f"{file.name}.{secrets.token_hex(4)}.new")
    try:
        number = os.open(
            beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600
        )
        with open(number, "w", encoding="ascii") as opened:  # noqa: PTH123  # a descriptor
            opened.write(f"{made}\n")
            opened.flush()
            os.fsync(number)
        # Whole or not there: half a secret would be taken for one.
        disk.replace(beside, file)
        disk.sync_folder(file.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            disk.unlink(beside)
        raise _refused("keep a secret in", file, error) from None
    return Secrets((Secret(made),), str(file))


def passing() -> Secrets:
    """Make a secret that ends with the process; only a terminal can tell it to anybody."""
    if not sys.stderr.isatty():
        raise ConfigurationError(
            "no terminal would show a secret that is made here: give one with --secret-file or "
            f"{VARIABLE}, or say --insecure"
        )
    return Secrets((Secret(secrets.token_urlsafe(_BYTES)),), "")


@asynccontextmanager
async def receiving(
    router: Router, inbox: Inbox, address: Address, who: Secrets | None, *, quiet: bool = False
) -> AsyncGenerator[None]:
    """Receive events for *router* while the block runs, and say where; without *who*, anybody's.

    Raises `ParagonError` where it cannot be listened, `InboxError` for the inbox, and
    `ConfigurationError` for secrets that cannot be.
    """
    app = receiver(
        router,
        inbox=inbox,
        secrets=who.values if who else (),
        path=_PATH,
        insecure=who is None,
    )
    async with AsyncExitStack() as stack:
        stack.enter_context(_said())
        try:
            url = await stack.enter_async_context(
                serving(app, address.host, address.port, shutdown=_SHUTDOWN)
            )
        except ConfigurationError as error:
            # The call was right, the machine refuses: that is another exit status.
            raise ParagonError(str(error)) from None
        _announce(url, who, quiet=quiet)
        yield


def _announce(url: str, who: Secrets | None, *, quiet: bool) -> None:
    if who is None:
        line = f"receiving webhooks from anybody at {url}{_PATH}"
    elif sys.stderr.isatty():
        line = f"receiving webhooks at {url}{_PATH}/{quote(who.values[0].reveal(), safe='')}"
    else:
        line = f"receiving webhooks at {url}{_PATH}/<secret>, with the secret in {who.place}"
    output.warn(line)
    if not quiet:
        output.note(
            f"to expose it, lead a tunnel or a proxy that has https to {url}, and enter its address "
            "with the same path as the webhook in Paragon's dashboard",
        )


def _read(file: Path) -> Secrets | None:
    text = _text(file)
    return None if text is None else _parted(text, str(file))


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ConfigurationError(f"the secret file {str(file)!r} is no text") from None
    except OSError as error:
        raise _refused("read the secret file", file, error) from None


def _parted(text: str, place: str) -> Secrets:
    found = tuple(Secret(word) for word in text.split())
    if not found:
        raise ConfigurationError(f"there is no secret in {place}: it is empty")
    return Secrets(found, place)


def _refused(what: str, file: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"cannot {what} {str(file)!r}: {error.strerror or error}")


class _Stderr(logging.Handler):
    """Says what the receiver logs as one line each, and leaves out which function it was in."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]}"
        output.warn(_WHO.sub("", text))


@contextmanager
def _said() -> Iterator[None]:
    handler, before = _Stderr(logging.WARNING), _log.propagate
    _log.addHandler(handler)
    _log.propagate = False
    try:
        yield
    finally:
        _log.removeHandler(handler)
        _log.propagate = before
