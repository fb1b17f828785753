"""Formats the log: one JSON object a line for machines, or text for people; always on standard error.

No user's text gets into the log. Requests are logged by the template of their route (see
:mod:`fenestra.app.middleware.observe`), and errors by their type and stack frames only, because an error's message may
quote its input.
"""

import json
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Callable
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
        line = self.format(record)
        if self._descriptor is None:
            self._stream.write(line + "\n")
            return
        if self._untold and self._write(self.format(_note_of_drops(self._untold))):
            self._untold = 0
        if not self._write(line):
            self._untold += 1
            self.on_drop()

    def _write(self, line: str) -> bool:
        """Write a line as far as it fits now; returns whether it did."""
        raw = f"{line}\n".encode("utf-8", "backslashreplace")
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
                raw = raw[written:]
                self._torn = bool(raw)
        return not raw


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
        log_data["time"] = _timestamp(record)
        log_data["level"] = record.levelname.lower()
        if self.pid is not None:
            log_data["pid"] = self.pid
        if record.name != _SERVER:
            log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)

    def formatException(self, ei: ErrorInfo) -> str:
        """The stack frames of an error, without its message."""
        return frames(ei[1]) if ei[1] is not None else ""


class _Text(logging.Formatter):
    """Time, level and message, for people."""

    def __init__(self, process: str = "") -> None:
        super().__init__(f"%(asctime)s{process} %(levelname)-8s %(message)s", "%H:%M:%S")

    def formatException(self, ei: ErrorInfo) -> str:
        """The stack frames of an error, without its message."""
        return frames(ei[1]) if ei[1] is not None else ""


def _encode(line: dict[str, Any], **_: object) -> str:
    """Write a line as JSON, whatever types are in it."""
    try:
        return to_json(line, fallback=str).decode()
    except ValueError:  # a lone surrogate, as file names can have
        return json.dumps(line, default=str)


def _timestamp(record: logging.LogRecord) -> str:
    """The time in UTC, in ISO 8601, to the millisecond."""
    return f"{_second(int(record.created))}.{int(record.msecs):03d}Z"


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
