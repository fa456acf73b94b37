"""An emulator in a thread of its own, so that a test's loop holds nothing but the client's doing."""

from __future__ import annotations

import asyncio
import threading

from paragon_async.emulator import Emulator
from tests.conftest import PROJECT


class Served:
    """An emulator in a thread and a loop of its own."""

    def __init__(self, source, key):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.emulator = Emulator(source, settle=0, rescan=0, project_id=PROJECT, signing_key=key)
        self.run(self.emulator.start())

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(120)

    def fault(self, **rule):
        """Add a fault, once it is certain that it holds."""

        async def add():
            self.emulator.fault(**rule)

        self.run(add())

    def mend(self):
        """Take all faults back; what stalls is let go by its client, who hangs up."""

        async def clear():
            self.emulator.faults.clear()

        self.run(clear())

    def close(self):
        self.run(self.emulator.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()
