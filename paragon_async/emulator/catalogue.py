"""Which integrations there are, with their pipelines and what a sync of them must configure.

Source: api.md 4.9. Policies where the service is silent: an integration or a pipeline that is not
listed, and a configuration that lacks what its page requires, are refused with 400. Everything else
in a configuration is kept and, where the emulator knows no meaning for it, ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from paragon_async.emulator.errors import Refusal

_CRM = ("contacts", "companies", "deals")
_ALL_CRM = (*_CRM, "custom_objects")
INTEGRATIONS: dict[str, tuple[str, ...]] = {
    "googledrive": ("files",),
    "sharepoint": ("files",),
    "onedrive": ("files",),
    "box": ("files",),
    "dropbox": ("files",),
    "amazons3": ("files",),
    "confluence": ("files",),
    "notion": ("files",),
    "servicenow": ("files", "tickets"),
    "zendesk": ("files", "tickets"),
    "intercom": ("files", "tickets"),
    "freshdesk": ("tickets",),
    "jira": ("tickets",),
    "monday": ("tickets",),
    "salesforce": _ALL_CRM,
    "hubspot": _ALL_CRM,
    "pipedrive": _CRM,
    "microsoftDynamics": _ALL_CRM,
    "zohocrm": _ALL_CRM,
}
RECORDS = ("contacts", "companies", "deals", "custom_objects", "tickets")
PIPELINES = ("files", *RECORDS)
FREQUENCIES = {
    "1m": 60, "5m": 300, "10m": 600, "30m": 1800, "1h": 3600, "3h": 10800, "6h": 21600, "24h": 86400,
}  # fmt: skip
_REQUIRED = {"amazons3": "bucket", "jira": "projectId", "monday": "boardId"}
GOOGLE_FOLDER = "application/vnd.google-apps.folder"


def check(integration: str, pipeline: str, configuration: Mapping[str, Any]) -> None:
    """Refuse with 400 what no sync can be made of."""
    pipelines = INTEGRATIONS.get(integration)
    if pipelines is None:
        raise Refusal(400, f"integration must be one of {', '.join(INTEGRATIONS)}")
    if pipeline not in pipelines:
        raise Refusal(400, f"pipeline of {integration} must be one of {', '.join(pipelines)}")
    needed = "customObjectName" if pipeline == "custom_objects" else _REQUIRED.get(integration)
    if integration == "sharepoint" and "folderId" not in configuration:
        needed = "siteId"
    given = configuration.get(needed) if needed else True
    if not given:
        raise Refusal(400, f"configuration.{needed} is required by {integration} {pipeline}")
    for key in ("folderId", "customObjectName"):
        if not isinstance(configuration.get(key, ""), str):
            raise Refusal(400, f"configuration.{key} must be a string")
    types = configuration.get("mimeTypes", [])
    if not isinstance(types, list) or not all(isinstance(one, str) for one in types):
        raise Refusal(400, "configuration.mimeTypes must be an array of strings")


def folder_type(integration: str) -> str | None:
    """Return the mimeType that an integration gives a folder; most give none."""
    return GOOGLE_FOLDER if integration == "googledrive" else None
