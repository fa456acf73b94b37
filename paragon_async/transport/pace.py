"""Is a body too slow to be alive? Pure: a read time-out never fires while single bytes drip in."""

from __future__ import annotations

import attrs


@attrs.define(eq=False, repr=False)
class Pace:
    """Counts bytes against the time spent waiting for them, window by window.

    Only waiting counts, so a slow consumer is never taken for a slow service.
    """

    floor: float
    window: float
    _bytes: int = 0
    _waited: float = 0.0

    def too_slow(self, size: int, waited: float) -> bool:
        """Add *size* bytes that took *waited* seconds; tell whether the window fell below the floor."""
        self._bytes += size
        self._waited += waited
        if self._waited < self.window:
            return False
        slow = self._bytes < self.floor * self._waited
        self._bytes, self._waited = 0, 0.0
        return slow
