"""Builds the application. ``fenestra serve`` runs it (:mod:`fenestra.app.server`), and no other server does alone.

Deadlines, limits of connections and the shutdown are the server's part (:mod:`fenestra.app.http`). So the factory
without arguments, as ``uvicorn --factory fenestra.app.main:create_app`` calls it, makes an application that refuses to
start: a service without them would look the same until it is attacked.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from limits.storage.base import Storage
from starlette.routing import Route

from fenestra.app import errors as problems
from fenestra.app.api import huggingface, kserve, learning, presidio, routes
from fenestra.app.api.direct import DirectTagging
from fenestra.app.engine.jobs import TagsText
from fenestra.app.engine.link import Link
from fenestra.app.engine.service import Service
from fenestra.app.middleware.admission import Admission, AdmissionMiddleware
from fenestra.app.middleware.body_limit import BodyLimitMiddleware
from fenestra.app.middleware.compression import CompressionMiddleware
from fenestra.app.middleware.cors import CrossOriginMiddleware
from fenestra.app.middleware.decompression import DecompressionMiddleware
from fenestra.app.middleware.observe import ObserveMiddleware, Observer
from fenestra.app.middleware.request_id import RequestIdMiddleware
from fenestra.app.observability.traces import open_tracer
from fenestra.app.pages import routes as pages
from fenestra.app.settings import Settings
from fenestra.model.errors import InputError
from fenestra.model.version import VERSION

ROUTERS = (routes.router, learning.router, huggingface.router, presidio.router, kserve.router, pages.router)
"""All routes."""
_OTHER_SERVER = (
    "this server has no deadlines and no limits for connections; "
    "run `fenestra serve` instead, with --workers for several processes"
)


def create_app(
    settings: Settings | None = None,
    *,
    tagger: TagsText | None = None,
    link: Link | None = None,
    windows: Storage | None = None,
) -> FastAPI:
    """Build the application. No file is read and no model is loaded until the lifespan starts.

    Args:
        settings: from the environment when omitted; then the application only starts in the server of
            ``fenestra serve``. Whoever passes them, as a program that mounts the application in another, has to bring
            deadlines and limits of connections.
        tagger: tests pass a stub. When omitted, the lifespan loads the models that the settings name, and a bad folder
            stops the start.
        link: to the supervisor, if this process is one of several workers.
        windows: what the rate limit counts in, if it is shared with others.

    Raises:
        InputError: the environment holds a setting that is unknown or out of range.
    """
    service = Service(settings or Settings.read(), tagger, link)
    service.limits_connections = settings is not None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if not service.limits_connections:
            raise InputError(_OTHER_SERVER)
        async with service.running():
            yield

    app = FastAPI(
        title="Fenestra",
        summary="A windowed named-entity tagger.",
        version=VERSION,
        lifespan=lifespan,
        description=_limits(service.settings),
        contact={"name": "whoever runs this service"},
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_tags=routes.TAGS,
        generate_unique_id_function=lambda route: route.name,  # the operation ids of the document are names
        openapi_url=None,  # app.pages serves the document and a page of it: FastAPI's own page
        docs_url=None,  # loads its scripts from a third party
        redoc_url=None,
        redirect_slashes=False,  # a redirect is not part of the interface
    )
    app.state.service = service
    for router in ROUTERS:
        app.include_router(router)
    problems.install(app)
    _add_middleware(app, service, windows)
    return app


def _add_middleware(app: FastAPI, service: Service, windows: Storage | None) -> None:
    """Add the middleware, from the innermost to the outermost; and what answers plain requests without them."""
    settings, metrics = service.settings, service.metrics
    admission = Admission(settings, metrics, windows)
    templates = [route.path for router in ROUTERS for route in router.routes if isinstance(route, Route)]
    observer = Observer(metrics, routes=templates, tracer=open_tracer(settings.trusted_tracers))
    app.state.direct = DirectTagging(service, admission, observer)
    max_bytes = settings.max_body_bytes
    app.add_middleware(BodyLimitMiddleware, max_bytes=max_bytes, metrics=metrics, memory=service.memory)
    app.add_middleware(DecompressionMiddleware, max_bytes=max_bytes, metrics=metrics, work=service.work)
    if settings.gzip_min_bytes:
        app.add_middleware(CompressionMiddleware, min_bytes=settings.gzip_min_bytes)
    app.add_middleware(AdmissionMiddleware, admission=admission)
    if settings.allowed_origins:
        app.add_middleware(CrossOriginMiddleware, origins=settings.allowed_origins)
    app.add_middleware(ObserveMiddleware, metrics=metrics, observer=observer)
    app.add_middleware(RequestIdMiddleware)
    app.add_middleware(problems.StartFailureMiddleware)


def _limits(settings: Settings) -> str:
    """The limits of one request, for the OpenAPI document."""
    return (
        f"One request holds at most {settings.max_body_bytes:,} bytes, {settings.max_texts:,} texts or sentences, "
        f"{settings.max_chars:,} characters in a text and {settings.max_tokens:,} words in all sentences together."
    )
