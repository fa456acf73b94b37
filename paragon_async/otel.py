"""OpenTelemetry: spans and metrics of calls and runs. Comes with the extra `otel`.

    Paragon(observe=otel.observer())                      a span and a duration for each attempt
    Ingest(..., on_progress=otel.progress(sync_id))       records, files and bytes as counters
    await otel.traced("ingest.run", ingest.run)           a span around a run, attempts below it

Nothing of it is imported, and nothing is paid for it, by who does not ask. Names are those of
OpenTelemetry's semantic conventions for HTTP clients where these have one; ids of syncs and records
are no part of a name, and no token, query or body is in any of it. Without an SDK set up by the
program, OpenTelemetry itself makes all of it nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar, cast

import attrs

from paragon_async._version import __version__
from paragon_async.errors import ConfigurationError

try:
    from opentelemetry import metrics, trace
    from opentelemetry.trace import SpanKind, Status, StatusCode
except ModuleNotFoundError:
    raise ConfigurationError(
        'OpenTelemetry is not installed: pip install "paragon-async[otel]"'
    ) from None

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from paragon_async.ingest.values import OnProgress, Progress
    from paragon_async.transport.channel import Exchange, Observer

T = TypeVar("T")
_SCOPE = "paragon_async"
_ID = re.compile(r"(?<=/syncs/)[^/]+|(?<=/permissions/)[^/]+|(?<=/records/)[^/]+")
_FAILED = 400


def observer(
    tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> Observer:
    """Return what `Paragon(observe=…)` takes: it makes of each attempt a span and a measurement.

    The span is a child of the one that is current where the call was made, and as long as the attempt:
    without the wait at the gate, or that before the next attempt. The histogram is
    `http.client.request.duration`, in seconds; `paragon_async.retries` counts attempts that are tried
    again. Providers default to the global ones.
    """
    tracer = trace.get_tracer(_SCOPE, __version__, tracer_provider)
    meter = metrics.get_meter(_SCOPE, __version__, meter_provider)
    duration = meter.create_histogram(
        "http.client.request.duration", "s", "Duration of attempts, to the end of what was read"
    )
    retries = meter.create_counter("paragon_async.retries", "{attempt}", "Attempts tried again")

    def observe(exchange: Exchange) -> None:
        end = time.time_ns()
        route = _ID.sub("{id}", exchange.path)
        found = _attributes(exchange, route)
        duration.record(exchange.seconds, found)
        if exchange.wait is not None:
            retries.add(1, found)
        span = tracer.start_span(
            f"{exchange.method} {route}",
            kind=SpanKind.CLIENT,
            attributes=found | {"http.request.resend_count": exchange.attempt - 1},
            start_time=end - int(exchange.seconds * 1e9),
        )
        if exchange.error is not None:
            span.set_status(Status(StatusCode.ERROR, exchange.error))
        span.end(end)

    return observe


def progress(sync_id: str, meter_provider: MeterProvider | None = None) -> OnProgress:
    """Return what `Ingest(on_progress=…)` takes: it counts what its runs bring, as they do.

    Counters `paragon_async.ingest.records`, `.files`, `.deleted` (each a number) and `.bytes` (`By`),
    with the attribute `paragon_async.sync_id`.
    """
    meter = metrics.get_meter(_SCOPE, __version__, meter_provider)
    counters = {
        name: meter.create_counter(f"paragon_async.ingest.{name}", unit, text)
        for name, unit, text in (
            ("records", "{record}", "Records that came in the feed"),
            ("files", "{file}", "Contents stored"),
            ("deleted", "{record}", "Records removed from the mirror"),
            ("bytes", "By", "Bytes of contents stored"),
        )
    }
    known: dict[str, float] = {}

    def watch(now: Progress) -> None:
        report = attrs.asdict(now.report)
        if report["seconds"] < known.get("seconds", 0.0):
            # A new run, which counts from nought.
            known.clear()
        for name, counter in counters.items():
            if come := report[name] - known.get(name, 0):
                counter.add(come, {"paragon_async.sync_id": sync_id})
        known.update({name: report[name] for name in (*counters, "seconds")})

    return watch


async def traced(
    name: str,
    work: Callable[[], Awaitable[T]],
    tracer_provider: TracerProvider | None = None,
) -> T:
    """Do *work* within a span *name*; what it raises is noted there by its class, and raised.

    Attempts made meanwhile are its children. Of a `Report` that comes back, the figures become
    attributes. Cancelling ends the span, and is passed on.
    """
    tracer = trace.get_tracer(_SCOPE, __version__, tracer_provider)
    # An error's text can hold what a name or the service says: the class is enough.
    with tracer.start_as_current_span(
        name, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            result = await work()
        except BaseException as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        if attrs.has(type(result)):
            for key, value in attrs.asdict(cast("attrs.AttrsInstance", result)).items():
                if isinstance(value, int | float):
                    span.set_attribute(f"paragon_async.{key}", value)
        return result


def _attributes(exchange: Exchange, route: str) -> dict[str, str | int]:
    found: dict[str, str | int] = {
        "http.request.method": exchange.method,
        "url.template": route,
    }
    if exchange.status is not None:
        found["http.response.status_code"] = exchange.status
    if exchange.error is not None:
        found["error.type"] = (
            str(exchange.status) if (exchange.status or 0) >= _FAILED else exchange.error
        )
    return found
