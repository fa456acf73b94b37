"""The emulator held against its own description: whatever is sent, no 5xx and no undeclared answer."""

from __future__ import annotations

import asyncio
import copy
import ipaddress
import itertools
import socket
import threading

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from paragon_async.emulator import Emulator
from paragon_async.emulator.auth import new_signing_key
from paragon_async.emulator.openapi import describe
from tests.conftest import PROJECT
from tests.emulator.asker import token

# They come with the extra `dev`, not with `test`: without them this module is skipped, not an error.
requests = pytest.importorskip("requests")
schemathesis = pytest.importorskip("schemathesis")
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
checks = pytest.importorskip("schemathesis.specs.openapi.checks")
pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]
OPERATIONS = [
    (method, path)
    for path, item in describe()["paths"].items()
    for method in item
    if method != "parameters"
]
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
THERE = "there"
NOWHERE = "http://127.0.0.1:9/hook"
SYNCS = [
    {"integration": "googledrive", "pipeline": "files"},
    {"integration": "hubspot", "pipeline": "contacts"},
]
OFTEN = st.sampled_from([True, True, True, False])
ODD = [None, True, -1, 5, 1.5, 1 << 62, "", "x", "[]", "{}", '{"event": 5}', {"base64": "AAEC"}]
SETTINGS = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


class Service:
    """An emulator in a thread of its own, with two syncs, and the names of what it holds."""

    def __init__(self, folder):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        options = {
            "settle": 0,
            "rescan": 0,
            "project_id": PROJECT,
            "signing_key": new_signing_key(),
        }
        self.emulator = Emulator(folder, generate=["contacts:50"], **options)
        self.run(self.emulator.start())
        self.url = self.emulator.url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {token(self.emulator.signing_key)}"

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def ask(self, method, path, body=None):
        answer = self.session.request(method, self.url + path, json=body, timeout=30)
        assert answer.status_code < 300, (method, path, answer.text)
        return answer.json()

    def settle(self):
        """Make it whole again, whatever was done to it."""
        self.ask("DELETE", "/_emulator/faults")
        self.ask("PUT", "/_emulator/pace", {"pace": "at_once"})
        hook = self.ask("GET", "/_emulator/webhook")
        if hook["url"] is None or hook["disabled"]:
            self.ask("PUT", "/_emulator/webhook", {"url": NOWHERE})
        return [self.ask("POST", "/api/syncs", body)["id"] for body in SYNCS]

    def numbers(self):
        """Return the numbers of a rule and of a delivery that are there just now."""
        fault = self.ask("POST", "/_emulator/faults", {"path": "/nowhere"})["id"]
        delivery = self.ask("GET", "/_emulator/deliveries?limit=1")["data"][0]["id"]
        return {"fault": str(fault), "delivery": str(delivery)}

    def walk(self, names, why):
        """Ask for everything; nothing may be a failure, whatever lies in the state."""
        paths = [path for method, path in OPERATIONS if method == "get" and "{" not in path]
        syncs = [f"/api/syncs/{sync}" for sync in names["sync"]]
        paths += [*syncs, *(f"{sync}/records" for sync in syncs)]
        paths += [f"{syncs[0]}/records/{record}" for record in names["record"]]
        paths += [f"{syncs[0]}/records/{record}/content" for record in names["record"]]
        asked = [("GET", path) for path in paths] + [("POST", "/_emulator/refresh")]
        for method, path in asked:
            answer = self.session.request(method, self.url + path, timeout=30)
            assert answer.status_code < 500, (why, method, path, answer.text)

    def names(self):
        """Return names of things that are there, by the keys under which they are sent."""
        syncs = self.settle()
        self.ask("POST", "/_emulator/refresh")
        pages = [self.ask("GET", f"/api/syncs/{sync}/records?pageSize=5") for sync in syncs]
        records = [record for page in pages for record in page["data"]]
        assert len(records) == 9
        files = [record["id"] for record in records if "size" in record]
        ids = [*files, *files, *(record["id"] for record in records)]
        externals = [record["externalId"] for record in records]
        users = ["u1", "a@example.com", "user:owner@example.com", "group:eng", "anyone"]
        return {
            "sync": [syncs[0], *syncs], "record": ids, "id": ids, "ids": ids, "externalId": externals, "externalIds": externals,
            "integration": ["googledrive", "hubspot"], "pipeline": ["files", "contacts", "contacts"],
            "object": [*ids, *externals, f"file:{ids[0]}", "root", "group:eng"], "group": ["eng", "group:eng"],
            "user": users, "member": users, "subject": users, "fault": [THERE], "delivery": [THERE],
            "cursor": [page["paging"]["cursor"] for page in pages], "path": ["/api/*", "/api/syncs"],
            "Range": ["bytes=0-1", "bytes=-2", "bytes=99-", "bytes=2-1"],
        }  # fmt: skip

    def close(self):
        self.session.close()
        self.run(self.emulator.aclose())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def only_loopback():
    """No socket leads away from this machine: neither a name is looked up nor a call made."""
    strays = []

    def guarded(real, host_of):
        def call(*args, **kwargs):
            host = host_of(*args)
            try:
                is_here = host == "localhost" or ipaddress.ip_address(host).is_loopback
            except ValueError:
                is_here = False
            if not is_here:
                strays.append(host)
                raise OSError("this leads away from the machine")
            return real(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(socket.socket.connect, lambda _, to: to[0]))
        patch.setattr(socket, "getaddrinfo", guarded(socket.getaddrinfo, lambda host, *_: host))
        yield strays
    assert strays == []


