"""What the emulator's tests share: a session and a client of it that are not ours."""

from __future__ import annotations

import aiohttp
import pytest

from tests.emulator.asker import Client, token


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
def client(session, emulator, signing_key):
    return Client(session, emulator.url, token(signing_key))
