"""Never run: the type checkers hold the public API to these types."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import assert_type

from paragon_async import (
    Check,
    ConnectedUser,
    File,
    Page,
    Paragon,
    Record,
    Saved,
    Sync,
    SyncStatus,
    Tree,
    Verdict,
)


async def syncs(user: ConnectedUser) -> None:
    assert_type(await user.syncs.enable("googledrive", "files"), Sync)
    assert_type(await user.syncs.list(), list[Sync])
    assert_type(await user.syncs.status("s"), SyncStatus)
    assert_type(await user.syncs.wait_until_idle("s", timeout=1.0), SyncStatus)


async def records(user: ConnectedUser) -> None:
    assert_type(user.records.pull("s"), AsyncGenerator[Record, None])
    assert_type(user.records.pull("s", File, after="c"), AsyncGenerator[File, None])
    assert_type(user.records.pages("s", File), AsyncGenerator[Page[File], None])
    assert_type(await user.records.get("s", "r"), Record)
    assert_type(await user.records.get("s", "r", File), File)
    assert_type(await user.records.download("s", "r", "to"), Saved)
    async for page in user.records.pages("s", File):
        assert_type(page.records, Sequence[File])
        assert_type(page.cursor, str | None)
    async with user.records.content("s", "r") as content:
        assert_type(await content.read(), bytes)


async def permissions(user: ConnectedUser, files: list[File]) -> None:
    assert_type(await user.permissions.check("s", object="o", user="u"), bool)
    assert_type(await user.permissions.batch_check("s", [Check("o", "u")]), list[Verdict])
    assert_type(await user.permissions.list_objects("s", user="u"), list[str])
    assert_type(await user.permissions.expand("s", object="o"), Tree)
    assert_type(await user.permissions.filter_allowed("s", files, user="u"), list[File])


async def client() -> None:
    async with Paragon(token="t") as paragon:  # no secret
        assert_type(paragon.user(), ConnectedUser)


def values(record: Record) -> None:
    assert_type(record.into(File), File)
    assert_type(File(id="1").size, int | None)
