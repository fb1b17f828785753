"""Checks the Host and Origin headers.

Any web page can make a browser send requests to a service on the same machine, either under a host name of the page's
own (DNS rebinding) or as a cross-origin request (Origin). A service that only accepts its own host names refuses both.
"""

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

from fenestra.app.errors import Problem

_AUTHORITY = re.compile(
    r"(?P<name>[a-z0-9_](?:[a-z0-9._-]{0,252})|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?", re.IGNORECASE
)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?P<authority>.+)", re.IGNORECASE)
_MAX_HOST_BYTES = 300


class AllowedHosts:
    """The host names that requests may use."""

    def __init__(self, allowed: Iterable[str], listening_on: str, origins: Iterable[str] = ()) -> None:
        """Decide which names are allowed.

        Args:
            allowed: names in lower case; ``*`` allows all. If empty: on a loopback address ``localhost`` alone, else
                all names, but an Origin then has to be the same as the Host.
            listening_on: the address or name of the listening socket.
            origins: whole origins that are allowed beside these names, as ``https://app.example``.
        """
        self._origins = frozenset(origin.encode() for origin in origins)
        self._names = frozenset(allowed)
        self._local = not self._names and _is_loopback(listening_on)
        self._all = "*" in self._names or not (self._names or self._local)
        self._allows_host = lru_cache(1024)(self._check_host)

    def check(self, hosts: list[bytes], origins: list[bytes]) -> None:
        """Check the Host and Origin headers of a request.

        Raises:
            Problem: ``bad_request``: they are malformed or not allowed.
        """
        # An HTTP/1.0 request may have no Host header.
        if len(hosts) > 1 or (hosts and (len(hosts[0]) > _MAX_HOST_BYTES or not self._allows_host(hosts[0]))):
            raise Problem("bad_request", "this service does not go by the name in the Host header")
        if origins and not (len(origins) == 1 and self._allows_origin(origins[0], hosts)):
            raise Problem("bad_request", "this service takes no requests from that Origin")

    def _check_host(self, host: bytes) -> bool:
        name = _name(host.decode("latin-1"))
        if name is None:
            return False
        return self._all or self._is_own(name) or _address(name) is not None

    def _allows_origin(self, origin: bytes, hosts: list[bytes]) -> bool:
        """Other than for Host, an IP address alone is not enough: a foreign page can have one too."""
        if origin in self._origins:
            return True
        match = _ORIGIN.fullmatch(origin.decode("latin-1"))
        if match is None or (name := _name(match["authority"])) is None:
            return False
        same = bool(hosts) and match["authority"].lower() == hosts[0].decode("latin-1").lower()
        return same or "*" in self._names or self._is_own(name)

    def _is_own(self, name: str) -> bool:
        if self._local:
            return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)
        return name in self._names


def _name(authority: str) -> str | None:
    """The name in ``name:port``, in lower case and without a final dot; None if it is malformed.

    >>> _name("Example.org.:80"), _name("[::1]:80"), _name("a b")
    ('example.org', '::1', None)
    """
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return None
    name = match["name"].lower()
    if name.startswith("["):
        return name[1:-1] if _address(name[1:-1]) else None
    return name.removesuffix(".")


@lru_cache(1024)
def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _is_loopback(name: str) -> bool:
    address = _address(name)
    return name == "localhost" if address is None else address.is_loopback
