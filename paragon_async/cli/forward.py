"""Passes events on to another program: one POST each, which has to be answered 2xx.

The inbox repeats what was not. There is no redirect, which would turn the POST into a GET and its
answer into a success, and no proxy of the environment, as nowhere in this package.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from paragon_async._version import __version__
from paragon_async.errors import ParagonError
from paragon_async.threads import in_thread
from paragon_async.webhooks import Event

_TIMEOUT = 10.0


class ForwardError(ParagonError):
    """An event was not answered 2xx; the message names origin and reason, never the whole URL."""


class Forward:
    """Posts events to *url* as JSON: what their bodies said, if not byte for byte."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._url = url
        self._origin = f"{place.scheme}://{place.netloc}"
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            self._opener.add_handler(handler)

    async def pass_on(self, event: Event) -> None:
        """Post one event. Raises `ForwardError`; cancelling waits for the answer, some seconds."""
        await in_thread(self._post, json.dumps(event.raw).encode())

    def _post(self, body: bytes) -> None:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"paragon-async/{__version__}",
        }
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310  # http or https, as was checked
        try:
            self._opener.open(request, timeout=_TIMEOUT).close()
        except urllib.error.HTTPError as error:
            error.close()
            raise ForwardError(f"{self._origin} answered {error.code}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            told = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            raise ForwardError(f"no answer from {self._origin}: {told}") from None
