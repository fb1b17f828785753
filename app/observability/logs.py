"""What the log looks like: one JSON object a line for machines, or text for people; always on standard error.

No user's text ever gets there. Requests are logged by their route's template (see
:mod:`fenestra.app.middleware.observe`), and of an error only its kind and its frames: its own message may quote what it
was given.
"""

import json
import logging
import sys
import threading
import time
from functools import lru_cache
from types import TracebackType
from typing import Any

from pydantic_core import to_json
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from fenestra.app.errors import frames
from fenestra.app.settings import Settings

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_SERVERS = "uvicorn.error"  # the server's name for all that is not an access log; ours speaks there too
_OURS = "uvicorn", _SERVERS, "fenestra"


def configure(settings: Settings) -> None:
    """Send every log line of the process where and how the settings want it. Call it before the server starts.

    The server has to be told to keep its own hands off: ``uvicorn.Config(log_config=None, access_log=False)``.
    """
    wanted = settings.log_format
    if wanted == "auto":
        wanted = "text" if sys.stderr.isatty() else "json"
    handler = _Handler(sys.stderr)
    handler.setFormatter(_Json() if wanted == "json" else _Text())
    handler.addFilter(_without_quotes)
    root = logging.getLogger()
    for before in [before for before in root.handlers if isinstance(before, _Handler)]:
        root.removeHandler(before)
    root.addHandler(handler)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    root.setLevel(max(level, logging.WARNING))  # what libraries whisper to themselves may quote anything
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    threading.excepthook = _on_thread_error
    sys.unraisablehook = _on_unraisable
    # Nobody reads these, and each costs time on every line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class _Handler(logging.StreamHandler[Any]):
    """Known by its class, so that a second call takes the place of the first."""


class _Json(JsonFormatter):
    """One object a line: time, level and message, then whatever else the line has to say."""

    def __init__(self) -> None:
        super().__init__(
            ["message"],
            reserved_attrs=[*RESERVED_ATTRS, "color_message"],
            json_serializer=_encode,
        )

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Put first what one looks for first."""
        log_data["time"] = _instant(record)
        log_data["level"] = record.levelname.lower()
        if record.name != _SERVERS:
            log_data["logger"] = record.name
        super().add_fields(log_data, record, message_dict)

    def formatException(self, ei: ErrorInfo) -> str:
        """The frames of an error alone."""
        return frames(ei[1]) if ei[1] is not None else ""


class _Text(logging.Formatter):
    """Time, level and message, for eyes."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(message)s", "%H:%M:%S")

    def formatException(self, ei: ErrorInfo) -> str:
        """The frames of an error alone."""
        return frames(ei[1]) if ei[1] is not None else ""


def _encode(line: dict[str, Any], **_: object) -> str:
    """Write a line as JSON, whatever is in it."""
    try:
        return to_json(line, fallback=str).decode()
    except ValueError:  # half a character, as file names can have
        return json.dumps(line, default=str)


def _instant(record: logging.LogRecord) -> str:
    """When, in UTC, as ISO 8601 has it, to the millisecond."""
    return f"{_second(int(record.created))}.{int(record.msecs):03d}Z"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _without_quotes(record: logging.LogRecord) -> bool:
    """Forget what may quote a user: a traceback that another handler has written out, and asyncio's objects."""
    record.exc_text = None
    if record.name == "asyncio":
        record.msg, record.args = record.getMessage().partition("\n")[0], ()
    return True


def _on_thread_error(failure: threading.ExceptHookArgs) -> None:
    """A thread has died: say where."""
    if failure.exc_value is not None:
        name = failure.thread.name if failure.thread else "?"
        logging.getLogger(_SERVERS).critical("thread %s ended with %s", name, frames(failure.exc_value))


def _on_unraisable(failure: "sys.UnraisableHookArgs") -> None:
    """An error in a place that nothing can be raised from, such as a finalizer: say where."""
    if failure.exc_value is not None:
        logging.getLogger(_SERVERS).error("not raised: %s", frames(failure.exc_value))
