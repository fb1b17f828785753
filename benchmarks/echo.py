"""The service with one path more: ``python -m benchmarks.echo``.

``POST /echo`` goes through the same server, the same layers and the same checks as ``POST /tag`` and answers a
constant. What is between the two is what finding entities costs.
"""

import argparse
import sys

from fastapi import FastAPI, Request
from starlette.responses import Response

from fenestra.app import server
from fenestra.app.api.json_body import read_body
from fenestra.app.api.schemas import TagRequest
from fenestra.app.api.tagging import read_request
from fenestra.app.engine.service import service_of
from fenestra.app.main import create_app
from fenestra.app.settings import Settings

ANSWER = b'{"model":{"name":"english","version":"000000000000"},"results":[{"entities":[]}]}'


async def echo(request: Request) -> Response:
    """Check a request as POST /tag does, and answer what is always the same."""
    service = service_of(request)
    asked = await read_request(service, TagRequest, await read_body(request))
    service.models.get(asked.model)
    return Response(ANSWER, media_type="application/json")


def with_echo(settings: Settings) -> FastAPI:
    """Build the service, and let the new path be found as fast as the others: routes are tried in their order."""
    app = create_app(settings)
    app.add_api_route("/echo", echo, methods=["POST"], include_in_schema=False)
    app.router.routes.insert(0, app.router.routes.pop())
    return app


def main() -> int:
    """Serve until SIGTERM, as ``fenestra serve`` does; all settings come from the environment."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    server.create_app = with_echo
    return server.serve(Settings.read())


if __name__ == "__main__":
    sys.exit(main())
