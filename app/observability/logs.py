"""Formats the log: one JSON object a line for machines, or text for people; always on standard error.

No user's text gets into the log. Requests are logged by the template of their route (see
:mod:`fenestra.app.middleware.observe`), and errors by their type and stack frames only, because an error's message may
quote its input.
"""

import asyncio
import json
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import lru_cache
from select import PIPE_BUF
from types import TracebackType
from typing import Any, TextIO

from pydantic_core import to_json
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from fenestra.app.errors import frames
from fenestra.app.settings import Settings

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_SERVER = "uvicorn.error"  # uvicorn's logger for everything but access; Fenestra uses it too
REQUEST_LINE = "%(request_id)s %(method)s %(route)s %(status)d %(milliseconds).1f ms"
"""What the log says of a request; its fields stand beside it."""
_OWN_LOGGERS = "uvicorn", _SERVER, "fenestra"


def configure(settings: Settings) -> "Lines":
    """Configure all loggers of the process. Call it before the server starts.

    Returns:
        What writes the lines.

    uvicorn must not configure them again: ``uvicorn.Config(log_config=None, access_log=False)``.
    """
    log_format = settings.log_format
    if log_format == "auto":
        log_format = "text" if sys.stderr is not None and sys.stderr.isatty() else "json"
    handler = Lines(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    handler.addFilter(_drop_user_text)
    root = logging.getLogger()
    for before in [before for before in root.handlers if isinstance(before, Lines)]:
        root.removeHandler(before)
    root.addHandler(handler)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    root.setLevel(max(level, logging.WARNING))  # debug lines of libraries may quote a user's text
    for name in _OWN_LOGGERS:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    threading.excepthook = _on_thread_error
    sys.unraisablehook = _on_unraisable
    # These fields are not logged, and each costs time on every line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    return handler


class Lines(logging.Handler):
    """Writes lines to a stream, and never waits for its reader: a line that does not fit is dropped and counted.

    Standard error may be a pipe whose reader has stopped, and a blocked write would stop the event loop. ``poll`` tells
    whether a pipe, a socket or a terminal takes ``PIPE_BUF`` bytes; so lines are written in pieces of that size.

    The lines of requests can be written together, those of one turn of the event loop at once, before any other line
    that comes later.
    """

    def __init__(self, stream: TextIO | None) -> None:
        """Write to the descriptor of a stream; to the stream itself, if it has none; to nothing, if it is None."""
        super().__init__()
        self._stream = stream
        self._descriptor: int | None = None
        with suppress(AttributeError, OSError, ValueError):  # no stream, or one in memory
            self._descriptor = stream.fileno()  # type: ignore[union-attr]
        self._torn = False  # whether the last line was written in part
        self._untold = 0  # dropped lines that no line of the log tells of
        self._requests: list[tuple[float, Mapping[str, object]]] = []  # not written yet: when they came, and what of
        self.on_drop: Callable[[], None] = lambda: None
        """Called for each line that is dropped."""
        self.turn: AbstractContextManager[None] = nullcontext()
        """Held while a line is written: with several writers, the room that ``poll`` tells of may be gone."""

    def name_process(self, pid: int) -> None:
        """Say in each line that it is from this process: there are several."""
        if isinstance(self.formatter, _Json):
            self.formatter.pid = pid
        else:
            self.setFormatter(_Text(f" [{pid}]"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or drop it."""
        if self._stream is None or self._stream.closed:  # a closed one's descriptor may be another file's by now
            return
        self._write_requests()
        self._put(self.format(record), 1)

    def add_request(self, fields: Mapping[str, object]) -> None:
        """Write the line of a request, whose fields are those of :data:`REQUEST_LINE`, at the end of this turn."""
        if not self._requests:
            asyncio.get_running_loop().call_soon(self.flush)
        self._requests.append((time.time(), fields))

    def flush(self) -> None:
        """Write the lines that wait."""
        with self.lock or nullcontext():
            self._write_requests()

    def close(self) -> None:
        """Write the lines that wait, and end."""
        self.flush()
        super().close()

    def _write_requests(self) -> None:
        if not self._requests or self._stream is None or self._stream.closed:
            return
        requests, self._requests = self._requests, []
        assert isinstance(self.formatter, _Json | _Text)
        self._put("\n".join([self.formatter.format_request(*request) for request in requests]), len(requests))

    def _put(self, text: str, lines: int) -> None:
        """Write some lines, or drop those that do not fit."""
        if self._descriptor is None:
            assert self._stream is not None
            self._stream.write(text + "\n")
            return
        if self._untold and not self._write(self.format(_note_of_drops(self._untold))):
            self._untold = 0
        if rest := self._write(text):
            dropped = min(rest.count(b"\n"), lines)  # a single one may hold line ends
            self._untold += dropped
            for _ in range(dropped):
                self.on_drop()

    def _write(self, text: str) -> bytes:
        """Write lines as far as they fit now; returns what did not."""
        raw = f"{text}\n".encode("utf-8", "backslashreplace")
        if self._torn:
            raw = b"\n" + raw
        with self.turn:
            while raw:
                try:
                    written = os.write(self._descriptor, raw[:PIPE_BUF]) if _takes(self._descriptor) else 0  # type: ignore[arg-type]
                except OSError:  # nobody will ever read it, or the disk is full
                    written = 0
                if not written:
                    break
                self._torn = not raw[:written].endswith(b"\n")
                raw = raw[written:]
        return raw


def _takes(descriptor: int | None) -> bool:
    """Whether a write of ``PIPE_BUF`` bytes would not wait."""
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)  # type: ignore[arg-type]
    return bool(ready.poll(0))


def _note_of_drops(count: int) -> logging.LogRecord:
    """The line that tells of dropped lines."""
    return logging.LogRecord(_SERVER, logging.WARNING, "", 0, "%d lines of the log were dropped", (count,), None)


class _Json(JsonFormatter):
    """One JSON object a line: time, level and message, then further fields."""

    pid: int | None = None

    def __init__(self) -> None:
        super().__init__(
            ["message"],
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],
            json_serializer=_encode,
        )

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Put time and level first."""
        log_data["time"] = _timestamp(record.created)
        log_data["level"] = record.levelname.lower()
        if self.pid is not None:
            log_data["pid"] = self.pid
        if record.name != _SERVER:
            log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)

    def format_request(self, created: float, fields: Mapping[str, object]) -> str:
        """As :meth:`format`, of the record of a request, in a fifth of the time."""
        process = {} if self.pid is None else {"pid": self.pid}
        message = REQUEST_LINE % fields
        return _encode({"time": _timestamp(created), "level": "info", **process, "message": message, **fields})

    def formatException(self, ei: ErrorInfo) -> str:
        """The stack frames of an error, without its message."""
        return frames(ei[1]) if ei[1] is not None else ""


class _Text(logging.Formatter):
    """Time, level and message, for people."""

    def __init__(self, process: str = "") -> None:
        super().__init__(f"%(asctime)s{process} %(levelname)-8s %(message)s", "%H:%M:%S")
        self._process = process

    def format_request(self, created: float, fields: Mapping[str, object]) -> str:
        """As :meth:`format`, of the record of a request."""
        moment = time.strftime("%H:%M:%S", time.localtime(created))
        return f"{moment}{self._process} INFO     {REQUEST_LINE % fields}"

    def formatException(self, ei: ErrorInfo) -> str:
        """The stack frames of an error, without its message."""
        return frames(ei[1]) if ei[1] is not None else ""


def _encode(line: dict[str, Any], **_: object) -> str:
    """Write a line as JSON, whatever types are in it."""
    try:
        return to_json(line, fallback=str).decode()
    except ValueError:  # a lone surrogate, as file names can have
        return json.dumps(line, default=str)


def _timestamp(created: float) -> str:
    """A time in seconds since 1970 as UTC, in ISO 8601, to the millisecond."""
    return f"{_second(int(created))}.{int(created % 1 * 1000):03d}Z"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _drop_user_text(record: logging.LogRecord) -> bool:
    """Drop what may quote a user: a traceback that another handler has formatted, and asyncio's reprs of objects."""
    record.exc_text = None
    if record.name == "asyncio":
        record.msg, record.args = record.getMessage().partition("\n")[0], ()
    return True


def _on_thread_error(failure: threading.ExceptHookArgs) -> None:
    """Log where a thread failed."""
    if failure.exc_value is not None:
        name = failure.thread.name if failure.thread else "?"
        logging.getLogger(_SERVER).critical("thread %s ended with %s", name, frames(failure.exc_value))


def _on_unraisable(failure: "sys.UnraisableHookArgs") -> None:
    """Log where an error happened that cannot be raised, such as in a finalizer."""
    if failure.exc_value is not None:
        logging.getLogger(_SERVER).error("not raised: %s", frames(failure.exc_value))
