from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from paragon_async import errors
from paragon_async.api.shapes import envelope
from paragon_async.transport.wire import (
    Reply,
    Request,
    decipher,
    http_date,
    redact,
    refusal,
    retry_after,
    service_time,
)

ASK = Request(method="GET", path="/api/syncs", reads=lambda value: value)
NOW = 1_700_000_000.0


def reply(status=200, body=b"", **headers):
    return Reply(status, CIMultiDict({k.replace("_", "-"): v for k, v in headers.items()}), body)


def test_success():
    """Any 2xx is read; an empty body counts as nothing."""
    assert decipher(ASK, reply(200, b'{"a":1}'), now=NOW) == {"a": 1}
    assert decipher(ASK, reply(201, b"[]"), now=NOW) == []
    assert decipher(ASK, reply(204), now=NOW) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, errors.BadRequestError), (400, errors.BadRequestError), (401, errors.AuthenticationError),
        (403, errors.PermissionDeniedError), (404, errors.NotFoundError), (408, errors.RateLimitError),
        (409, errors.ConflictError), (410, errors.NotFoundError), (413, errors.BadRequestError),
        (418, errors.BadRequestError), (422, errors.BadRequestError), (425, errors.RateLimitError),
        (429, errors.RateLimitError), (500, errors.ServerError), (503, errors.ServerError),
    ],
)  # fmt: skip
def test_status_to_error(status, kind):
    """Every other status is its own error, with call and status."""
    with pytest.raises(kind) as caught:
        decipher(ASK, reply(status), now=NOW)
    assert type(caught.value) is kind
    error = caught.value
    assert (error.method, error.path, error.status) == ("GET", "/api/syncs", status)
    assert error.message == "no message"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "m"}', "m"),
        (b'{"error": "e"}', "e"),
        (b'{"error": {"message": "em"}}', "em"),
        (b'{"errors": [{"message": "first"}]}', "first"),
        (b'{"errors": ["plain"]}', "plain"),
        (b'{"message": "", "error": "e"}', "e"),
        (b'{"message": 5}', '{"message": 5}'),
        (b"<html>Bad Gateway</html>", "<html>Bad Gateway</html>"),
        (b"[1]", "[1]"),
        (b"\xff\xfe", "��"),
        (b"", "no message"),
    ],
)
def test_words_of_a_refusal(body, words):
    """The service's words are found wherever it puts them, also outside JSON."""
    assert refusal(ASK, reply(500, body), now=NOW).message == words


def test_long_words_are_cut():
    """A page of HTML does not become a message."""
    assert len(refusal(ASK, reply(500, b"x" * 5000), now=NOW).message) == 200


def test_request_id_and_code():
    """The ids to quote to support are taken from body or header."""
    error = refusal(ASK, reply(500, b'{"code":"41070","meta":{"requestId":"r1"}}'), now=NOW)
    assert (error.code, error.request_id) == ("41070", "r1")
    error = refusal(ASK, reply(500, b'{"code":7,"meta":[]}', X_Request_Id="r2"), now=NOW)
    assert (error.code, error.request_id) == ("7", "r2")
    assert refusal(ASK, reply(500, b'{"code":[]}'), now=NOW).code is None


def test_an_empty_answer():
    """Where nothing is no answer, an empty body counts as one that was cut, and is asked for again."""
    wants = Request(method="GET", path="/api/syncs/s/records", reads=envelope)
    with pytest.raises(errors.NotJsonError, match="empty") as caught:
        decipher(wants, reply(200, b"\n"), now=NOW)
    assert caught.value.retryable


def test_not_json():
    """HTML with a 200 is no answer, and says as what it came."""
    with pytest.raises(errors.NotJsonError, match="text/html"):
        decipher(ASK, reply(200, b"<html>", Content_Type="text/html"), now=NOW)


DATE = "Tue, 14 Nov 2023 22:13:20 GMT"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0), ("7", 7.0), ("1.5", 1.5), ("1000000000", 1e9), ("-5", None), ("soon", None), ("", None), ("\u0663", None), ("9" * 400, None),
        ("1e9", None), ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0), ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
    ],
)  # fmt: skip
def test_retry_after(value, seconds):
    """Retry-After is seconds or a date; nonsense counts as absent."""
    assert retry_after(CIMultiDict({"Retry-After": value}), now=NOW) == seconds


def test_retry_after_is_held_against_the_service_clock():
    """A date is measured by the service's clock where it tells it, not by ours."""
    headers = CIMultiDict({"Retry-After": "Tue, 14 Nov 2023 22:13:50 GMT", "Date": DATE})
    assert retry_after(headers, now=NOW + 9999) == 30.0
    assert service_time(headers) == NOW
    assert service_time(CIMultiDict()) is None


@given(st.text())
def test_dates_never_fail(value):
    """Whatever stands in a header, it is a date or none."""
    found = http_date(value)
    assert found is None or isinstance(found, float)
    assert retry_after({"Retry-After": value}, now=NOW) is None or value


TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1MSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"bad {TOKEN} token", "bad … token"),
        ("Authorization: Bearer s3cr3t", "Authorization: Bearer …"),
        ("see https://x.y/a?X-Sig=abc&k=1 now", "see https://x.y/a?… now"),
        ("key -----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY----- end", "key … end"),
        ("a\x1b[31mb\nc", "a [31mb c"),
    ],
)
def test_redaction(text, clean):
    """Tokens, keys, signed queries and control characters never get into a message."""
    assert redact(text) == clean
