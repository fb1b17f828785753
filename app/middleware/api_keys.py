"""API keys. The service only knows their SHA-256 hashes."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

from fenestra.app.errors import Problem

# One header for both schemes; Chromium only reads it if the second challenge has a parameter too.
_CHALLENGES = 'Basic realm="Fenestra", charset="UTF-8", Bearer realm="Fenestra"'


class ApiKeys:
    """The keys that are accepted."""

    def __init__(self, hashes: Iterable[str]) -> None:
        """Create from the SHA-256 of each key, in hex."""
        self._hashes = tuple(bytes.fromhex(digest) for digest in hashes)

    def __bool__(self) -> bool:
        """Whether there are any; without keys, every request is accepted."""
        return bool(self._hashes)

    def check(self, authorization: list[bytes]) -> str:
        """Check the key of a request.

        Args:
            authorization: the values of all its Authorization headers.

        Returns:
            The hash of the key, in hex: it identifies the client and does not reveal the key.

        Raises:
            Problem: ``unauthorized``.
        """
        key = _key(authorization)
        digest = hashlib.sha256(key).digest()
        # Every key is compared, in constant time: the response time reveals nothing about any of them.
        matches = sum([hmac.compare_digest(digest, known) for known in self._hashes])
        if not (key and matches):
            raise unauthorized()
        return digest.hex()


def unauthorized() -> Problem:
    """The refusal of a request without a valid key."""
    return Problem("unauthorized", "send a key as Authorization: Bearer KEY", headers={"WWW-Authenticate": _CHALLENGES})


def _key(authorization: list[bytes]) -> bytes:
    """Read the key from ``Bearer KEY``, or from the password of ``Basic …``, which browsers can prompt for.

    >>> _key([b"Bearer abc"]), _key([b"Basic dTphYmM="]), _key([b"abc"])
    (b'abc', b'abc', b'')
    """
    if len(authorization) != 1 or not authorization[0].isascii():
        return b""
    scheme, _, rest = authorization[0].partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except binascii.Error:
            return b""
    return b""
