"""What every verb of the command line shares: how it is parsed, how it ends, and what it says when it fails.

    0     done
    1     the work itself failed, or something that nobody foresaw
    2     bad usage, configuration or data: one line for each thing that is wrong
    130   Ctrl-C; a second one ends the process at once

Results go to standard output, everything else to standard error. Nothing heavy is imported here, so ``--help`` is
there at once and works without the training extra.
"""

import argparse
import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

Verb = Callable[[argparse.Namespace], int | None]
"""Does the work of a verb; returns its exit code, or None for 0."""

_OURS = ("app", "model", "training")


class CommandParser(argparse.ArgumentParser):
    """An argument parser that complains in one line, and takes positional arguments after options too."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(
            *args,  # type: ignore[arg-type]
            **{"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False, **options},  # type: ignore[arg-type]
        )

    def error(self, message: str) -> NoReturn:
        """End with code 2."""
        self.exit(2, f"fenestra: {message}; see {self.prog} --help\n")


def run(parser: CommandParser, argv: Sequence[str] | None) -> int:
    """Parse, do what the verb says, and turn whatever happens into an exit code and a line on standard error.

    A verb is a sub-command with ``set_defaults(run=…)``; without one, the help is printed.
    """
    _speak_utf8()
    options: argparse.Namespace | None = None
    try:
        options = _parse(parser, argv)
        _interrupt_once()
        code = options.run(options) or 0
        sys.stdout.flush()
        return int(code)
    except SystemExit as stop:  # argparse and uvicorn end so
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except KeyboardInterrupt:
        return complain("interrupted", code=130)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return _explain(error, debug=bool(options and options.debug))


def complain(message: str, *, code: int) -> int:
    """Print every line of a message on standard error behind the program's name, and return ``code``."""
    for line in message.splitlines():
        print(f"fenestra: {line}", file=sys.stderr)
    return code


def _parse(parser: CommandParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse, and give arguments that argparse found too late to the list that the verb collects them in."""
    options, late = parser.parse_known_args(argv)
    if not hasattr(options, "run"):
        parser.print_help()
        parser.exit(0)
    collect = getattr(options, "collect", "")
    if strange := [word for word in late if not collect or (word.startswith("-") and word != "-")]:
        options.parser.error(f"unrecognised argument {strange[0]!r}")
    if collect:
        setattr(options, collect, [*getattr(options, collect), *late])
    return options


def _explain(error: Exception, *, debug: bool) -> int:
    """Say what went wrong, in the words of the error if it is one of ours."""
    from model.errors import FenestraError, InputError

    if debug:
        traceback.print_exception(error)
    if isinstance(error, FenestraError):
        return complain(str(error), code=2 if isinstance(error, InputError) else 1)
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] not in _OURS:
        return complain(f"{error.name} is not installed; run: pip install 'fenestra[train]'", code=2)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return complain(f"{where}{error.strerror}", code=1)
    reason = " ".join(str(error).split())[:300]
    hint = "" if debug else "; fenestra --debug … shows where"
    return complain(f"unexpected {type(error).__name__}: {reason}{hint}", code=1)


def _interrupt_once() -> None:
    """Let the first Ctrl-C end the work in good order, and the second one the process."""

    def first(_number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, first)


def _speak_utf8() -> None:
    """Write UTF-8 and plain line ends whatever the locale says."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
