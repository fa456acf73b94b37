"""The Synced Objects of CRMs and help desks. Source: api.md 4.2 to 4.6.

They stand apart from `File` so that a program pays only for those it names.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import attrs

from paragon_async.models.base import extras, value


@value
class Contact:
    """A person of a CRM, pipeline `contacts`."""

    id: str
    external_id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    full_name: str | None = None
    company_name: str | None = None
    job_title: str | None = None
    emails: list[dict[str, Any]] = attrs.field(factory=list)
    phone_numbers: list[dict[str, Any]] = attrs.field(factory=list)
    addresses: list[dict[str, Any]] = attrs.field(factory=list)
    social_profiles: list[dict[str, Any]] = attrs.field(factory=list)
    type: str | None = None
    status: str | None = None
    owner_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    last_activity_at: datetime | None = None
    lifecycle_stage: str | None = None
    lead_source: str | None = None
    tags: list[str] = attrs.field(factory=list)
    notes: str | None = None
    website: str | None = None
    custom_fields: dict[str, Any] = attrs.field(factory=dict)
    deleted: bool = False
    extra: dict[str, Any] = extras()


@value
class Company:
    """A company of a CRM, pipeline `companies`. *annual_revenue* is a number or a string."""

    id: str
    external_id: str | None = None
    name: str | None = None
    description: str | None = None
    website: str | None = None
    addresses: list[dict[str, Any]] = attrs.field(factory=list)
    phone_numbers: list[dict[str, Any]] = attrs.field(factory=list)
    annual_revenue: Any = None
    number_of_employees: int | None = None
    parent_company_id: str | None = None
    timezone: str | None = None
    type: str | None = None
    industry: str | None = None
    owner_id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    custom_fields: dict[str, Any] = attrs.field(factory=dict)
    deleted: bool = False
    extra: dict[str, Any] = extras()


@value
class Deal:
    """An opportunity of a CRM, pipeline `deals`. *probability* runs from 0 to 100."""

    id: str
    external_id: str | None = None
    name: str | None = None
    description: str | None = None
    amount: float | None = None
    status: str | None = None
    status_type: str | None = None
    account_id: str | None = None
    owner_id: str | None = None
    close_date: date | None = None
    next_step: str | None = None
    probability: float | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    custom_fields: dict[str, Any] = attrs.field(factory=dict)
    deleted: bool = False
    extra: dict[str, Any] = extras()


@value
class Ticket:
    """A ticket of pipeline `tickets`; *original_record* is the integration's own form of it."""

    id: str
    external_id: str | None = None
    title: str | None = None
    description: str | None = None
    status: dict[str, Any] | None = None
    priority: str | None = None
    type: str | None = None
    assignees: list[dict[str, Any]] = attrs.field(factory=list)
    created_by: dict[str, Any] | None = None
    tags: list[str] = attrs.field(factory=list)
    due_at: datetime | None = None
    resolved_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    external_url: str | None = None
    project: dict[str, Any] | None = None
    original_record: dict[str, Any] = attrs.field(factory=dict)
    deleted: bool = False
    extra: dict[str, Any] = extras()


@value
class CustomObject:
    """An object of the user's own type; *custom_fields* holds all its fields as they are."""

    id: str
    external_id: str | None = None
    object_type: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    custom_fields: dict[str, Any] = attrs.field(factory=dict)
    deleted: bool = False
    extra: dict[str, Any] = extras()