@pytest.fixture(scope="module")
def service(tmp_path_factory, only_loopback):
    folder = tmp_path_factory.mktemp("drive")
    (folder / "below").mkdir()
    (folder / "hello.txt").write_text("hello")
    (folder / "below" / "notes.gdoc").write_text("# notes")
    (folder / "below" / "table.csv").write_text("a,b\n1,2\n")
    made = Service(folder)
    yield made
    made.close()


@pytest.fixture(scope="module")
def names(service):
    return service.names()


@pytest.fixture(scope="module")
def schema(service):
    return schemathesis.openapi.from_url(f"{service.url}/_emulator/openapi.json")


def real(draw, value, names):
    """Put names of what is there in the place of invented ones, now and then, and safe URLs always."""
    if isinstance(value, list):
        return [real(draw, one, names) for one in value]
    if not isinstance(value, dict):
        return value
    changed = {}
    for key, one in value.items():
        if key == "url" and isinstance(one, str):
            changed[key] = NOWHERE
        elif key in names and isinstance(one, str) and draw(OFTEN):
            changed[key] = draw(st.sampled_from(names[key]))
        elif key in names and isinstance(one, list) and draw(st.booleans()):
            changed[key] = draw(st.lists(st.sampled_from(names[key]), max_size=3))
        else:
            changed[key] = real(draw, one, names)
    return changed


@st.composite
def cases(draw, operation, modes, names):
    """A case that the description allows, or one that it does not, with some real names in it."""
    case = draw(st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes]))
    for part in (case.path_parameters, case.query, case.headers):
        for key in part or {}:
            if key in names and draw(OFTEN):
                part[key] = draw(st.sampled_from(names[key]))
    for parameter in operation.headers:
        if parameter.name in names and draw(OFTEN):
            case.headers[parameter.name] = draw(st.sampled_from(names[parameter.name]))
    if isinstance(case.body, dict | list):
        case.body = real(draw, case.body, names)
    return case


@pytest.mark.parametrize(
    ("method", "path"), OPERATIONS, ids=[f"{method} {path}" for method, path in OPERATIONS]
)
def test_every_answer_is_declared(service, names, schema, method, path):
    """Whatever an operation is sent, its status, media type, headers and body are as described."""
    operation = schema[path][method.upper()]
    takes = bool(operation.body) or any(
        (operation.path_parameters, operation.query, operation.headers)
    )
    modes = [POSITIVE, POSITIVE, NEGATIVE] if takes else [POSITIVE]

    @settings(SETTINGS, max_examples=60 if takes else 3)
    @given(case=cases(operation, modes, names))
    def check(case):
        service.settle()
        for key, number in service.numbers().items():
            if case.path_parameters and case.path_parameters.get(key) == THERE:
                case.path_parameters[key] = number
        before = service.ask("GET", "/_emulator/state") if "state" in path else None
        answer = case.call(base_url=service.url, session=service.session, timeout=30)
        if before is not None:
            service.ask("PUT", "/_emulator/state", before)
        case.validate_response(answer, checks=CHECKS)

    check()


def test_a_damaged_state_is_refused_or_lived_with(service, names):
    """Whatever value of an exported state was changed, it is refused, or nothing fails because of it."""
    service.ask("POST", "/_emulator/reset")
    service.names()
    service.ask("PUT", "/_emulator/clock", {"seconds": 2_000_000_000})
    service.ask("POST", "/_emulator/tuples", {"group": "eng", "member": "a@example.com"})
    service.ask(
        "POST", "/_emulator/tuples", {"object": "root", "subject": "anyone", "role": "can_read"}
    )
    whole = service.ask("GET", "/_emulator/state")
    assert all(whole["tables"].values())
    places = [(table, key) for table, rows in whole["tables"].items() for key in rows[0]]
    for (table, key), value in itertools.product(places, ODD):
        state = copy.deepcopy(whole)
        rows = state["tables"][table]
        # What is unique is changed once, or nothing but that would be refused.
        for row in rows[:1] if key in {"id", "place", "key", "external"} else rows:
            row[key] = value
        answer = service.session.put(f"{service.url}/_emulator/state", json=state, timeout=30)
        try:
            assert answer.status_code in {200, 400}, (table, key, value, answer.text)
            if answer.status_code == 200:
                service.walk(names, (table, key, value))
        finally:
            service.ask("PUT", "/_emulator/state", whole)


@pytest.mark.parametrize(
    "table", ["changes", "settings", "syncs", "records", "totals", "blocks", "items"]
)
def test_a_state_without_a_table_is_refused_or_lived_with(service, names, table):
    """A table of an exported state may be empty: that is refused, or nothing fails because of it."""
    service.settle()
    whole = service.ask("GET", "/_emulator/state")
    state = whole | {"tables": whole["tables"] | {table: []}}
    answer = service.session.put(f"{service.url}/_emulator/state", json=state, timeout=30)
    try:
        assert answer.status_code in {200, 400}, answer.text
        service.walk(names, table)
    finally:
        service.ask("PUT", "/_emulator/state", whole)
