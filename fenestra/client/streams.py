"""Streams of lines over ``POST /tag/stream``, resumed where they stop.

A stream of any length is sent in portions: httpx sends a body to its end before it reads the answer, while the service
stops reading from a client that does not read. A portion is small enough to lie in the buffers of a connection. When
the answers to one are there, the next goes out, on the same connection.

What is answered is known line by line. So after a stop or a broken connection only the lines without an answer are sent
again, from the one that the service names on, and each gets one answer.
"""

from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from fenestra.app.api.schemas import LineError, LineResponse
from fenestra.app.codes import STATUS
from fenestra.client.batches import Batch, BatchSize
from fenestra.client.calls import NDJSON, RETRIED, Address, Reply, Steps
from fenestra.client.errors import ClientError, UnexpectedAnswer, kind_of
from fenestra.client.requests import TagOptions, line_of
from fenestra.client.retries import Patience

Line = LineResponse | LineError
PORTION = BatchSize(texts=256, bytes=32 * 1024)
"""The JSON around each text comes on top: together hardly more than the 64 KiB that any connection buffers."""
_LINE: TypeAdapter[Line] = TypeAdapter(Line)


def tag_lines(address: Address, batch: Batch, options: TagOptions) -> Steps[list[Line]]:
    """Have each item answered, in order. A line that is refused for good has a :class:`LineError` as its answer.

    Raises:
        ClientError: the stream is refused, or no line was answered for as long as the retries go on.
    """
    lines = [line_of(item, options) for item in batch.items]
    answers: list[Line] = []
    patience = Patience(address.retries)
    while len(answers) < len(lines):
        reply = yield address.post("/tag/stream", b"".join(lines[len(answers) :]), NDJSON)
        assert reply is not None
        fresh, error = _read(reply, len(lines) - len(answers))
        for answer in fresh:
            answers.append(answer)
            answer.line = batch.first + len(answers)
        if fresh:
            patience.renew()
        if error is not None and len(answers) < len(lines):
            yield _pause_or_raise(reply, error, patience, batch.first + len(answers))
    return answers


def _read(reply: Reply, most: int) -> tuple[Sequence[Line], ClientError | None]:
    """The answers in a reply, as far as they go, and what keeps the others away.

    What comes behind the last one is about the stream, which has done its work: it answers no line.
    """
    if reply.status != 200:
        return [], reply.error()
    answers: list[Line] = []
    for raw in reply.body.splitlines():
        if len(answers) == most:
            return answers, None
        try:
            answer = _LINE.validate_json(raw)
        except ValidationError:  # the connection broke within the line, or it is none of this service
            return answers, reply.error() or _unexpected("a line of the answer is none")
        if isinstance(answer, LineError) and STATUS.get(answer.error.code) in RETRIED:
            return answers, _error_of(answer)
        if answer.line != len(answers) + 1:
            return answers, _unexpected("a line is answered out of order")
        answers.append(answer)
    if answers and reply.failure is None:  # all of them, or as many as came before a line that ended the stream
        return answers, None
    return answers, reply.error() or _unexpected("no line is answered")


def _unexpected(message: str) -> ClientError:
    return UnexpectedAnswer(message, code="unexpected_answer", status=200)


def _error_of(line: LineError) -> ClientError:
    status = STATUS[line.error.code]
    return kind_of(status)(line.error.message, code=line.error.code, status=status, request_id=line.error.request_id)


def _pause_or_raise(reply: Reply, error: ClientError, patience: Patience, index: int) -> float:
    """How long to wait before the rest is sent again.

    Raises:
        ClientError: that makes no sense, or patience is at its end.
    """
    stopped = error.status in RETRIED if reply.failure is None else reply.broken
    pause = patience.pause(error.retry_after) if stopped else None
    if pause is None:
        error.index = index
        raise error
    return pause
