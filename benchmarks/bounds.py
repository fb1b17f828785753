"""What a service can reach at most: applications that answer a constant, for uvicorn to serve.

uvicorn benchmarks.bounds:plain    a FastAPI endpoint as anyone would write it, with a model of its body
uvicorn benchmarks.bounds:raw      the least that ASGI allows: it reads the body, and looks at nothing
"""

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

_ANSWER = b'{"entities":[]}'
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_ANSWER))]


class _Body(BaseModel):
    """What is posted."""

    text: str


plain = FastAPI()


@plain.post("/tag")
async def tag(body: _Body) -> dict[str, list[object]]:
    """Answer what is always the same."""
    return {"entities": []}


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection, as ASGI defines it."""
    if scope["type"] != "http":
        raise RuntimeError(f"nothing but HTTP is served here, and no {scope['type']}")
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _ANSWER})
