"""Who is let in: requests for a name of ours, with a key, and not too often. In this order, before any route."""

from starlette.types import ASGIApp, Receive, Scope, Send

from fenestra.app.errors import Problem, request_id
from fenestra.app.middleware.api_keys import Keys
from fenestra.app.middleware.hosts import Hosts
from fenestra.app.middleware.rate_limit import Rates, client_of
from fenestra.app.observability.metrics import Metrics
from fenestra.app.settings import Settings

_PROBES = frozenset({"/livez", "/readyz"})
_UNCOUNTED = _PROBES | {"/metrics"}


class Admission:
    """Refuse whom the settings do not admit. What is not configured costs nothing."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._hosts = Hosts(settings.allowed_hosts, settings.host)
        self._keys = Keys(settings.api_keys)
        self._rates = Rates(settings.rate_limit) if settings.rate_limit else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] == "http":
            try:
                self._admit(scope)
            except Problem as problem:
                self._metrics.refused(problem.code)
                await problem.response(request_id(scope))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> None:
        """Let a request pass.

        Raises:
            Problem: ``bad_request``, ``unauthorized`` or ``rate_limited``.
        """
        hosts, origins, authorization = [], [], []
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origins.append(value)
            elif name == b"authorization":
                authorization.append(value)
        self._hosts.check(hosts, origins)
        client = ""
        if self._keys and scope["path"] not in _PROBES:
            client = self._keys.check(authorization)
        if self._rates is not None and not _is_uncounted(scope["path"]):
            self._rates.check(client or client_of(scope["client"][0] if scope["client"] else ""))


def _is_uncounted(path: str) -> bool:
    """Whether no rate applies. A page is one request to whoever opens it, of however many files it is made."""
    return path in _UNCOUNTED or path.startswith("/static/")
