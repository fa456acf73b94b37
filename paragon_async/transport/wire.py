"""Requests and replies as values, and what a reply means. Pure: nothing here touches a socket.

Request[T]   what to send, and how its answer becomes a T
Reply        what came back, read to the end
decipher     a T, or the error that the reply stands for
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import attrs

from paragon_async.convert import parse
from paragon_async.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    DecodeError,
    NotFoundError,
    NotJsonError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)

T = TypeVar("T")

_BY_STATUS: dict[int, type[ApiError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: RateLimitError,
    409: ConflictError,
    410: NotFoundError,
    425: RateLimitError,
    429: RateLimitError,
}
_SUCCESS = range(200, 300)
_FIRST_SERVER_ERROR = 500
_WORDS_SHOWN = 200
_SECRETS = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]*|-----BEGIN[^-]*KEY-----.*?(?:-----END[^-]*-----|$)|(?<=\?)[^\s\"'<>]+"
    r"|(?i:(?<=bearer )\S+)",
    re.DOTALL,
)


@attrs.frozen(kw_only=True, eq=False)
class Request(Generic[T]):
    """One call: its answer, decoded from JSON, is turned into a T by *reads*.

    *repeatable* says that sending it twice does no more than sending it once. *headers* are for the
    content endpoint's ranges; the token is never among them. A body that *streams* is read by the
    caller; a *download* is counted apart from the calls. *parses* decodes the bytes for *reads*.
    """

    method: str
    path: str
    reads: Callable[[Any], T]
    query: Mapping[str, str] = attrs.field(factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    repeatable: bool = True
    streams: bool = False
    download: bool = False
    parses: Callable[[bytes], Any] = parse


@attrs.frozen(eq=False, repr=False)
class Reply:
    """An answer read to its end. *headers* are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def decipher(request: Request[T], reply: Reply, *, now: float) -> T:
    """Return what the reply means, or raise the `ApiError` or `DecodeError` that it stands for."""
    if reply.status not in _SUCCESS:
        raise refusal(request, reply, now=now)
    if not reply.body.strip():
        return _of_nothing(request)
    try:
        value = request.parses(reply.body)
    except NotJsonError as error:
        kind = reply.headers.get("Content-Type", "no content type")
        raise NotJsonError("$", f"{error.problem}; the answer came as {kind}") from None
    return request.reads(value)


def _of_nothing(request: Request[T]) -> T:
    """Return what an empty answer means; where it means nothing, it can be one that was cut."""
    try:
        return request.reads(None)
    except DecodeError:
        raise NotJsonError("$", "not JSON (the answer is empty)") from None


def refusal(request: Request[Any], reply: Reply, *, now: float) -> ApiError:
    """Make the error that a reply other than 2xx stands for."""
    detail = _detail(reply.body)
    default = ServerError if reply.status >= _FIRST_SERVER_ERROR else BadRequestError
    kind = _BY_STATUS.get(reply.status, default)
    return kind(
        _message(detail, reply.body),
        method=request.method,
        path=request.path,
        status=reply.status,
        code=_text(detail.get("code")),
        request_id=_request_id(detail, reply.headers),
        retry_after=retry_after(reply.headers, now=now),
    )


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Read `Retry-After`, seconds or a date; the date is held against the service's own clock.

    *now* is our Unix time, used where the service sent no `Date`. Nonsense counts as absent.
    """
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", value):
        return float(value)
    moment = http_date(value)
    if moment is None:
        return None
    return max(0.0, moment - (service_time(headers) or now))


def service_time(headers: Mapping[str, str]) -> float | None:
    """Return the Unix time at which the service says it answered."""
    return http_date(headers.get("Date", ""))


def http_date(value: str) -> float | None:
    """Read an HTTP date as Unix seconds, or return None."""
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def redact(text: str) -> str:
    """Strike out what looks like a token, a key or a signed query, and control characters."""
    clean = _SECRETS.sub("…", text)
    return "".join(c if c.isprintable() else " " for c in clean)


def _detail(body: bytes) -> dict[str, Any]:
    try:
        value = parse(body)
    except NotJsonError:
        return {}
    return value if isinstance(value, dict) else {}


def _message(detail: Mapping[str, Any], body: bytes) -> str:
    """Take the service's words from wherever it put them. Source: api.md 1.10."""
    for key in ("message", "error", "errors"):
        found = detail.get(key)
        if isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, dict):
            found = found.get("message")
        if isinstance(found, str) and found.strip():
            return redact(found)[:_WORDS_SHOWN]
    raw = redact(body[: _WORDS_SHOWN * 4].decode(errors="replace"))[:_WORDS_SHOWN].strip()
    return raw or "no message"


def _request_id(detail: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    meta = detail.get("meta")
    found = meta.get("requestId") if isinstance(meta, dict) else None
    return _text(found or headers.get("X-Request-Id"))


def _text(value: object) -> str | None:
    return redact(str(value))[:_WORDS_SHOWN] if isinstance(value, str | int) else None
