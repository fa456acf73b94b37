"""OpenTelemetry: attempts as spans and durations, runs as spans and counters, no secret in any."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from paragon_async import NotFoundError, Paragon, otel
from paragon_async.emulator import Emulator
from paragon_async.ingest import Ingest


@pytest.fixture
def spans():
    return InMemorySpanExporter()


@pytest.fixture
def reader():
    return InMemoryMetricReader()


@pytest.fixture
def traces(spans):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    yield provider
    provider.shutdown()


@pytest.fixture
def meters(reader):
    provider = MeterProvider([reader], shutdown_on_exit=False)
    yield provider
    provider.shutdown()


@pytest.fixture
async def emulator(tmp_path):
    folder = tmp_path / "drive"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text("x" * 10)
    async with Emulator(folder) as emulator:
        yield emulator


def client(emulator, traces, meters):
    return Paragon(
        project_id=emulator.project_id,
        signing_key=emulator.signing_key,
        base_url=emulator.url,
        observe=otel.observer(traces, meters),
    )


def measured(reader):
    """Return the points of each metric, by its name."""
    data = reader.get_metrics_data()
    metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
    return {metric.name: list(metric.data.data_points) for metric in metrics}


async def test_a_run_is_a_span_with_its_attempts_below_it(
    emulator, traces, meters, spans, reader, tmp_path
):
    """Attempts are children of the run; names hold no ids; counters hold what the run brought."""
    async with client(emulator, traces, meters) as paragon:
        user = paragon.user("user-1")
        sync = await user.syncs.enable("googledrive", "files")
        await user.syncs.wait_until_idle(sync.id)
        spans.clear()
        ingest = Ingest(
            user,
            sync.id,
            tmp_path / "mirror",
            tmp_path / "mirror",
            on_progress=otel.progress(sync.id, meters),
        )
        emulator.fault(path="*/records", status=503, times=1)
        report = await otel.traced("ingest.run", ingest.run, traces)
        await ingest.run()
    (run,) = [span for span in spans.get_finished_spans() if span.name == "ingest.run"]
    below = [
        s
        for s in spans.get_finished_spans()
        if s.parent and s.parent.span_id == run.context.span_id
    ]
    assert run.attributes["paragon_async.files"] == report.files == 3
    assert "GET /api/syncs/{id}/records/{id}/content" in {span.name for span in below}
    assert not any(sync.id in span.name for span in below)
    (failed,) = [span for span in below if span.status.status_code is StatusCode.ERROR]
    assert failed.attributes["http.response.status_code"] == 503
    assert failed.attributes["error.type"] == "503"
    assert all(span.end_time >= span.start_time for span in below)
    found = measured(reader)
    assert sum(p.value for p in found["paragon_async.ingest.files"]) == 3
    assert sum(p.value for p in found["paragon_async.ingest.bytes"]) == 30
    assert sum(p.value for p in found["paragon_async.retries"]) == 1
    assert sum(p.count for p in found["http.client.request.duration"]) >= len(below)


async def test_what_fails_is_told_by_its_class_alone(emulator, traces, meters, spans):
    """An error ends the span as failed, under its class; its text, which names things, stays out."""
    async with client(emulator, traces, meters) as paragon:
        syncs = paragon.user("user-1").syncs
        with pytest.raises(NotFoundError):
            await otel.traced("status", lambda: syncs.status("no-such-sync"), traces)
    (span,) = [span for span in spans.get_finished_spans() if span.name == "status"]
    assert span.status.description == "NotFoundError"
    assert not span.events
    assert "no-such-sync" not in span.to_json()


def test_nothing_is_imported_by_who_does_not_ask():
    """A client costs no OpenTelemetry, and without it the error names the extra."""
    code = (
        "import sys, paragon_async; paragon_async.Paragon\n"
        "assert not any(m.startswith('opentelemetry') for m in sys.modules)\n"
        "sys.modules['opentelemetry'] = None\n"
        "try:\n    import paragon_async.otel\n"
        "except paragon_async.ConfigurationError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "paragon-async[otel]"' in done.stdout
