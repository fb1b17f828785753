"""Admits requests that name an allowed host, carry a valid API key and are within the rate limit, in this order."""

from limits.storage.base import Storage
from starlette.types import ASGIApp, Receive, Scope, Send

from fenestra.app.errors import Problem
from fenestra.app.middleware.api_keys import ApiKeys
from fenestra.app.middleware.hosts import AllowedHosts
from fenestra.app.middleware.rate_limit import RateLimiter, client_of
from fenestra.app.observability.metrics import Metrics
from fenestra.app.observability.route_names import PROBES
from fenestra.app.settings import Settings

_UNLIMITED = PROBES | {"/metrics"}


class Admission:
    """What the settings admit. A check that is not configured costs nothing."""

    def __init__(self, settings: Settings, metrics: Metrics, windows: Storage | None = None) -> None:
        """Set up; ``windows`` are what the rate limit counts in, if other processes share it."""
        self._metrics = metrics
        self._hosts = AllowedHosts(settings.allowed_hosts, settings.host, settings.allowed_origins)
        self._keys = ApiKeys(settings.api_keys)
        self._rate_limiter = RateLimiter(settings.rate_limit, windows) if settings.rate_limit else None

    def check(self, scope: Scope) -> None:
        """Check a request; count it if it is refused.

        Raises:
            Problem: ``bad_request``, ``unauthorized`` or ``rate_limited``.
        """
        try:
            self._check(scope)
        except Problem as problem:
            self._metrics.refused(problem.code)
            raise

    def _check(self, scope: Scope) -> None:
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
        if self._keys and scope["path"] not in PROBES:
            client = self._keys.check(authorization)
        if self._rate_limiter is not None and _is_rate_limited(scope["path"]):
            self._rate_limiter.check(client or client_of(scope["client"][0] if scope["client"] else ""))


class AdmissionMiddleware:
    """Refuse requests that are not admitted."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI defines it."""
        if scope["type"] == "http":
            try:
                self._admission.check(scope)
            except Problem as problem:
                await problem.response_to(scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_rate_limited(path: str) -> bool:
    """Whether a request counts. Static files do not: to a user, opening a page is one request."""
    return path not in _UNLIMITED and not path.startswith("/static/")
