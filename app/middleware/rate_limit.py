"""How often one client may ask."""

import ipaddress
import math
import time
from collections import OrderedDict

from limits import parse
from limits.storage.base import SlidingWindowCounterSupport, Storage
from limits.strategies import SlidingWindowCounterRateLimiter

from fenestra.app.errors import Problem

_WINDOWS = 100_000
"""Windows that are kept in mind, two for each client; the oldest is forgotten for one more. Some 25 MB at most."""
_NETWORK_BITS = 64  # of an IPv6 address: whoever has one has all that share them


class Rates:
    """Counts the requests of each client in a sliding window."""

    def __init__(self, rate: str) -> None:
        """Take a rate, such as ``100/second``."""
        self._item = parse(rate)
        self._limiter = SlidingWindowCounterRateLimiter(Windows(_WINDOWS))

    def check(self, client: str) -> None:
        """Count a request.

        Raises:
            Problem: ``rate_limited``, with the time to wait in Retry-After.
        """
        if not self._limiter.hit(self._item, client):
            reset = self._limiter.get_window_stats(self._item, client).reset_time
            seconds = min(max(math.ceil(reset - time.time()), 1), self._item.get_expiry())
            message = f"more than {self._item} from one client; try again in {seconds} seconds"
            raise Problem("rate_limited", message, headers={"Retry-After": str(seconds)})


def client_of(address: str) -> str:
    """Name the client at an address.

    >>> client_of("nobody")
    ''
    >>> client_of("192.0.2.7"), client_of("2001:db8::1"), client_of("2001:db8::ffff:2"), client_of("::ffff:192.0.2.7")
    ('192.0.2.7', '2001:db8::', '2001:db8::', '192.0.2.7')
    """
    address = unmapped(address).partition("%")[0]
    try:
        network = ipaddress.ip_network((address, _NETWORK_BITS if ":" in address else 32), strict=False)
    except ValueError:  # a proxy that passes on anything: all who say what is no address are one client
        return ""
    return str(network.network_address)


def unmapped(address: str) -> str:
    """An IPv4 address as such, where a socket that takes both kinds shows it as one of IPv6.

    >>> unmapped("::ffff:192.0.2.7"), unmapped("2001:db8::1")
    ('192.0.2.7', '2001:db8::1')
    """
    if not address.lower().startswith("::ffff:"):
        return address
    try:
        mapped = ipaddress.IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return address if mapped is None else str(mapped)


class Windows(Storage, SlidingWindowCounterSupport):
    """Counts for :mod:`limits`, of a bounded number of windows. Its own storage in memory has no bound, and a thread.

    A window of a client is a slice of the clock: its count, and until when it matters.
    """

    STORAGE_SCHEME = None

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._windows: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """What can go wrong here: nothing."""
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count in a window that matters for ``expiry`` seconds; forget the oldest one if there are too many."""
        count = self.get(key) + amount
        self._windows[key] = count, self.get_expiry(key) if count > amount else time.time() + expiry
        if len(self._windows) > self._most:
            self._windows.popitem(last=False)
        return count

    def get(self, key: str) -> int:
        """The count of a window."""
        count, expiry = self._windows.get(key, (0, 0.0))
        return count if expiry > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """Until when a window matters, in seconds since 1970."""
        return self._windows.get(key, (0, 0.0))[1]

    def check(self) -> bool:
        """Whether the storage works."""
        return True

    def reset(self) -> int:
        """Forget all; returns how much that was."""
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget a window."""
        self._windows.pop(key, None)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count, if the weighted sum of this window and the one before stays within the limit."""
        before, before_seconds, count, _ = self.get_sliding_window(key, expiry)
        if math.floor(before * before_seconds / expiry + count) + amount > limit:
            return False
        self.incr(_window(key, expiry, 0), 2 * expiry, amount)
        return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """The counts of the window before and of this one, each with the seconds for which it still matters."""
        rest = expiry - time.time() % expiry
        return self.get(_window(key, expiry, 1)), rest, self.get(_window(key, expiry, 0)), rest + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget a client."""
        self.clear(_window(key, expiry, 0))
        self.clear(_window(key, expiry, 1))


def _window(key: str, expiry: int, ago: int) -> str:
    return f"{key}/{time.time() // expiry - ago:.0f}"
