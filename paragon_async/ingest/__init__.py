"""Mirror syncs to storage, resumable at every instant.

async with Paragon() as paragon:
    report = await Ingest(paragon.user("user-1"), sync_id, FolderSink("mirror"), "mirror").run()

Ingest, IngestMany            the engine, for one sync or many
FolderSink, LinesSink         destinations; ParquetSink (extra `parquet`), ObjectStoreSink (extra
                              `cloud`), or any `Sink`
State                         the state in the destination, to share between ingests
Report, Progress, Verified    what they tell
"""

from paragon_async.ingest.engine import Ingest
from paragon_async.ingest.many import IngestMany, Outcome
from paragon_async.ingest.refresh import Verified
from paragon_async.ingest.room import Room
from paragon_async.ingest.sinks.changelog import LinesSink
from paragon_async.ingest.sinks.folder import FolderSink
from paragon_async.ingest.sinks.parquet import ParquetSink
from paragon_async.ingest.sinks.protocol import Sink
from paragon_async.ingest.sinks.store import ObjectStoreSink
from paragon_async.ingest.state import State
from paragon_async.ingest.values import DeadLetter, Feed, Progress, Receipt, Report

__all__ = [
    "DeadLetter",
    "Feed",
    "FolderSink",
    "Ingest",
    "IngestMany",
    "LinesSink",
    "ObjectStoreSink",
    "Outcome",
    "ParquetSink",
    "Progress",
    "Receipt",
    "Report",
    "Room",
    "Sink",
    "State",
    "Verified",
]
