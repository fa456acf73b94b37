"""Which records a command means: by name, kind and size. Pure."""

from __future__ import annotations

import fnmatch
import re

import attrs
import click

from paragon_async.models import Record

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


@attrs.frozen(kw_only=True)
class Matching:
    """What a record has to be like; None and nothing mean that any will do.

    Patterns are those of a shell, without regard to case. A record that does not say its size fits no
    bound of it.
    """

    names: tuple[str, ...] = ()
    mimes: tuple[str, ...] = ()
    larger: int | None = None
    smaller: int | None = None

    @property
    def is_any(self) -> bool:
        """Whether every record fits."""
        return not (self.names or self.mimes) and self.larger is None and self.smaller is None

    def __call__(self, record: Record) -> bool:
        """Tell whether *record* fits."""
        data = record.data
        name = (
            data.get("name") or data.get("fileName") or data.get("file_name") or data.get("title")
        )
        mime = data.get("mimeType") or data.get("mime_type")
        size = data.get("size")
        return (
            _fits(name, self.names)
            and _fits(mime, self.mimes)
            and (self.larger is None or (isinstance(size, int) and size > self.larger))
            and (self.smaller is None or (isinstance(size, int) and size < self.smaller))
        )


def bytes_of(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Read a number of bytes, with a unit: `500`, `10MB` (ten million), `1.5GiB`."""
    if value is None:
        return None
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise click.BadParameter(
            f"{value!r} is no size: say it like 500, 10MB or 1.5GiB", ctx=ctx, param=param
        )
    number, unit, binary = found.groups()
    power: int = (1024 if binary else 1000) ** _POWERS[unit.lower()]
    return round(float(number) * power)


def _fits(value: object, patterns: tuple[str, ...]) -> bool:
    if not patterns:
        return True
    text = value.casefold() if isinstance(value, str) else ""
    return any(fnmatch.fnmatchcase(text, pattern.casefold()) for pattern in patterns)
