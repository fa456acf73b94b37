"""What a client is told and what it answers, as JSON between two processes.

Task      where the service is, what to fetch, where to put it
Figure    what it took
"""

from __future__ import annotations

import json
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Item:
    """A file that the service holds: the *id* of its record, its *size* in bytes, its *name*.

    A client may store it under any name that contains the id, and in any folder below the task's.
    """

    id: str
    size: int
    name: str


@attrs.frozen(kw_only=True)
class Task:
    """What a client is to do: it is the same for all contenders of a case.

    *base_url* and *token* are the service's; *ca_file* the certificate to trust, where it is https
    (`SSL_CERT_FILE` names it too). *items* are the files to fetch into *folder*, an empty one,
    *concurrency* at once. *options* are the contender's and the case's own.
    """

    base_url: str = ""
    sync_id: str = ""
    token: str = ""
    ca_file: str | None = None
    items: list[Item] = attrs.field(factory=list)
    folder: str | None = None
    concurrency: int = 1
    options: dict[str, Any] = attrs.field(factory=dict)

    @classmethod
    def read(cls, text: str) -> Task:
        """Read a task from JSON."""
        raw = json.loads(text)
        return cls(**raw | {"items": [Item(**item) for item in raw["items"]]})

    def written(self) -> str:
        """Write it as JSON."""
        return json.dumps(attrs.asdict(self))

    @property
    def records_url(self) -> str:
        """The address of the sync's records; `?pageSize=…&cursor=…` asks for a page."""
        return f"{self.base_url}/api/syncs/{self.sync_id}/records"

    def content_url(self, item: Item) -> str:
        """Return the address of a file's content."""
        return f"{self.records_url}/{item.id}/content"

    @property
    def headers(self) -> dict[str, str]:
        """What every request has to carry."""
        return {"Authorization": f"Bearer {self.token}"}


@attrs.frozen(kw_only=True)
class Figure:
    """What the work took: *wall* and *cpu* seconds, the process's peak memory in MB.

    *count* records or files came, *bytes* of content in all; the runner holds both against what there
    is. *more* are figures of the case's own, such as a lag in milliseconds.
    """

    wall: float
    cpu: float
    memory_mb: float
    count: int
    bytes: int | None = None
    note: str = ""
    more: dict[str, float] = attrs.field(factory=dict)

    @classmethod
    def read(cls, line: str) -> Figure:
        """Read a figure from a client's line of JSON; keys that are left out have their default."""
        return cls(**json.loads(line))
