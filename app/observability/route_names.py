"""What a request is called in metrics, logs and traces: never by anything a client made up."""

from collections.abc import Iterable
from typing import NamedTuple

from starlette.routing import compile_path
from starlette.types import Scope

_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
UNMATCHED = "(unmatched)"
"""The route of all paths that nothing is served at."""


class RouteTemplate(NamedTuple):
    """A route that a request was meant for but did not reach."""

    path: str


class RouteTemplates:
    """Finds the route of a request that was refused before the router saw it."""

    def __init__(self, paths: Iterable[str]) -> None:
        """Take the templates of all routes, such as ``/static/{name}``."""
        self._patterns = [(compile_path(path)[0], RouteTemplate(path)) for path in dict.fromkeys(paths)]

    def name(self, scope: Scope) -> None:
        """Give a request without a route the one that its path belongs to, if any."""
        if scope.get("route") is None:
            path = scope.get("path", "")
            scope["route"] = next((template for pattern, template in self._patterns if pattern.match(path)), None)


def route_of(scope: Scope) -> str:
    """The template of the route that a request went to, such as ``/static/{name}``."""
    return str(getattr(scope.get("route"), "path", UNMATCHED))


def method_of(scope: Scope) -> str:
    """The request's method, or ``OTHER``: clients invent methods too."""
    method = str(scope.get("method"))
    return method if method in _METHODS else "OTHER"
