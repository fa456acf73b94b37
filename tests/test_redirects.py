from __future__ import annotations

import pytest

from paragon_async.errors import MalformedAnswerError, RedirectRefusedError
from paragon_async.transport.redirects import is_private, origin, target

PUBLIC = "https://sync.useparagon.com"
HERE = f"{PUBLIC}/api/x"


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/api/y", f"{PUBLIC}/api/y"),
        ("y?z=1", f"{PUBLIC}/api/y?z=1"),
        ("https://files.example.com/a?sig=1", "https://files.example.com/a?sig=1"),
        ("//files.example.com/a", "https://files.example.com/a"),
    ],
)
def test_followed(location, url):
    """Relative and absolute places over https are followed."""
    assert target(HERE, location, base=PUBLIC) == url


@pytest.mark.parametrize(
    "location",
    [
        "http://sync.useparagon.com/x", "file:///etc/passwd", "ftp://x/y", "data:text/plain,x",
        "https://[::1", "https://127.0.0.1/x", "https://10.0.0.1/x", "https://169.254.169.254/x",
        "https://localhost/x", "https://db.internal/x", "https://[::1]/x", "https://host:99999/x",
        "https:///x", "https:x",
    ],
)  # fmt: skip
def test_refused(location):
    """Other schemes, the way to http, private networks, no host and unreadable places are refused."""
    with pytest.raises(RedirectRefusedError):
        target(HERE, location, base=PUBLIC)


def test_private_from_private():
    """A service on a private network may lead to another place on one."""
    base = "http://127.0.0.1:1"
    assert target(base, "http://127.0.0.2:2/x", base=base) == "http://127.0.0.2:2/x"


@pytest.mark.parametrize("location", [None, ""])
def test_no_location(location):
    """A redirect that leads nowhere is malformed."""
    with pytest.raises(MalformedAnswerError):
        target(HERE, location, base=PUBLIC)


def test_origins():
    """An origin is scheme, host and port, with the port that the scheme implies."""
    assert origin("https://A.b/x") == origin("https://a.b:443/y")
    assert origin("https://a.b") != origin("https://a.b:444")
    assert is_private("printer.local")
    assert not is_private("8.8.8.8")
