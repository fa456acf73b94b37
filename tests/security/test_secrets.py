"""S6, S8 and S9: secrets show themselves to nobody, and tokens are what the service wants, no more."""

from __future__ import annotations

import base64
import copy
import json
import operator
import pickle
import pprint
import string

import attrs
import cattrs
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from paragon_async import ConfigurationError, FixedToken, Paragon, Secret, SigningKey
from paragon_async.auth import Rejection, _Minted
from paragon_async.emulator.elsewhere import Elsewhere
from paragon_async.webhooks import ParagonSignature, SharedSecret, StandardWebhooks
from paragon_async.webhooks.reception import Reception
from tests.conftest import PROJECT
from tests.fakes import FakeClock

CANARY = "canary-0123456789abcdef"
STANDARD = "whsec_" + base64.b64encode(CANARY.encode()).decode()


def holders(signing_key):
    key = SigningKey(PROJECT, signing_key)
    minted = _Minted(Secret(CANARY), 0.0)
    key._minted["u"] = minted
    client = Paragon(token=CANARY, base_url="http://127.0.0.1:9")
    of_key = Paragon(project_id=PROJECT, signing_key=signing_key, base_url="http://127.0.0.1:9")
    return {
        "secret": Secret(CANARY), "rejection": Rejection(Secret(CANARY)), "fixed": FixedToken(CANARY),
        "key": key, "minted": minted, "client": client, "of key": of_key, "user": client.user(),
        "channel": client._channel, "session": client._session, "shared": SharedSecret(CANARY),
        "paragon": ParagonSignature(CANARY), "standard": StandardWebhooks(STANDARD),
        "reception": Reception(None, secrets=[CANARY]), "elsewhere": Elsewhere(None),
    }  # fmt: skip


WAYS = {
    "repr": repr, "str": str, "format": "{}".format, "f": lambda x: f"{x!r:>40}", "%": lambda x: operator.mod("%s %r", (x, x)),
    "template": lambda x: string.Template("$x").substitute(x=x), "join": lambda x: ", ".join(2 * [x]),
    "pprint": pprint.pformat, "list": lambda x: repr([x]), "dict": lambda x: str({"x": x}),
    "vars": lambda x: repr(vars(x)), "asdict": lambda x: repr(attrs.asdict(x)), "astuple": lambda x: repr(attrs.astuple(x)),
    "json": json.dumps, "json of default": lambda x: json.dumps(x, default=repr), "msgspec": lambda x: msgspec.json.encode(x).decode(),
    "cattrs": lambda x: repr(cattrs.unstructure(x)), "pickle": lambda x: pickle.dumps(x).decode("latin-1"),
    "copy": lambda x: repr(copy.copy(x)), "deepcopy": lambda x: repr(copy.deepcopy(x)), "sorted": lambda x: repr(sorted([x, x])),
    "error": lambda x: repr(ValueError(x)) + str(ValueError(x)), "encode": bytes,
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_no_way_shows_a_secret(signing_key, way):
    """S6: however a holder of a secret is shown, copied or stored, the secret is not in it."""
    pieces = [line for line in signing_key.splitlines() if len(line) == 64]
    for name, holder in holders(signing_key).items():
        try:
            shown = WAYS[way](holder)
        except (
            TypeError,
            AttributeError,
            ValueError,
            NameError,
            attrs.exceptions.NotAnAttrsClassError,
        ) as error:
            shown = str(error)
        text = str(shown)
        assert CANARY not in text and STANDARD not in text, name
        assert "PRIVATE" not in text and not any(piece in text for piece in pieces), name


@pytest.mark.parametrize("way", ["pickle", "deepcopy"])
def test_nothing_that_holds_a_secret_can_be_stored(signing_key, way):
    """S6: pickling what holds a secret, and copying it deeply, is refused rather than emptied."""
    for name, holder in holders(signing_key).items():
        if name in {"elsewhere", "session", "reception"}:
            continue
        with pytest.raises(TypeError):
            WAYS[way](holder)


async def test_a_token_is_what_is_wanted(signing_key):
    """S8: RS256, four claims, whole numbers, thirty seconds back, an hour at most; another library agrees."""
    clock = FakeClock()
    token = (await SigningKey(PROJECT, signing_key, clock=clock).token("user-1")).reveal()
    head, body, signature = token.split(".")

    def read(part):
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    assert json.loads(read(head)) == {"alg": "RS256", "typ": "JWT"}
    now = int(clock.wall())
    claims = json.loads(read(body))
    assert claims == {
        "sub": "user-1",
        "aud": f"useparagon.com/{PROJECT}",
        "iat": now - 30,
        "exp": now + 3570,
    }
    assert b"." not in read(body).split(b'"iat"')[1].replace(b"useparagon.com", b"")
    public = load_pem_private_key(signing_key.encode(), None).public_key()
    public.verify(read(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("user", ["", None, 7, b"u", "u" * 256])
async def test_users_that_are_none(signing_key, user):
    """S8: a subject is text, not empty, 255 characters at most."""
    minter = SigningKey(PROJECT, signing_key)
    with pytest.raises(ConfigurationError):
        await minter.token(user)
    assert (await minter.token("u" * 255)).reveal()


@pytest.mark.parametrize("off", [-3600, 3600])
async def test_a_clock_that_is_an_hour_off(emulator, off):
    """S8: a machine whose clock is an hour off is told so by one refusal, and then served."""
    import time

    credentials = {"project_id": emulator.project_id, "signing_key": emulator.signing_key}
    clock = FakeClock(wall=time.time() + off)
    async with Paragon(base_url=emulator.url, clock=clock, **credentials) as paragon:
        assert await paragon.user("u").syncs.list() == []
        assert await paragon.user("u").syncs.list() == []
    refused = [call.status for call in emulator.requests]
    assert refused in ([401, 200, 200], [200, 200])


async def test_the_key_can_live_elsewhere(emulator):
    """S9: a source of tokens that asks somebody else is all a client needs: no key in this process."""
    elsewhere = SigningKey(emulator.project_id, emulator.signing_key)

    class Asking:
        def __init__(self):
            self.asked = []

        async def token(self, user_id, *, rejected=None):
            self.asked.append((user_id, rejected))
            return await elsewhere.token(user_id, rejected=rejected)

    source = Asking()
    async with Paragon(tokens=source, base_url=emulator.url) as paragon:
        assert await paragon.user("user-9").syncs.list() == []
    assert source.asked == [("user-9", None)]
    assert emulator.requests[-1].user == "user-9"
