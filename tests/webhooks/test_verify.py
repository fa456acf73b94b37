from __future__ import annotations

import base64
import hashlib
import hmac
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragon_async import ConfigurationError, Secret
from paragon_async.webhooks import ParagonSignature, SharedSecret, StandardWebhooks
from paragon_async.webhooks.verify import matches, usable
from tests.fakes import FakeClock

OLD, NEW = "canary-old-secret-1", "canary-new-secret-2"
BODY = b'{"event":"ping"}'

# The example of the Standard Webhooks libraries.
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNED = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
PAYLOAD = b'{"test": 2432232314}'
SIGNATURE = SIGNED["webhook-signature"]
OTHER_KEY = "whsec_" + base64.b64encode(b"k" * 24).decode()


def standard(*secrets, late=0.0, **options):
    return StandardWebhooks(*secrets, clock=FakeClock(wall=1614265330.0 + late), **options)


def test_standard_webhooks():
    """The example of the specification's own libraries is believed, with and without the prefix."""
    assert standard(KEY)(SIGNED, PAYLOAD) is True
    assert standard(KEY.removeprefix("whsec_"))(SIGNED, PAYLOAD) is True
    assert standard(OTHER_KEY)(SIGNED, PAYLOAD) is False


@pytest.mark.parametrize("place", [0, 1, 2])
def test_standard_webhooks_while_secrets_change(place):
    """Any of several secrets will do, and any of several signatures, wherever it stands."""
    keys = [OTHER_KEY, "whsec_" + base64.b64encode(b"z" * 24).decode()]
    keys.insert(place, KEY)
    assert standard(*keys)(SIGNED, PAYLOAD)
    signatures = ["v1," + "A" * 43 + "=", "v1a,xyz", "v2,g0h"]
    signatures.insert(place, SIGNATURE)
    assert standard(KEY)({**SIGNED, "webhook-signature": " ".join(signatures)}, PAYLOAD)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_other"}, {"webhook-id": ""}, {"webhook-id": None}, {"webhook-timestamp": "1614265331"},
        {"webhook-timestamp": None}, {"webhook-timestamp": ""}, {"webhook-timestamp": "now"}, {"webhook-timestamp": "1614265330.0"},
        {"webhook-timestamp": "-1614265330"}, {"webhook-timestamp": " 1614265330"}, {"webhook-timestamp": "\uff11614265330"}, {"webhook-timestamp": "161426533\xb2"},
        {"webhook-timestamp": "9" * 5000}, {"webhook-timestamp": "\udcff"}, {"webhook-signature": None}, {"webhook-signature": ""},
        {"webhook-signature": SIGNATURE.removeprefix("v1,")}, {"webhook-signature": SIGNATURE.replace("v1,", "v2,")},
        {"webhook-signature": SIGNATURE[:-1]}, {"webhook-signature": SIGNATURE.lower()}, {"webhook-signature": "v1,"},
        {"webhook-signature": SIGNATURE + "\udcff"}, {"webhook-signature": "\ud800"}, {"webhook-id": "\udcff"},
    ],
)  # fmt: skip
def test_standard_webhooks_that_prove_nothing(changed):
    """A header that is missing, changed or nonsense makes the answer False, never an error."""
    headers = {key: value for key, value in (SIGNED | changed).items() if value is not None}
    assert standard(KEY)(headers, PAYLOAD) is False


def test_standard_webhooks_and_the_body():
    """One byte more or less, and the signature is another one's."""
    for other in (PAYLOAD + b" ", PAYLOAD[:-1], b"", PAYLOAD.replace(b"2", b"3", 1)):
        assert not standard(KEY)(SIGNED, other)


@pytest.mark.parametrize(
    ("late", "tolerance", "believed"),
    [(300, 300, True), (-300, 300, True), (301, 300, False), (-301, 300, False), (60, 30, False)],
)
def test_standard_webhooks_and_time(late, tolerance, believed):
    """A request is believed for the tolerance, in both directions: then it may be a replay."""
    assert standard(KEY, late=late, tolerance=tolerance)(SIGNED, PAYLOAD) is believed


def test_standard_webhooks_by_the_clock_of_the_machine():
    """Without a clock of its own it asks the machine's, which says that the example is old."""
    assert not StandardWebhooks(KEY)(SIGNED, PAYLOAD)
    assert StandardWebhooks(KEY, tolerance=1e12)(SIGNED, PAYLOAD)


GITHUB = ("It's a Secret to Everybody", b"Hello, World!", "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")  # fmt: skip


def test_the_style_of_the_vendor():
    """The vendor's form carries the HMAC of the body in hex, which was computed by OpenSSL."""
    secret, message, signature = GITHUB
    assert ParagonSignature(secret)({"x-paragon-signature": f"v1={signature}"}, message) is True
    assert ParagonSignature(secret)({"x-paragon-signature": f"v1={signature.upper()}"}, message)
    assert ParagonSignature(OLD, secret, NEW)({"x-paragon-signature": f"v1={signature}"}, message)
    assert ParagonSignature(OLD)({"x-paragon-signature": f"v1={signature}"}, message) is False


@pytest.mark.parametrize(
    "given",
    [
        None, "", "v1=", "v1", GITHUB[2], "v2=" + GITHUB[2], "sha256=" + GITHUB[2], "v1=" + GITHUB[2][:-1],
        "v1=" + GITHUB[2] + "0", "v1=v1=" + GITHUB[2], "v1=\udcff", "v1=" + "é" * 64, "v1=" + "0" * 64,
    ],
)  # fmt: skip
def test_signatures_that_prove_nothing(given):
    """A signature that is missing, cut, of another version or no hex makes the answer False."""
    headers = {} if given is None else {"x-paragon-signature": given}
    assert ParagonSignature(GITHUB[0])(headers, GITHUB[1]) is False


