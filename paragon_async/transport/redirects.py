"""Where a redirect may lead. Pure. Source: failures.md F53 to F57."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

from paragon_async.errors import MalformedAnswerError, RedirectRefusedError

STATUSES = frozenset({301, 302, 303, 307, 308})
MOST_HOPS = 5
_PORTS = {"http": 80, "https": 443}
_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")
_DOTTED = re.compile(r"([0-9]{1,3}\.){3}[0-9]{1,3}\.?")


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port: what a token may be sent to."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)


def target(current: str, location: str | None, *, base: str) -> str:
    """Return the absolute URL to go to from *current*, or raise.

    Refused are other schemes than HTTP, the way from https to http, and addresses of private
    networks, unless the service itself (*base*) lives on one.
    """
    if not location:
        raise MalformedAnswerError("a redirect without a Location")
    try:
        url = urljoin(current, location)
        scheme, host, _ = origin(url)
        told = urlsplit(location)
    except ValueError:
        raise RedirectRefusedError("a redirect to an address that cannot be read") from None
    if told.scheme in _PORTS and not told.netloc:
        # Joined, it would be taken for a path on the host that sent it.
        raise RedirectRefusedError("a redirect to no host")
    if scheme not in _PORTS or not host:
        raise RedirectRefusedError(f"a redirect to {scheme or 'no scheme'}: only HTTP is followed")
    if scheme == "http" and origin(current)[0] == "https":
        raise RedirectRefusedError(f"a redirect from https to http, on {host}, is refused")
    if (is_private(host) or _is_odd(host)) and not is_private(origin(base)[1]):
        raise RedirectRefusedError(f"a redirect into a private network, to {host}, is refused")
    return url


def _is_odd(host: str) -> bool:
    """Tell an address in a form that hides which: systems read `127.1` and `0x7f000001` as one too."""
    return bool(_NUMBER.fullmatch(host)) and not _DOTTED.fullmatch(host)


def is_private(host: str) -> bool:
    """Tell whether the host is an address, or the name, of this machine or of a private network."""
    import ipaddress  # noqa: PLC0415  # rarely needed: redirects, and base URLs without TLS

    host = host.removesuffix(".").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
    inner = getattr(address, "ipv4_mapped", None)
    return not (address if inner is None else inner).is_global
