"""An inbox in a file, a router that keeps what it is handed, and both in a served receiver."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from paragon_async.webhooks import Event, Router
from paragon_async.webhooks.inbox import Inbox
from paragon_async.webhooks.receiver import receiver, serving
from tests.webhooks.sending import SECRET


@pytest.fixture
def seen():
    return []


@pytest.fixture
def router(seen):
    made = Router()

    @made.on(Event)
    async def keep(event):
        seen.append(event)

    return made


@pytest.fixture
async def inbox(tmp_path):
    async with Inbox(tmp_path / "inbox.db") as opened:
        yield opened


@pytest.fixture
def receiving(inbox, router):
    """Serve a receiver over the open inbox, which hands out nothing by itself."""

    @asynccontextmanager
    async def start(server=None, **options):
        options = {"inbox": inbox, "secrets": [SECRET], "serve": False, **options}
        async with serving(receiver(router, **options), **(server or {})) as url:
            yield url

    return start
