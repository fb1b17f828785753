"""Rate limits per client, by a sliding window."""

import ipaddress
import math
import time
from collections import OrderedDict

from limits import parse
from limits.storage.base import SlidingWindowCounterSupport, Storage
from limits.strategies import SlidingWindowCounterRateLimiter

from fenestra.app.errors import Problem

MAX_WINDOWS = 100_000
"""Windows that are kept, two for each client; beyond it the oldest is evicted. About 25 MB at most."""
_NETWORK_BITS = 64  # of an IPv6 address: a client usually owns a whole /64 network


class RateLimiter:
    """Counts the requests of each client in a sliding window."""

    def __init__(self, rate: str, windows: Storage | None = None) -> None:
        """Create from a rate such as ``100/second``; several processes that share ``windows`` share the limit."""
        self._item = parse(rate)
        self._limiter = SlidingWindowCounterRateLimiter(windows or BoundedWindowStorage(MAX_WINDOWS))

    def check(self, client: str) -> None:
        """Count a request of a client.

        Raises:
            Problem: ``rate_limited``, with the time to wait in Retry-After.
        """
        if not self._limiter.hit(self._item, client):
            reset = self._limiter.get_window_stats(self._item, client).reset_time
            seconds = min(max(math.ceil(reset - time.time()), 1), self._item.get_expiry())
            message = f"more than {self._item} from one client; try again in {seconds} seconds"
            raise Problem("rate_limited", message, headers={"Retry-After": str(seconds)})


def client_of(address: str) -> str:
    """The rate-limit key of the client at an address.

    >>> client_of("nobody")
    ''
    >>> client_of("192.0.2.7"), client_of("2001:db8::1"), client_of("2001:db8::ffff:2"), client_of("::ffff:192.0.2.7")
    ('192.0.2.7', '2001:db8::', '2001:db8::', '192.0.2.7')
    """
    address = unmap_ipv4(address).partition("%")[0]
    try:
        network = ipaddress.ip_network((address, _NETWORK_BITS if ":" in address else 32), strict=False)
    except ValueError:  # an X-Forwarded-For that is not an address: all such clients share one limit
        return ""
    return str(network.network_address)


def unmap_ipv4(address: str) -> str:
    """The IPv4 address inside an IPv4-mapped IPv6 address; any other address unchanged.

    >>> unmap_ipv4("::ffff:192.0.2.7"), unmap_ipv4("2001:db8::1")
    ('192.0.2.7', '2001:db8::1')
    """
    if not address.lower().startswith("::ffff:"):
        return address
    try:
        mapped = ipaddress.IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return address if mapped is None else str(mapped)


class BoundedWindowStorage(Storage, SlidingWindowCounterSupport):
    """Storage for :mod:`limits` that keeps a bounded number of windows; its own in-memory storage is unbounded.

    A window is a fixed interval of time, of one client: its count, and when it expires.
    """

    STORAGE_SCHEME = None

    def __init__(self, max_windows: int) -> None:
        super().__init__()
        self._max_windows = max_windows
        self._windows: OrderedDict[str, tuple[int, float]] = OrderedDict()

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        """The errors of this storage: it has none."""
        return ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count in a window that expires after ``expiry`` seconds; evict the oldest window if there are too many."""
        count = self.get(key) + amount
        self._windows[key] = count, self.get_expiry(key) if count > amount else time.time() + expiry
        if len(self._windows) > self._max_windows:
            self._windows.popitem(last=False)
        return count

    def get(self, key: str) -> int:
        """The count of a window."""
        count, expiry = self._windows.get(key, (0, 0.0))
        return count if expiry > time.time() else 0

    def get_expiry(self, key: str) -> float:
        """When a window expires, in seconds since 1970."""
        return self._windows.get(key, (0, 0.0))[1]

    def check(self) -> bool:
        """Whether the storage is healthy."""
        return True

    def reset(self) -> int:
        """Remove all windows; returns how many."""
        count = len(self._windows)
        self._windows.clear()
        return count

    def clear(self, key: str) -> None:
        """Remove a window."""
        self._windows.pop(key, None)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count if the weighted sum of this window and the previous one stays within the limit."""
        before, before_seconds, count, _ = self.get_sliding_window(key, expiry)
        if math.floor(before * before_seconds / expiry + count) + amount > limit:
            return False
        self.incr(_window(key, expiry, 0), 2 * expiry, amount)
        return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """The counts of the previous and the current window, each with the seconds until it expires."""
        rest = expiry - time.time() % expiry
        return self.get(_window(key, expiry, 1)), rest, self.get(_window(key, expiry, 0)), rest + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Remove the windows of a client."""
        self.clear(_window(key, expiry, 0))
        self.clear(_window(key, expiry, 1))


def _window(key: str, expiry: int, ago: int) -> str:
    return f"{key}/{time.time() // expiry - ago:.0f}"
