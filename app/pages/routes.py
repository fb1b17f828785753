"""The web pages and their files. They load nothing from another host."""

from functools import cache, partial
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import Response

from fenestra.app.engine.service import service_of
from fenestra.app.errors import Problem
from fenestra.app.pages.document import document

_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml", "html": "text/html"}
ASSETS = frozenset(
    "base.css docs.css page.css tones.css tools.css window.css icon.svg panes.svg carry.js command.js compare.js "
    "correct.js corrections.js csv.js docs.js dom.js entities.js examples.js explanation.js faults.js files.js "
    "labels.js latest.js learning.js link.js many.js marked.js models.js offsets.js opening.js page.js paging.js "
    "refusals.js results.js service.js shares.js store.js streaming.js summary.js tokens.js try.js".split()
)
"""The files that ``/static/`` serves. Names are looked up here, so no path from a request reaches the disk."""

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

router = APIRouter(include_in_schema=False)


@cache
def asset(name: str) -> bytes:
    """Read a file of the package, once."""
    return files("fenestra.app.pages").joinpath("static", name).read_bytes()


def _file(name: str) -> Response:
    return Response(asset(name), headers=PAGE_HEADERS, media_type=_TYPES[name.rpartition(".")[2]])


@router.api_route("/", methods=["GET", "HEAD"])
async def page() -> Response:
    """A page to try the tagger."""
    return _file("page.html")


@router.api_route("/docs", methods=["GET", "HEAD"])
async def docs() -> Response:
    """A page of the HTTP interface, drawn from the OpenAPI document."""
    return _file("docs.html")


@router.api_route("/openapi.json", methods=["GET", "HEAD"])
async def openapi(request: Request) -> Response:
    """The OpenAPI document, with the labels of the models that are loaded now."""
    service = service_of(request)
    labels = sorted({label for model in service.models for label in model.labels})
    return Response(await service.work.aside(partial(document, request.app, labels)), media_type="application/json")


@router.api_route("/static/{name}", methods=["GET", "HEAD"])
async def static(name: str) -> Response:
    """A file of the pages."""
    if name not in ASSETS:
        raise Problem("not_found", "no such file")
    return _file(name)
