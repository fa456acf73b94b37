"""A service of FastAPI that keeps a folder equal to a sync, live.

Paragon's webhook is http://HOST:PORT/hooks/webhook/SECRET; `PARAGON_USER` is the connected user's id.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from paragon_async import Paragon
from paragon_async.ingest import Ingest
from paragon_async.webhooks import Inbox, Router, asgi_receiver

SYNC, USER, MIRROR, SECRET = (
    os.environ[name] for name in ("SYNC", "PARAGON_USER", "MIRROR", "SECRET")
)
router = Router()
hooks = asgi_receiver(router, inbox=Inbox(f"{MIRROR}.inbox"), secrets=[SECRET])


def end(following):
    """End the service when nothing can be mirrored; a moment later, when it has surely started."""
    if not following.cancelled():
        asyncio.get_running_loop().call_later(1, signal.raise_signal, signal.SIGTERM)


@asynccontextmanager
async def lifespan(_):
    async with Paragon() as paragon:
        ingest = Ingest(paragon.user(USER), SYNC, MIRROR, MIRROR)
        ingest.hear(router)
        async with hooks.lifespan():
            following = asyncio.create_task(ingest.follow(every=3600))
            following.add_done_callback(end)
            yield
            following.cancel()
            await asyncio.wait([following])
            if not following.cancelled():
                following.result()


logging.basicConfig(level=logging.INFO)
app = FastAPI(lifespan=lifespan)
app.mount("/hooks", hooks)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
