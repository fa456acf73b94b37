"""What is fuzzed: each target takes bytes, and raises only when something is wrong.

    page      bytes of a page of records, by every way that they are decoded
    event     the body of a webhook, and what verifies it
    names     the name of a record, on POSIX and on Windows
    gunzip    a compressed body, in pieces
    headers   what an answer's headers say: waits, dates, ranges, redirects, encodings, refusals
    token     a user token, which says what it is for

Wrong is any exception that is no `ParagonError`, and any of the promises below that is broken.
"""

from __future__ import annotations

import contextlib
import gzip
import pickle
import zlib
from collections.abc import Callable
from types import SimpleNamespace

from multidict import CIMultiDict

from paragon_async import Contact, File, Record, Ticket, errors
from paragon_async.api import drafts, shapes
from paragon_async.auth import FixedToken
from paragon_async.convert import parse
from paragon_async.download import _continues, _Facts
from paragon_async.names import Entry, arrange, collision_key, distinct_name, safe_name
from paragon_async.transport import redirects, wire
from paragon_async.transport.gunzip import Gunzip, decoder
from paragon_async.webhooks import events, verify
from tests.fuzz import rules

_MODELS = (Record, File, Ticket, Contact)
_MOST = 1 << 20
_SECRET = "whsec_" + "c2VjcmV0IHNlY3JldCBzZWNyZXQh"
_VERIFIERS = (
    verify.SharedSecret("a secret that is long enough"),
    verify.ParagonSignature("a secret that is long enough"),
    verify.StandardWebhooks(_SECRET),
)


def page(data: bytes) -> None:
    """Decode a page for one model; the fast ways give what the plain one gives, or both refuse."""
    if not data:
        return
    model, body = _MODELS[data[0] % len(_MODELS)], data[1:]
    if data[0] & 4:
        # Beyond this size a page is decoded later, from its two ends first.
        body = body.replace(b"{}", b'{"id":"' + b"x" * (1 << 16) + b'"}', 1)

    def by(parses: Callable[[bytes], object]) -> object:
        request = wire.Request(method="GET", path="/", reads=shapes.envelope, parses=parses)
        try:
            reply = wire.Reply(200, CIMultiDict(), body)
            found = wire.decipher(request, reply, now=0.0)
            found.settle(model)
            records = [*found.records(model)]
        except errors.DecodeError:
            return "refused"
        return repr((records, found.cursor, found.remaining, found.total))

    plain = by(parse)
    assert by(drafts.parser(model)) == plain
    assert by(drafts.parser(model, may_wait=False)) == plain


def event(data: bytes) -> None:
    """Read an event, or refuse it in plain words; what is read has the ids that a caller acts on."""
    try:
        found = events.parse_event(data)
    except errors.WebhookError as error:
        text = str(error)
        assert text.isprintable(), text
        assert text.isascii(), text
        assert len(text) < 400, text
    else:
        for name in ("sync_id", "user_id", "credential_id", "record_id"):
            given = getattr(found, name, None)
            assert given is None or (type(given) is str and 0 < len(given) <= 1024), name
        if found.name.startswith("record_") and type(found) is not events.UnknownEvent:
            assert found.record_id
        assert found.timestamp is None or found.timestamp.tzinfo is not None
        assert pickle.loads(pickle.dumps(found)) == found
        assert hash(found) == hash(found)
    header, _, body = data.partition(b"\n")
    text = header.decode("utf-8", "surrogateescape")
    names = ("x-webhook-secret", "x-paragon-signature", "webhook-id", "webhook-timestamp")
    headers = dict.fromkeys((*names, "webhook-signature"), text)
    assert not any(check(headers, body) for check in _VERIFIERS)


def names(data: bytes) -> None:
    """Make a name harmless, and two of one folder different wherever some file system folds them."""
    labels = [part.decode("utf-8", "surrogatepass" if n % 2 else "replace")
              for n, part in enumerate(data.split(b"\n")[:8]) if _is_text(part) or not n % 2]  # fmt: skip
    for label in labels:
        rules.harmless(safe_name(label))
        rules.harmless(safe_name(label, label[::-1]))
        rules.harmless(distinct_name(label, label[:9]))
    entries = [
        Entry(id=str(n), external_id=f"x{n}", parent=f"x{(n * 5) % 11 - 2}", name=label)
        for n, label in enumerate(labels)
    ]
    places = arrange(entries)
    keys = {collision_key(str(place)) for place in places.values()}
    assert len(keys) == len(entries)
    for place in places.values():
        for part in place.parts:
            rules.harmless(part)


def _is_text(part: bytes) -> bool:
    try:
        part.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def gunzip(data: bytes) -> None:
    """Decode what may be gzip; what is taken for whole is what the standard library makes of it."""
    if not data:
        return
    size, body = data[0] + 1, data[1:]
    made, out = Gunzip(), bytearray()
    try:
        for start in range(0, len(body), size):
            for piece in made.feed(body[start : start + size]):
                assert 0 < len(piece) <= 1 << 18
                out += piece
                if len(out) > _MOST:
                    return
        made.end()
    except (errors.CutShortError, errors.MalformedAnswerError):
        return
    assert bytes(out) == gzip.decompress(body)
    for cut in (1, len(body) // 2, len(body) - 1):
        _is_noticed(body[:cut], bytes(out))


def _is_noticed(body: bytes, whole: bytes) -> None:
    """A cut is an error, unless it falls between two members: there nothing can tell."""
    short, out = Gunzip(), b""
    try:
        out = b"".join(short.feed(body))
        short.end()
    except errors.ParagonError:
        return
    assert whole.startswith(out)
    last = zlib.decompressobj(31)
    rest = body
    while rest:
        last = zlib.decompressobj(31)
        last.decompress(rest)
        rest = last.unused_data
    assert last.eof


def headers(data: bytes) -> None:
    """Read headers that hold anything: a value, nothing, or an error of ours."""
    value, _, second = data.decode("utf-8", "surrogateescape").partition("\n")
    given = CIMultiDict({"Retry-After": value, "Date": second, "X-Request-Id": value})
    wait = wire.retry_after(given, now=1_700_000_000.0)
    assert wait is None or 0.0 <= wait < float("inf")
    moment = wire.service_time(given)
    assert moment is None or isinstance(moment, float)
    refused = wire.refusal(
        wire.Request(method="GET", path="/", reads=repr), wire.Reply(500, given, data), now=0.0
    )
    assert str(refused).isprintable()
    assert len(refused.message) <= 200
    for base in ("https://service.example.com", "http://localhost:1"):
        try:
            to = redirects.target(base + "/a/b", value, base=base)
        except errors.ParagonError:
            continue
        assert redirects.origin(to)[0] in {"http", "https"}
        assert base.startswith("http:") or redirects.origin(to)[0] == "https"
    answer = SimpleNamespace(status=206, headers=CIMultiDict({"Content-Range": value}))
    for read in (
        lambda: decoder(value),
        lambda: _continues(answer, 5, _Facts(total=9), asked=True),
    ):  # type: ignore[arg-type]  # a fake
        with contextlib.suppress(errors.MalformedAnswerError):
            read()


def token(data: bytes) -> None:
    """Take a user token for what it is, or refuse it; it never shows itself."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        made = FixedToken(text)
    except errors.ConfigurationError as error:
        assert len(text) < 20 or text not in str(error)
        return
    assert made.user_id is None or isinstance(made.user_id, str)
    assert made.project_id is None or isinstance(made.project_id, str)
    assert repr(made) == "FixedToken(…)"


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (page, event, names, gunzip, headers, token)
}
