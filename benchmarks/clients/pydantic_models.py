"""A page of File records as a generated SDK declares it: pydantic models, unknown fields allowed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")


class FileHash(_Model):
    """A checksum."""

    type: str | None = None
    value: str | None = None


class File(_Model):
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
    custom_fields: dict[str, Any] = Field(default_factory=dict)
    synced_at: datetime | None = None
    deleted: bool = False


class Paging(_Model):
    """Where a page stands."""

    cursor: str | None = None
    remaining_records: int | None = None
    total_records: int | None = None


class Page(_Model):
    """Some records and where they stand."""

    data: list[File]
    paging: Paging
