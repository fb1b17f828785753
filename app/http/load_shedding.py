"""Refuses requests to an overloaded model from within the connection, without the cost of a task."""

from uvicorn._types import HTTPScope

from fenestra.app.errors import Problem
from fenestra.app.http.raw_responses import Header, ResponseTemplate
from fenestra.app.http.registry import ConnectionRegistry
from fenestra.app.middleware.request_id import choose_id
from fenestra.app.observability.route_names import RouteTemplate

_INFER = "/v2/models/{name}/infer"
_INFER_VERSION = "/v2/models/{name}/versions/{version}/infer"
_ROUTES = {
    path: RouteTemplate(path) for path in ("/tag", "/explain", "/hf", "/hf/{model}", "/analyze", _INFER, _INFER_VERSION)
}
_OVERLOADED = Problem("overloaded", "too many requests are waiting; try again in a moment")
_RESPONSES = {path: ResponseTemplate(_OVERLOADED, path) for path in _ROUTES}


def shed(scope: HTTPScope, headers: list[Header], registry: ConnectionRegistry, *, close: bool) -> bytes | None:
    """Refuse a request if the model is overloaded.

    Args:
        scope: of the request, with its path and method.
        headers: of every response.
        registry: says whether the model is overloaded, and counts the refusal.
        close: whether the response is the last one of its connection.

    Returns:
        The response; None if the request is to be served.
    """
    path = scope["path"]
    if path.startswith(("/hf/", "/v2/")):
        path = _template(path)
    if path not in _ROUTES or scope["method"] != "POST" or registry.draining or not registry.overloaded():
        return None
    if any(name == b"origin" for name, _ in scope["headers"]):
        return None  # a page of another origin can only read a refusal that the middleware has marked for it
    registry.count_shed({**scope, "route": _ROUTES[path]})
    request_id = choose_id([value for name, value in scope["headers"] if name == b"x-request-id"])
    return _RESPONSES[path].render(request_id, headers, close=close)


def _template(path: str) -> str:
    """The template of a path that names a model; other paths as they are.

    >>> _template("/hf/english"), _template("/v2/models/english/infer"), _template("/v2/models/english")
    ('/hf/{model}', '/v2/models/{name}/infer', '/v2/models/english')
    """
    match path.split("/")[1:]:
        case ["hf", _]:
            return "/hf/{model}"
        case ["v2", "models", _, "infer"]:
            return _INFER
        case ["v2", "models", _, "versions", _, "infer"]:
            return _INFER_VERSION
    return path
