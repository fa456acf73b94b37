"""F40 to F61: what a service says that is proper HTTP, and no answer."""

from __future__ import annotations

from paragon_async import Retry
from tests.proofs.matrix import acts, detours
from tests.proofs.matrix.faults import Fault, rules, wire

HTML = b"<!doctype html><title>Sign in</title>"
FIRST = {"download": "page"}
CONTENT = {"pull": "content"}
ALL = dict.fromkeys(("pull", "download", "page"), "any")
HASTY = Retry(attempts=3, longest_retry_after=0.1)  # so long does the whole client pause then
PAUSES = ("0.01", "Mon, 01 Jan 2024 00:00:00 GMT", "-5", "1e9", "soon")


def _limited(*lines):
    return acts.replies(b"{}", *lines, status="429 Too Many Requests")


def _spoiled(at):
    return lambda body: body[:at] + bytes([body[at] ^ 0xFF]) + body[at + 1 or len(body) :]


FAULTS = {
    "F40": rules({"status": 401}),
    "F40b": rules({"status": 401, "path": "*", "skip": 0}, points=ALL),
    "F41": rules({"status": 403}),
    "F42": rules({"status": 404}),
    "F43": rules(
        {"status": 404, "path": "*/syncs/*", "skip": 0},
        points=ALL,
    ),
    "F44": rules({"status": 409}),
    "F45": rules({"status": 400}, primed=True, points=FIRST),
    "F45b": rules({"status": 410}, primed=True, points=FIRST),
    "F47": rules({"status": 413}),
    "F48": [*wire(_limited()), *wire(*(_limited(f"Retry-After: {value}") for value in PAUSES))],
    "F48b": wire(_limited("Retry-After: 1000000000"), retry=HASTY),
    "F49": rules({"status": 500}),
    "F49b": rules({"status": 502}, {"status": 503}, {"status": 504}),
    "F49c": rules({"status": 501}),
    "F50": [*rules({"html": True}, points=FIRST), *wire(acts.replies(HTML), points=FIRST)],
    "F51": rules({"html": True}, points=CONTENT),
    "F52": wire(acts.replies(lambda body: body[:100], status="206 Partial Content")),
    "F52b": [Fault(script=(acts.cut("length"), acts.ignores_the_range), ranges=True)],
    "F52c": [
        Fault(script=(acts.cut("length"), each), ranges=True)
        for each in (acts.another_range, acts.no_such_range)
    ],
    "F53": wire(acts.redirects("{elsewhere}{target}")),
    "F54": wire(acts.redirects("{here}{target}")),
    "F55": wire(
        *(
            acts.redirects(f"{where}")
            for where in (
                "file:///etc/passwd",
                "ftp://a.b/c",
                "data:,x",
                "http:///x",
                "http://[::1/x",
            )
        )
    ),
    "F56": wire(acts.redirects("none"), acts.redirects("")),
    "F57": [Fault(detour=detours.public, script=(acts.redirects("http://127.0.0.1:9{target}"),))],
    "F58": wire(*(acts.zipped(encoding=name) for name in ("foo", "gzip, gzip", "br"))),
    "F59": wire(
        acts.zipped(lambda _: b"this is no gzip"),
        acts.zipped(_spoiled(-8)),
        acts.zipped(lambda body: body + b"rubbish"),
    ),
    "F60": wire(
        acts.zipped(lambda body: body[: len(body) // 2]), acts.zipped(lambda body: body[:-1])
    ),
    "F61": wire(acts.zipped()),
}
