"""F70 to F85: pages that are proper HTTP, and no page, or not the one that was asked for."""

from __future__ import annotations

import functools
import math
from urllib.parse import unquote

from tests.proofs.matrix import acts
from tests.proofs.matrix.faults import rules, wire

FIRST = {"download": "page"}
MORE_THAN_ANY = 65 << 20


def _with(**more):
    return acts.page(lambda value: value | more)


def _paging(**more):
    return acts.page(lambda value: value | {"paging": value["paging"] | more})


def _data(change):
    return acts.page(lambda value: value | {"data": change(value["data"])})


def _grown(value):
    paging = value["paging"]
    return value | {"paging": paging | {"remainingRecords": paging["remainingRecords"] * 1000}}


async def _older_first(peer):
    """Send a version of the last record, before the page that holds it."""
    older = peer.wire.records[-1] | {"updatedAt": "2001-01-01T00:00:00.000Z", "name": "older.bin"}
    ids = {peer.wire.records[-1]["id"]}

    def change(data):
        return data if ids & {record["id"] for record in data} else [*data, older]

    return await _data(change)(peer)


async def _goes_round(peer):
    """Lead from the last page back to the second."""
    second = peer.wire.plan.first.partition("cursor=")[2]

    def change(value):
        if value["paging"]["remainingRecords"]:
            return value
        return value | {"paging": {"remainingRecords": 2, "cursor": unquote(second)}}

    return await acts.page(change)(peer)


async def _odd_charset(peer):
    peer.answer.headers["Content-Type"] = "application/json; charset=utf-16"
    return await peer.reply()


@functools.cache
def _bomb():
    return acts.bomb(MORE_THAN_ANY)


async def _unpacks_to_more(peer):
    return await peer.reply(_bomb(), "Content-Encoding: gzip")


async def _larger_than_any(peer):
    return await peer.reply(b" " * MORE_THAN_ANY)


FAULTS = {
    "F70": rules({"page": "null_cursor"}, points=FIRST),
    "F70b": rules({"page": "no_paging"}, points=FIRST),
    "F71": [*rules({"page": "repeat_cursor"}, points=FIRST), *wire(_goes_round, points=FIRST)],
    "F72": rules({"page": "empty"}, points=FIRST),
    "F73": rules({"page": "duplicates"}, points=FIRST),
    "F74": wire(_older_first, points=FIRST),
    "F75": wire(acts.page(_grown), points=FIRST),
    "F76": wire(
        _with(data="[]"),
        _with(data={}),
        _paging(remainingRecords="5"),
        _paging(cursor=7),
        _data(lambda data: [record | {"id": 7} for record in data]),
        points=FIRST,
    ),
    "F77": wire(
        acts.replies(lambda body: body[:-10]),
        acts.replies(lambda body: body + b"junk"),
        acts.replies(b"no JSON"),
        acts.replies(b""),
        points=FIRST,
    ),
    "F77b": wire(acts.replies(b"null"), points=FIRST),
    "F77c": wire(acts.replies(lambda body: b"\xef\xbb\xbf" + body), points=FIRST),
    "F78": wire(acts.replies(lambda body: body.replace(b'"id"', b'"\xff": 1, "id"')), points=FIRST),
    "F78b": wire(_odd_charset, points=FIRST),
    "F79": wire(_with(odd=math.nan), _with(odd=-math.inf), points=FIRST),
    "F80": wire(acts.replies(b"[" * 100_000), points=FIRST),
    "F81": wire(_larger_than_any, points=FIRST),
    "F82": wire(_unpacks_to_more, points=FIRST),
    "F83": wire(acts.replies(lambda body: body + b"more"), points={"pull": "content"}),
    "F84": wire(
        _with(status="ERRORED"), points=dict.fromkeys(("pull", "download", "page"), "status")
    ),
}
