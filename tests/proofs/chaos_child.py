"""The service that is killed: a receiver, its inbox, and a mirror that follows what it is told.

Its URL is its first line. The number of each event that a handler gets is a line of `handled`: written
before the event leaves the inbox, and safe from SIGKILL as soon as it is written.

    chaos_child.py HOME SYNC PAUSE CONCURRENCY PAGE_SIZE      the secret in SECRET, the service in the environment
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

from paragon_async import Paragon
from paragon_async.ingest import FolderSink, Ingest
from paragon_async.webhooks import Event, Inbox, Router, receiver
from paragon_async.webhooks.receiver import serving


async def main():
    home, sync_id, pause, concurrency, page_size = sys.argv[1:]
    handled = os.open(f"{home}/handled", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    router = Router()

    @router.on(Event)
    async def note(event):
        os.write(handled, f"{event.raw['metadata']['number']}\n".encode())

    app = receiver(router, inbox=Inbox(f"{home}/inbox.db"), secrets=[os.environ["SECRET"]])
    mirror = Path(home) / "mirror"
    async with Paragon() as paragon, serving(app) as url:
        sink = FolderSink(mirror, durability="file")
        bounds = {"concurrency": int(concurrency), "page_size": int(page_size)}
        one = Ingest(paragon.user("user-1"), sync_id, sink, mirror, **bounds)
        following = asyncio.create_task(one.follow(every=3600, pause=float(pause), events=router))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, following.cancel)
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        with contextlib.suppress(asyncio.CancelledError):
            await following


asyncio.run(main())
