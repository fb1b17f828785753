"""When to ask again, and when to give up."""

import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How long to go on asking while the service is away, overloaded, or says that it is asked too often.

    The pause before each further attempt is random, and twice as long on average as the one before: clients that were
    refused together do not come back together. It is never shorter than the service asks for.
    """

    seconds: float = 60.0
    """No attempt begins later than this after the first; in bulk, after the last answer. 0 asks once."""
    first_pause: float = 0.1
    """Longest pause before the second attempt, in seconds."""
    longest_pause: float = 5.0
    """Longest pause of all, in seconds, unless the service asks for a longer one."""


class Patience:
    """What is left of the retries of one request."""

    def __init__(self, retries: Retries) -> None:
        """Begin with the first attempt, now."""
        self._retries = retries
        self.renew()

    def renew(self) -> None:
        """Begin anew, after progress."""
        self._end = time.monotonic() + self._retries.seconds
        self._failures = 0

    def pause(self, retry_after: float | None) -> float | None:
        """Take note of a failed attempt.

        Args:
            retry_after: what the service asks for, in seconds.

        Returns:
            Seconds until the next attempt; None if it would be too late.
        """
        longest = min(self._retries.first_pause * 2**self._failures, self._retries.longest_pause)
        seconds = max(retry_after or 0.0, random.uniform(longest / 2, longest))
        self._failures = min(self._failures + 1, 60)
        return seconds if time.monotonic() + seconds < self._end else None


def read_retry_after(value: str | None) -> float | None:
    """Read a Retry-After header: seconds, or a date. None if it is neither.

    >>> read_retry_after("7"), read_retry_after("soon"), read_retry_after("Wed, 21 Oct 2015 07:28:00 GMT")
    (7.0, None, 0.0)
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter of a date with a number that is too large for any
        return None
    return max((date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds(), 0.0)
