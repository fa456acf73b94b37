"""Where fuzzing begins: for each target some inputs that reach far, and those that were findings."""

from __future__ import annotations

import base64
import gzip
import json


def _token(claims: bytes) -> bytes:
    middle = base64.urlsafe_b64encode(claims).rstrip(b"=")
    return b"eyJhbGciOiJSUzI1NiJ9." + middle + b".c2ln"


_FILE = {
    "id": "r1", "externalId": "x1", "name": "Überblick.pdf", "mimeType": "application/pdf", "size": 5,
    "hash": {"type": "md5", "value": "d41d8cd98f00b204e9800998ecf8427e"}, "parentFolderId": "x0",
    "createdAt": "2025-01-02T03:04:05Z", "updatedAt": 1_700_000_000_000, "deleted": False, "tags": [1],
}  # fmt: skip
_PAGING = {"cursor": "c1", "remainingRecords": 3, "totalRecords": 9}


def _page(first: int, value: object) -> bytes:
    return bytes([first]) + json.dumps(value, separators=(",", ":")).encode()


def _event(name: str, **more: object) -> bytes:
    envelope = {
        "event": name, "sync": "googledrive", "syncInstanceId": "s1", "user": {"id": "u1"},
        "credentialId": "c1", "timestamp": "2025-01-02T03:04:05.678Z",
    }  # fmt: skip
    return json.dumps(envelope | more).encode()


SEEDS: dict[str, list[bytes]] = {
    "page": [
        *(_page(n, {"data": [_FILE, {"id": "r2"}], "paging": _PAGING}) for n in range(4)),
        _page(4, {"data": [{}, _FILE], "paging": _PAGING}),
        _page(5, {"data": [{}], "paging": {"cursor": None, "remaining_records": 0}}),
        _page(1, {"data": []}),
        _page(1, {"paging": {"cursor": 5}, "data": [{"id": 5, "size": "5"}]}),
        b'\x01\xef\xbb\xbf{"data":[{"id":"a","size":1e3,"name":"\\ud83d\\ude00"}]}',
        b'\x00{"data":[{"id":"a","id":"b"}],"data":[],"paging":null}',
        b"\x01" + b"[" * 2000,
        b'\x05{"data":[{}=],"paging":{"cursor":0}}',
    ],
    "event": [
        _event("sync_complete", data={"model": "File", "syncedAt": "2025-01-02", "numRecords": 4}),
        _event("record_created", data={"recordId": "r1", "model": "files"}),
        _event("recordDeleted", data={"record_id": "r1"}),
        _event("record_errored", error={"recordId": "r1", "message": "no", "code": 7}),
        _event("sync_errored", error={"message": "no", "code": "x"}),
        _event("something_new", data=[1, {"a": None}]),
        b'{"event":"webhook_verification"}',
        b"{}",
        b'{"event":"ping","user":5,"timestamp":1e308}',
        b'"' + b"\\" * 99,
        b"v1=00 v1,AAAA\n{}",
    ],
    "names": [
        b"report.pdf\n../../etc/passwd\nC:\\x\nCON.txt\nnul .a\n.paragon-1.part\n...",
        "Straße\nSTRASSE\nSTRAẞE\né\ne\u0301\nÉ".encode(),
        "😀".encode() * 100 + b".pdf",
        b"a\xed\xb2\x80b\n\xed\xa0\xbd\n\xed\xb8\x80",
        "a\u202egpj.exe\n\u200b\nCOM\u00b9.log\n\u0130\n\ufb01le".encode(),
        b"conin$\nCONOUT$ .txt\nconin$x",
        b" . \n. .\n   x. . \naux.\n~1",
    ],
    "gunzip": [
        b"\x00" + gzip.compress(b"hello", mtime=0),
        b"\x07" + gzip.compress(b"a" * 5000, mtime=0) + gzip.compress(b"", mtime=0),
        b"\xff" + gzip.compress(bytes(range(256)) * 4, mtime=0) + b"\x00\x00",
        b"\x1f\x1f\x8b\x08\x1c\x00\x00\x00\x00\x00\x03\x04\x00abcdname\x00comment\x00\x03\x00",
        b"\x03plain text",
    ],
    "headers": [
        b"120\nTue, 14 Nov 2023 22:13:20 GMT",
        b"Tue, 14 Nov 2023 22:14:20 GMT\nTue, 14 Nov 2023 22:13:20 -0000",
        b"Sun Nov  6 08:49:37 1994\nSunday, 06-Nov-94 08:49:37 GMT",
        b"bytes 5-8/9",
        b"bytes 5-8/*",
        b"bytes " + b"9" * 5000 + b"-8/9",
        "\u0663\n\u0661".encode(),
        b"//127.0.0.1/a?b#c\nhttps://[::1]:99999/",
        b"ftp://x\nhttp://x:y@z",
        b'GZip\n{"error":{"message":"Bearer abc","code":1},"meta":{"requestId":"r"}}',
        b'{"errors":[{"message":"https://a/b?sig=1"}],"code":99}',
    ],
    "token": [
        _token(b'{"sub":"u1","aud":"useparagon.com/p1","exp":1}'),
        _token(b'{"sub":5,"aud":["a","b"]}'),
        _token(b"[]"),
        _token(b"[" * 5000),
        _token(b'"\xff"'),
        b"..",
        b"a.b c.d",
    ],
}  # fmt: skip
WORDS = [
    b'{"data":[{', b',"paging":', b'"id":', b"null", b"true", b"1e999", b"-1", b"\\ud800", b"\x00", b"\xff",
    b"[", b"]", b"{", b"}", b'"', b"\\", b"\r\n", b"\n", b".", b"/", b" ", b"GMT", b"99999999999999999999",
    b"\x1f\x8b\x08\x00", b"https://", b"..", b"CON", b"=", b"\xed\xa0\x80", b"\xe2\x80\xae",
]  # fmt: skip
