"""What can go wrong between a program and the service.

    ClientError
    ├── ConnectionFailed      no whole answer came
    ├── UnexpectedAnswer      an answer came that is not this service's
    └── ServiceError          the service refused, or what stands before it
        ├── InvalidRequest    400, 405, 413, 415, 422, 431; or found invalid before it was sent
        ├── Unauthorized      401, 403
        ├── NotFound          404: no such model, or no such path
        ├── ReloadFailed      409
        ├── RateLimited       429
        ├── Unavailable       502, 503, 504
        └── ServiceFailed     any other status

No message holds a text or a key: those of the service name fields and limits only.
"""

from http import HTTPStatus


class ClientError(Exception):
    """Base of all errors of the client."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        status: int | None = None,
        request_id: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        """What is wrong, for people."""
        self.code = code
        """What is wrong, for programs: one of the codes of the service (docs/operations.md), or a name of HTTP's."""
        self.status = status
        """HTTP status; None if there was no answer."""
        self.request_id = request_id
        """What the log of the service calls the request; empty if there was no answer."""
        self.retry_after = retry_after
        """Seconds until the service wants to be asked again; None if it did not say."""
        self.index: int | None = None
        """Of bulk methods: the place in the iterable, from 0, of the first text that could not be tagged."""

    def __str__(self) -> str:
        place = "" if self.index is None else f"text {self.index}: "
        known = [
            part for part in (str(self.status or ""), f"request {self.request_id}" * bool(self.request_id)) if part
        ]
        return f"{place}{self.code}: {self.message}" + (f" ({', '.join(known)})" if known else "")


class ConnectionFailed(ClientError):
    """No whole answer came; the error of httpx is the cause."""


class UnexpectedAnswer(ClientError):
    """An answer came that is not this service's, or not of a version that this client knows."""


class ServiceError(ClientError):
    """The service refused the request, or a proxy before it did."""


class InvalidRequest(ServiceError):
    """The request is wrong, and would be every time."""


class Unauthorized(ServiceError):
    """The API key is missing or wrong."""


class NotFound(ServiceError):
    """There is no such model, or nothing at this address."""


class ReloadFailed(ServiceError):
    """The folder of the model does not hold a sound one; the one before serves on."""


class RateLimited(ServiceError):
    """This client asks more often than it may."""


class Unavailable(ServiceError):
    """The service is overloaded, stopping, not ready or too slow."""


class ServiceFailed(ServiceError):
    """Something went wrong inside the service; its log has the details under the request's id."""


_KINDS: dict[int, type[ServiceError]] = {
    **dict.fromkeys((400, 405, 413, 415, 422, 431), InvalidRequest),
    **dict.fromkeys((401, 403), Unauthorized),
    404: NotFound,
    409: ReloadFailed,
    429: RateLimited,
    **dict.fromkeys((502, 503, 504), Unavailable),
}


def kind_of(status: int) -> type[ServiceError]:
    """The error that a status stands for."""
    return _KINDS.get(status, ServiceFailed)


def name_of(status: int) -> str:
    """A code for an answer that brings none, from HTTP's own names.

    >>> name_of(502)
    'bad_gateway'
    """
    try:
        return HTTPStatus(status).name.lower()
    except ValueError:
        return f"http_{status}"
