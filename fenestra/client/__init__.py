"""A typed client of the HTTP service, for threads and for asyncio. Needs the extra ``client``.

    with Client("http://localhost:8000") as client:
        for entity in client("Ada Lovelace met Charles Babbage in London."):
            print(entity.label, entity.text)

Requests and results are the schemas of the service itself (app/api/schemas.py).
"""

from fenestra.extras import missing

try:
    from fenestra.app.api.schemas import (
        Alternative,
        AnswerWarning,
        Entity,
        ExplainResponse,
        LineError,
        LineResponse,
        ModelInfo,
        ReloadResponse,
        Result,
        TagResponse,
        Token,
    )
    from fenestra.client.async_client import AsyncClient
    from fenestra.client.batches import BatchSize
    from fenestra.client.client import Client
    from fenestra.client.errors import (
        ClientError,
        ConnectionFailed,
        InvalidRequest,
        NotFound,
        RateLimited,
        ReloadFailed,
        ServiceError,
        ServiceFailed,
        Unauthorized,
        Unavailable,
        UnexpectedAnswer,
    )
    from fenestra.client.requests import ExplainOptions, TagOptions
    from fenestra.client.retries import Retries
except ModuleNotFoundError as error:
    raise missing("client", error) from error

__all__ = [
    "Alternative",
    "AnswerWarning",
    "AsyncClient",
    "BatchSize",
    "Client",
    "ClientError",
    "ConnectionFailed",
    "Entity",
    "ExplainOptions",
    "ExplainResponse",
    "InvalidRequest",
    "LineError",
    "LineResponse",
    "ModelInfo",
    "NotFound",
    "RateLimited",
    "ReloadFailed",
    "ReloadResponse",
    "Result",
    "Retries",
    "ServiceError",
    "ServiceFailed",
    "TagOptions",
    "TagResponse",
    "Token",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
]
