"""Safeguards of the service, each of which can be taken away."""

from collections.abc import Callable
from typing import NamedTuple


class Safeguard(NamedTuple):
    """One of them."""

    what: str
    remove: Callable[[], None]


SAFEGUARDS: dict[str, Safeguard] = {}
