"""A service of aiohttp that keeps a folder equal to a sync, live.

Paragon's webhook is http://HOST:PORT/hooks/webhook/SECRET; `PARAGON_USER` is the connected user's id.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal

from aiohttp import web

from paragon_async import Paragon
from paragon_async.ingest import Ingest
from paragon_async.webhooks import Inbox, Router, receiver
from paragon_async.webhooks.receiver import AccessLogger

SYNC, USER, MIRROR, SECRET = (
    os.environ[name] for name in ("SYNC", "PARAGON_USER", "MIRROR", "SECRET")
)
router = Router()


def end(following):
    """End the service when nothing can be mirrored; a moment later, when it has surely started."""
    if not following.cancelled():
        asyncio.get_running_loop().call_later(1, signal.raise_signal, signal.SIGTERM)


async def mirroring(_):
    async with Paragon() as paragon:
        ingest = Ingest(paragon.user(USER), SYNC, MIRROR, MIRROR)
        ingest.hear(router)
        following = asyncio.create_task(ingest.follow(every=3600))
        following.add_done_callback(end)
        yield
        following.cancel()
        await asyncio.wait([following])
        if not following.cancelled():
            following.result()


logging.basicConfig(level=logging.INFO)
app = web.Application()
app.cleanup_ctx.append(mirroring)
app.add_subapp("/hooks", receiver(router, inbox=Inbox(f"{MIRROR}.inbox"), secrets=[SECRET]))

if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8080"))
    web.run_app(app, host="127.0.0.1", port=port, access_log_class=AccessLogger)
