"""The feed held against the folder: whatever changes, a mirror built from the feed ends up equal."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import shutil
import tempfile
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from paragon_async.emulator import Emulator
from paragon_async.emulator.auth import new_signing_key
from tests.conftest import PROJECT
from tests.emulator.asker import token

pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]
KEY = new_signing_key()
NAMES = st.sampled_from(["a", "b", "c.txt", "d", "Ü.pdf"])
BODIES = st.binary(max_size=12)
RUNS = 200


class Service:
    """An emulator in a thread of its own, asked by plain HTTP."""

    def __init__(self, folder):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        options = {"settle": 0, "rescan": 0, "project_id": PROJECT, "signing_key": KEY}
        self.emulator = Emulator(folder, **options)
        self.run(self.emulator.start())
        self.line = http.client.HTTPConnection(self.emulator.url.removeprefix("http://"))
        self.headers = {"Authorization": f"Bearer {token(KEY)}"}

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        self.line.request(method, path, data, self.headers)
        answer = self.line.getresponse()
        raw = answer.read()
        assert answer.status == 200, raw
        return json.loads(raw)

    def close(self):
        self.line.close()
        self.run(self.emulator.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Mirror(RuleBasedStateMachine):
    """Changes a folder, pulls at random moments, and compares after every catch-up."""

    @initialize(size=st.integers(1, 5))
    def begin(self, size):
        self.folder = Path(tempfile.mkdtemp())
        self.service = Service(self.folder)
        body = {"integration": "googledrive", "pipeline": "files"}
        self.sync = f"/api/syncs/{self.service.ask('POST', '/api/syncs', body)['id']}"
        while self.service.ask("GET", self.sync)["status"] != "IDLE":
            pass
        self.size = size
        self.cursor = None
        self.records = {}

    def places(self, *, folders):
        found = [p for p in sorted(self.folder.rglob("*")) if p.is_dir() == folders]
        return [self.folder, *found] if folders else found

    @rule(data=st.data(), name=NAMES, body=BODIES)
    def write(self, data, name, body):
        path = data.draw(st.sampled_from(self.places(folders=True))) / name
        if not path.is_dir():
            path.write_bytes(body)

    @rule(data=st.data(), name=NAMES)
    def make_folder(self, data, name):
        path = data.draw(st.sampled_from(self.places(folders=True))) / name
        if not path.exists() and len(path.relative_to(self.folder).parts) < 5:
            path.mkdir()

    @rule(data=st.data(), folders=st.booleans(), name=NAMES)
    def move(self, data, folders, name):
        sources = [p for p in self.places(folders=folders) if p != self.folder]
        if not sources:
            return
        source = data.draw(st.sampled_from(sources))
        target = data.draw(st.sampled_from(self.places(folders=True))) / name
        if not target.is_relative_to(source) and not target.exists():
            source.rename(target)

    @rule(data=st.data(), folders=st.booleans())
    def remove(self, data, folders):
        sources = [p for p in self.places(folders=folders) if p != self.folder]
        if sources:
            path = data.draw(st.sampled_from(sources))
            shutil.rmtree(path) if folders else path.unlink()

    @rule()
    def look(self):
        self.service.ask("POST", "/_emulator/refresh", {})

    @rule()
    def pull(self):
        """Pull without having looked: whatever comes is applied, and the cursor kept."""
        self.pull_a_page()

    def pull_a_page(self):
        after = f"&cursor={quote(self.cursor, safe='')}" if self.cursor else ""
        page = self.service.ask("GET", f"{self.sync}/records?pageSize={self.size}{after}")
        for record in page["data"]:
            if record.get("deleted"):
                self.records.pop(record["id"], None)
            else:
                self.records[record["id"]] = record
        self.cursor = page["paging"]["cursor"] or self.cursor
        return page["paging"]["remainingRecords"]

    @rule()
    def catch_up(self):
        self.look()
        while self.pull_a_page():
            pass
        assert self.mirrored() == self.on_disk()

    def mirrored(self):
        by_external = {record["externalId"]: record for record in self.records.values()}
        assert len(by_external) == len(self.records)
        found = {}
        for record in self.records.values():
            names, step = [], record
            while step is not None:
                names.append(step["name"])
                step = by_external.get(step["parentFolderId"])
            found["/".join(reversed(names))] = record.get("hash", {}).get("value")
        assert len(found) == len(self.records)
        return found

    def on_disk(self):
        return {
            path.relative_to(self.folder).as_posix(): None
            if path.is_dir()
            else hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.folder.rglob("*")
        }

    @invariant()
    def totals_are_true(self):
        """What the service counts is what it shows."""
        if hasattr(self, "service"):
            page = self.service.ask("GET", f"{self.sync}/records?pageSize=1000")
            alive = sum(not record.get("deleted") for record in page["data"])
            assert page["paging"]["totalRecords"] == len(page["data"])
            assert page["paging"]["totalActiveRecords"] == alive

    def teardown(self):
        if hasattr(self, "service"):
            try:
                self.catch_up()
            finally:
                self.service.close()
                shutil.rmtree(self.folder)


TestMirror = Mirror.TestCase
TestMirror.settings = settings(
    max_examples=RUNS,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
