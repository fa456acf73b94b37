"""Everything that can go wrong, as one tree.

    ParagonError
    ├── ConfigurationError          what the caller gave cannot work; the message names it
    ├── TransportError              no answer that can be used                         retryable
    │   ├── ConnectionFailedError   no connection, or it was lost before an answer
    │   │   └── CertificateError    the other side could not prove who it is           final
    │   ├── TimedOutError           a deadline passed
    │   ├── CutShortError           the body ended before its end
    │   ├── MalformedAnswerError    what came is not HTTP, or not in a known encoding
    │   └── RedirectRefusedError    the answer points to a place we do not go          final
    ├── ApiError                    the service said no
    │   ├── BadRequestError         400, 413, 422 and other 4xx
    │   ├── AuthenticationError     401
    │   ├── PermissionDeniedError   403
    │   ├── NotFoundError           404, 410
    │   ├── ConflictError           409
    │   ├── RateLimitError          408, 425, 429; knows `retry_after`                 retryable
    │   └── ServerError             5xx                                                retryable
    ├── DecodeError                 an answer of a shape we do not know; names the place
    │   └── NotJsonError            an answer that is not JSON at all                  retryable
    ├── StalledCursorError          the feed stands still or runs in a circle
    ├── IncompleteListError         a list that the service may have cut; holds what came
    ├── SyncFailedError             the sync is ERRORED or DISABLED
    ├── DownloadError               a file could not be stored, or is not what it should be
    │   └── DestinationError        the disk refuses; knows the `errno`
    ├── WebhookError                a webhook body that is no event
    └── IngestError                 a mirror could not go on; what was safe before is safe
        ├── StateError              the state file is damaged, or not one of this program's
        ├── StateHeldError          another ingest works on it; knows the `holder`
        ├── TooManyDeletesError     the fuse: nothing was deleted; knows how many it would be
        └── SinkError               the destination cannot take what it is given

*retryable* says whether the same step may succeed if it is simply repeated; `Retry` asks the error,
nobody keeps a second list. Errors hold plain values only: never a token, never a header. All of them
can be pickled, so they survive a process pool.
"""

from __future__ import annotations

from typing import Any


def _revive(kind: type[ParagonError], args: tuple[Any, ...], state: dict[str, Any]) -> ParagonError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ParagonError(Exception):
    """The root: whatever leaves this SDK as an error is one of these."""

    retryable: bool = False
    retry_after: float | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.args, self.__dict__)


class ConfigurationError(ParagonError, ValueError):
    """Something the caller gave, as an argument or in the environment, cannot work."""


class TransportError(ParagonError):
    """There is no answer that can be used. *sent* tells whether the service may have acted."""

    retryable = True

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class ConnectionFailedError(TransportError):
    """No connection could be made, or it was lost before an answer came."""


class CertificateError(ConnectionFailedError):
    """The TLS handshake failed: trying again would not help."""

    retryable = False


class TimedOutError(TransportError):
    """A deadline passed; the message says which."""


class CutShortError(TransportError):
    """The body ended before its announced end."""


class MalformedAnswerError(TransportError):
    """What came back breaks HTTP, or is in an encoding that nobody asked for."""


class RedirectRefusedError(TransportError):
    """The answer points to a place where neither token nor request may go."""

    retryable = False


class ApiError(ParagonError):
    """The service answered, and the answer is no.

    Attributes: *method*, *path*, *status*, *message* (the service's own words), *request_id* and
    *code* where the service gave them, *attempts* (how often the request was sent) and *retry_after*
    (seconds, where the service named them).
    """

    def __init__(
        self,
        message: str,
        *,
        method: str,
        path: str,
        status: int,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.method = method
        self.path = path
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.attempts = 1
        self.hint: str | None = None

    def __str__(self) -> str:
        parts = [f"{self.status} from {self.method} {self.path}: {self.message}"]
        if self.request_id:
            parts.append(f"request {self.request_id}")
        if self.attempts > 1:
            parts.append(f"after {self.attempts} attempts")
        if self.hint:
            parts.append(self.hint)
        return "; ".join(parts)


class BadRequestError(ApiError):
    """400, 422 and the 4xx without a class of their own: the request itself is refused."""


class AuthenticationError(ApiError):
    """401: the token is not accepted, not even a new one."""


class PermissionDeniedError(ApiError):
    """403: the token is good, the right is missing."""


class NotFoundError(ApiError):
    """404: no such sync or record for this user."""


class ConflictError(ApiError):
    """409: the request contradicts what exists."""


class RateLimitError(ApiError):
    """429: too many calls; *retry_after* holds the seconds the service named, if any."""

    retryable = True


class ServerError(ApiError):
    """5xx: the service, or the integration behind it, failed."""

    @property
    def retryable(self) -> bool:  # type: ignore[override]  # a class attribute above, but 501 is final
        """Whether the status is one that passes."""
        return self.status not in {501, 505}


class DecodeError(ParagonError):
    """An answer that arrived whole and is of a shape we do not know.

    *place* names the spot, such as `$.data[3].updatedAt`; *problem* says what was found there.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(place, problem)
        self.place = place
        self.problem = problem

    def __str__(self) -> str:
        return f"unexpected answer at {self.place}: {self.problem}"


class NotJsonError(DecodeError):
    """An answer that should be JSON and is not: a proxy's page, or a body cut in the middle."""

    retryable = True


class StalledCursorError(ParagonError):
    """The feed has more records but its cursor is missing, stands still or comes round again.

    *cursor* is the last one that led forward: a pull can be taken up from it.
    """

    def __init__(self, message: str, *, cursor: str | None) -> None:
        super().__init__(message)
        self.cursor = cursor


class IncompleteListError(ParagonError):
    """A list that may have been cut by the service; *partial* holds what came."""

    def __init__(self, message: str, *, partial: list[str]) -> None:
        super().__init__(message)
        self.partial = partial


class SyncFailedError(ParagonError):
    """The sync will not become idle by itself; *status* and *reason* are the service's words."""

    def __init__(self, message: str, *, sync_id: str, status: str, reason: str | None) -> None:
        super().__init__(message)
        self.sync_id = sync_id
        self.status = status
        self.reason = reason


class DownloadError(ParagonError):
    """A file could not be stored, or what arrived is not what the evidence promises."""


class DestinationError(DownloadError):
    """The disk refuses; *errno* is the system's number for the reason, None for a bad name."""

    def __init__(self, message: str, *, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


class WebhookError(ParagonError):
    """A webhook body that is no event."""


class IngestError(ParagonError):
    """A mirror could not go on; the cursor stands where everything before it is safe."""


class StateError(IngestError):
    """The state file is damaged, newer than this program, or not a state file; it was not touched."""


class StateHeldError(IngestError):
    """Another ingest works on this state; *holder* says who: process, machine, since when."""

    def __init__(self, message: str, *, holder: str) -> None:
        super().__init__(message)
        self.holder = holder


class TooManyDeletesError(IngestError):
    """A run would have deleted *count* of *total* records, more than was allowed; it deleted none."""

    def __init__(self, message: str, *, count: int, total: int) -> None:
        super().__init__(message)
        self.count = count
        self.total = total


class SinkError(IngestError):
    """A destination cannot take what it is given; the message says which and why."""