def test_a_shared_secret():
    """The header must hold one of the secrets, whole; its name is found in lower case."""
    verify = SharedSecret(OLD, NEW)
    assert verify({"x-webhook-secret": OLD}, BODY) is True
    assert verify({"x-webhook-secret": NEW}, BODY) is True
    assert SharedSecret(OLD, header="X-Own")({"x-own": OLD}, BODY)
    for wrong in ({}, {"x-webhook-secret": ""}, {"x-webhook-secret": OLD[:-1]}, {"x-webhook-secret": OLD + "1"},
                  {"x-webhook-secret": OLD.upper()}, {"x-other": OLD}, {"x-webhook-secret": "\udcff"}):  # fmt: skip
        assert verify(wrong, BODY) is False


def test_matches():
    """One of the secrets, whole, or nothing."""
    secrets = usable([OLD, Secret(NEW)])
    assert matches(OLD, secrets) is True and matches(NEW, secrets) is True
    for wrong in ("", OLD[:-1], OLD + "x", OLD + NEW, "\ud800", "é"):
        assert matches(wrong, secrets) is False
    assert matches("", ()) is False


@given(st.text(), st.lists(st.text(min_size=16).filter(lambda t: len(t.strip()) >= 16), min_size=1))
def test_matches_is_membership(given, secrets):
    """For every text it says what `in` says, whatever the characters."""
    kept = usable(secrets)
    plain = [secret.reveal() for secret in kept]
    assert matches(given, kept) == (given in plain)
    assert all(matches(secret, kept) for secret in plain)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_all_secrets_are_compared(place, monkeypatch):
    """Equal or not, first or last, every secret is compared once: time tells nothing."""
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(b) or real(a, b))
    secrets = [OLD, NEW]
    secrets.insert(place, GITHUB[0])
    assert matches(GITHUB[0], usable(secrets))
    assert ParagonSignature(*secrets)({"x-paragon-signature": f"v1={GITHUB[2]}"}, GITHUB[1])
    assert len(set(compared)) == len(compared) == 6
    assert {len(one) for one in compared} == {64, 67}


def test_surrounding_space_is_no_secret():
    """The line end of a file, and spaces around, do not belong to a secret."""
    assert SharedSecret(f" {OLD}\n")({"x-webhook-secret": OLD}, BODY)
    body = hmac.new(OLD.encode(), BODY, hashlib.sha256).hexdigest()
    assert ParagonSignature(Secret(OLD + "\r\n"))({"x-paragon-signature": f"v1={body}"}, BODY)


@pytest.mark.parametrize("kind", [SharedSecret, ParagonSignature, StandardWebhooks])
@pytest.mark.parametrize(
    ("secrets", "problem"),
    [
        ((), "no webhook secret"), (("",), "secret 1 is shorter"), (("x" * 15,), "secret 1 is shorter"),
        ((KEY, " " * 20), "secret 2 is shorter"), ((KEY, Secret("short")), "secret 2 is shorter"),
        ((None,), "a string, not NoneType"), ((b"x" * 20,), "a string, not bytes"),
    ],
)  # fmt: skip
def test_secrets_that_protect_nothing(kind, secrets, problem):
    """None at all, an empty one, a short one, or a variable that is not set: refused at the start."""
    with pytest.raises(ConfigurationError, match=problem):
        kind(*secrets)


def test_one_string_is_not_several_secrets():
    """A string given for a list would make each of its letters a secret."""
    with pytest.raises(ConfigurationError, match="as a list"):
        usable(OLD)


@pytest.mark.parametrize(
    "secret", ["whsec_canary!" + "canary" * 5, "canary-no-base-64-at-all", "whsec_c2hvcnQtY2FuYXJ5", "whsec_canarycanarycanaryc", "whsec_é" * 5]
)  # fmt: skip
def test_keys_that_are_none(secret):
    """A key for Standard Webhooks is base64 and long enough; the error does not show it."""
    with pytest.raises(ConfigurationError) as caught:
        StandardWebhooks(KEY, secret)
    assert "canary" not in str(caught.value) and caught.value.__cause__ is None


@pytest.mark.parametrize("tolerance", [0, -1, float("nan"), float("inf")])
def test_a_tolerance_that_is_none(tolerance):
    """Without a real limit every old request could be sent again."""
    with pytest.raises(ConfigurationError, match="tolerance"):
        StandardWebhooks(KEY, tolerance=tolerance)


def test_a_header_without_a_name():
    """A shared secret that no header brings could never match."""
    with pytest.raises(ConfigurationError, match="header"):
        SharedSecret(OLD, header=" ")


def test_no_secret_is_shown():
    """Neither repr nor pickle gives a secret away; repr says what is set up."""
    shown = {
        repr(SharedSecret(OLD, NEW)): "SharedSecret(2 secrets, header='x-webhook-secret')",
        repr(ParagonSignature(OLD)): "ParagonSignature(1 secret)",
        repr(standard(KEY)): "StandardWebhooks(1 secret, tolerance=300.0)",
    }
    assert all(found == wanted for found, wanted in shown.items())
    for verifier in (SharedSecret(OLD), ParagonSignature(OLD), StandardWebhooks(KEY)):
        with pytest.raises(TypeError):
            pickle.dumps(verifier)
