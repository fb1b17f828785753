"""Names requests in metrics, logs and traces: by route template, never by the path that a client sent."""

from collections.abc import Iterable
from typing import NamedTuple

from starlette.routing import compile_path
from starlette.types import Scope

_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
PROBES = frozenset({"/livez", "/readyz", "/health", "/v2/health/live", "/v2/health/ready"})
"""Paths that say how the service is: without a key, a limit or a trace."""
UNMATCHED = "(unmatched)"
"""The route of all paths that do not exist."""


class RouteTemplate(NamedTuple):
    """Stands in for the route of a request that was refused before it was routed."""

    path: str


class RouteTemplates:
    """Finds the route of a request that was refused before the router saw it."""

    def __init__(self, paths: Iterable[str]) -> None:
        """Create from the templates of all routes, such as ``/static/{name}``."""
        self._patterns = [(compile_path(path)[0], RouteTemplate(path)) for path in dict.fromkeys(paths)]

    def assign(self, scope: Scope) -> None:
        """Give a request without a route the one that its path matches, if any."""
        if scope.get("route") is None:
            path = scope.get("path", "")
            scope["route"] = next((template for pattern, template in self._patterns if pattern.match(path)), None)


def route_of(scope: Scope) -> str:
    """The template of the route of a request, such as ``/static/{name}``."""
    return str(getattr(scope.get("route"), "path", UNMATCHED))


def method_of(scope: Scope) -> str:
    """The request's method, or ``OTHER`` if it is not a standard one."""
    method = str(scope.get("method"))
    return method if method in _METHODS else "OTHER"
