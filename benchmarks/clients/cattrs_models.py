"""File as somebody declares it for cattrs: renamed to camelCase, dates by a hook, unknowns kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import attrs
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn, override


@attrs.define
class FileHash:
    """A checksum."""

    type: str | None = None
    value: str | None = None
    extra: dict[str, Any] = attrs.field(factory=dict)


@attrs.define
class File:
    """A file, with the fields of our own `File`."""

    id: str
    external_id: str | None = None
    name: str | None = None
    mime_type: str | None = None
    size: int | None = None
    url: str | None = None
    thumbnail_url: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    hash: FileHash | None = None
    parent_folder_id: str | None = None
    custom_fields: dict[str, Any] = attrs.field(factory=dict)
    synced_at: datetime | None = None
    deleted: bool = False
    extra: dict[str, Any] = attrs.field(factory=dict)


def converter(*, is_detailed: bool) -> Converter:
    """Make a converter, with cattrs' detailed validation or without."""
    made = Converter(detailed_validation=is_detailed)
    made.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))
    for model in (FileHash, File):
        made.register_structure_hook(model, _keeping(made, model))
    return made


def _keeping(made: Converter, model: type[Any]) -> Callable[[Any, Any], Any]:
    """Wrap cattrs' own hook of a class, so that what it does not know is kept in `extra`."""
    names = {field.name: _camel(field.name) for field in attrs.fields(model)}
    overrides: dict[str, Any] = {name: override(rename=camel) for name, camel in names.items()}
    structure = make_dict_structure_fn(model, made, **overrides)
    known = set(names.values())

    def hook(value: Any, _: Any) -> Any:
        found = structure(value, model)
        found.extra = {key: value[key] for key in value if key not in known}
        return found

    return hook


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
