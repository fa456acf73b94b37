"""Ask an emulator that runs in another process, through its admin API.

Only one on this machine: the admin API has no password, so no other host can be meant.
"""

from __future__ import annotations

import ipaddress
import json
import os
from typing import Any

import aiohttp
from yarl import URL

from paragon_async.emulator.errors import EmulatorError

_DEFAULT = "http://127.0.0.1:4620"
_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=5)
_FIRST_FAILURE = 300


async def call(base_url: str | None, method: str, path: str, body: Any = None) -> Any:
    """Send one admin call, such as `POST /_emulator/events`, and return the JSON of its answer.

    *base_url* is taken from `PARAGON_BASE_URL` when it is None. Raises `EmulatorError` when nothing
    answers there, or the emulator refuses.
    """
    origin = _origin(base_url or os.environ.get("PARAGON_BASE_URL") or _DEFAULT)
    sent = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if sent is not None else {}
    url = URL(f"{origin}/{path.lstrip('/')}")
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.request(
                method, url, data=sent, headers=headers, allow_redirects=False
            ) as answer,
        ):
            return _read(origin, answer.status, await answer.read())
    except TimeoutError:
        raise EmulatorError(f"the emulator at {origin} did not answer in time") from None
    except (aiohttp.ClientError, OSError):
        raise EmulatorError(
            f"no emulator answers at {origin}: start one, or name another with --url"
        ) from None


def _origin(base_url: str) -> URL:
    try:
        url = URL(base_url)
        origin = url.with_user(None).origin()
    except (TypeError, ValueError):
        raise EmulatorError("the emulator's URL must look like http://127.0.0.1:4620") from None
    if url.scheme != "http" or not _is_loopback(url.host or ""):
        raise EmulatorError(f"{origin} is no emulator: one answers over http, on loopback")
    return origin


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _read(origin: URL, status: int, body: bytes) -> Any:
    try:
        read = json.loads(body) if body else None
    except ValueError:
        read = body
    if status >= _FIRST_FAILURE:
        message = read.get("message") if isinstance(read, dict) else None
        raise EmulatorError(str(message or f"{origin} answered {status}: is it an emulator?"))
    if isinstance(read, bytes):
        raise EmulatorError(f"{origin} answered without JSON: is it an emulator?")
    return read
