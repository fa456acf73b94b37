"""A Managed Sync in one process, for machines without an account.

It imports nothing of the SDK around it, so the two cannot agree on each other's mistakes.
"""

from paragon_async.emulator.errors import EmulatorError
from paragon_async.emulator.faults import Fault
from paragon_async.emulator.server import Emulator

__all__ = ["Emulator", "EmulatorError", "Fault"]
