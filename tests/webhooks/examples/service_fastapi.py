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


@asynccontextmanager
async def lifespan(_):
    async with hooks.lifespan(), Paragon() as paragon:
        ingest = Ingest(paragon.user(USER), SYNC, MIRROR, MIRROR)
        following = asyncio.create_task(ingest.follow(every=3600, events=router))
        # What cannot be mirrored ends the service, for whoever watches over it to see.
        following.add_done_callback(
            lambda task: task.cancelled() or signal.raise_signal(signal.SIGTERM)
        )
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
