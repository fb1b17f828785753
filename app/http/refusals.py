"""Why a request is refused while it is still being read."""

from fenestra.app.errors import Problem

_CLOSE = {"Connection": "close"}


class StopParsing(Exception):
    """Raised in a callback of the parser to end its work. Raised as such, the connection is closing already."""


class Refusal(StopParsing):
    """The request is refused, and the connection ends with the response."""

    def __init__(self, problem: Problem, reason: str) -> None:
        """Create a refusal.

        Args:
            problem: the response.
            reason: one of :data:`fenestra.app.observability.metrics.REFUSALS`.
        """
        super().__init__(problem.message)
        self.problem = problem
        self.reason = reason


def bad_request(message: str, reason: str = "bad_request") -> Refusal:
    """Refuse what is not a valid request."""
    return Refusal(Problem("bad_request", message, headers=_CLOSE), reason)


def headers_too_large(max_bytes: int) -> Refusal:
    """Refuse a request whose headers, trailers or chunk headers are too large."""
    message = f"the headers, or what is between the chunks, are larger than {max_bytes} bytes"
    return Refusal(Problem("headers_too_large", message, headers=_CLOSE), "headers_too_large")
