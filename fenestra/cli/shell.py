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
import shutil
import signal
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from types import FrameType
from typing import Any, NoReturn, TypeAlias

from fenestra.cli.places import without_queries
from fenestra.cli.waiting import clear
from fenestra.model.suggest import did_you_mean, near
from fenestra.model.version import VERSION

Verb = Callable[[argparse.Namespace], int | None]
"""Does the work of a verb; returns its exit code, or None for 0."""

_OURS = ("fenestra",)
_MAKE = {"serve": "serve", "train": "install"}
"""Extras that a verb of make installs in the source folder, and which (``make train`` would also train)."""


class CommandParser(argparse.ArgumentParser):
    """An argument parser that complains in one line, and says what may have been meant."""

    _given: Sequence[str] = ()

    def parse_known_args(  # type: ignore[override]  # of its overloads, the one that is used
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, and remember what was given: a misspelt option is often a missing one, too."""
        self._given = [*(sys.argv[1:] if args is None else args)]
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """End with code 2."""
        self.exit(2, f"fenestra: {without_queries(message)}{self._misspelt_option()}; see {self.prog} --help\n")

    def _misspelt_option(self) -> str:
        """The first option that there is not, and what it may have meant; empty where nothing is near."""
        known = self._option_string_actions
        given = (word.partition("=")[0] for word in self._given if word.startswith("--"))
        found = ((name, near(name, known)) for name in given if name not in known)
        return next((f"; {name}: did you mean {meant[0]}?" for name, meant in found if meant), "")

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # noqa: ANN401 - as argparse has it
        """Refuse what is no choice; argparse itself suggests one from Python 3.14 on."""
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            raise argparse.ArgumentError(
                action, f"{error.message}{did_you_mean(value, action.choices or ())}"
            ) from None


Verbs: TypeAlias = "argparse._SubParsersAction[CommandParser]"


def new_parser(prog: str, description: str, examples: str) -> tuple[CommandParser, Verbs]:
    """A parser whose verbs are still to be added, and where to add them."""
    parser = CommandParser(
        prog=prog,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"fenestra {VERSION}")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    return parser, parser.add_subparsers(title="verbs", metavar="VERB")


def add_verb(
    verbs: Verbs, name: str, run: Verb, summary: str, *, examples: str, collect: str = "", extra: str = ""
) -> CommandParser:
    """Add a verb.

    Args:
        verbs: where to.
        name: of the verb.
        run: what it does.
        summary: one line.
        examples: of its use, one a line.
        collect: the positional argument that takes several values; argparse stops at the first option, so what
            comes after one is put there by :func:`run`.
        extra: what has to be installed besides the base.
    """
    parser = verbs.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run, parser=parser, collect=collect, extra=extra, summary=summary)
    return parser


def add_actions(verbs: Verbs, name: str, summary: str, *, title: str = "actions", metavar: str = "ACTION") -> Verbs:
    """Add a verb that has actions of its own, and lists them when it is given alone; returns where to add them."""
    parser = verbs.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", allow_abbrev=False
    )
    parser.set_defaults(run=lambda _: parser.print_help(), parser=parser, summary=summary)
    return parser.add_subparsers(title=title, metavar=metavar, parser_class=CommandParser)


def group_verbs(parser: CommandParser, verbs: Verbs, groups: Mapping[str, Sequence[str]]) -> None:
    """List the verbs of a command line in groups; those that no group names come last.

    Args:
        parser: of the command line.
        verbs: all of them, added before.
        groups: heading → the names of its verbs.
    """
    grouped = {name for names in groups.values() for name in names}
    rest = [name for name in verbs.choices if name not in grouped]
    parts = [parser.description or ""]
    for heading, names in [*groups.items(), ("more", rest)]:
        lines = [_summary(name, verbs.choices[name]) for name in names if name in verbs.choices]
        parts += ["\n".join([f"{heading}:", *lines])] if lines else []
    parser.description = "\n\n".join(parts)
    parser.usage = "%(prog)s [-h] [--version] [--debug] VERB …"
    verbs.help = argparse.SUPPRESS  # the one list of all


def _summary(name: str, parser: CommandParser) -> str:
    """A verb and what it does, on as many lines as that takes."""
    width = max(shutil.get_terminal_size().columns - 2, 40)
    text = parser.get_default("summary")
    return textwrap.fill(f"{name:<13} {text}", width, initial_indent=" " * 4, subsequent_indent=" " * 18)


def run(parser: CommandParser, argv: Sequence[str] | None) -> int:
    """Parse, do what the verb says, and turn whatever happens into an exit code and a line on standard error.

    A verb is a sub-command with ``set_defaults(run=…)``; without one, the help is printed.
    """
    _open_closed_streams()
    _speak_utf8()
    options = argparse.Namespace(debug=False)
    try:
        options = _parse(parser, argv)
        with _second_interrupt_ends():
            code = options.run(options) or 0
            sys.stdout.flush()
        return int(code)
    except SystemExit as stop:  # how argparse ends
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except KeyboardInterrupt:
        return complain("interrupted", code=130)
    except BrokenPipeError:  # whoever read our output has seen enough
        return 1
    except Exception as error:
        return _explain(error, debug=options.debug, extra=getattr(options, "extra", ""))
    finally:
        _give_up_unwritable_output()


def complain(message: str, *, code: int) -> int:
    """Print every line of a message on standard error behind the program's name, and return ``code``."""
    clear()
    for line in without_queries(message).splitlines():
        sys.stderr.write(f"fenestra: {line}\n")
    return code


def need(*names: str) -> None:
    """Make sure that some packages are there, without the seconds that importing them takes.

    Raises:
        ModuleNotFoundError: one is not.
    """
    for name in names:
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def say(text: str) -> None:
    """Print a result on standard output."""
    clear()
    sys.stdout.write(f"{text}\n")


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in rows
    )


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


def _explain(error: Exception, *, debug: bool, extra: str) -> int:
    """Say what went wrong, in the words of the error if it is one of ours."""
    from fenestra.model.errors import FenestraError, InputError

    if debug:
        sys.stderr.write(without_queries("".join(traceback.format_exception(error))))
    if isinstance(error, FenestraError):
        return complain(str(error), code=2 if isinstance(error, InputError) else 1)
    missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if missing and missing not in _OURS:
        way = f"pip install 'fenestra-ner[{extra}]'" if extra else "pip install fenestra-ner"
        here = f"pip install '.[{extra}]'" if extra and extra not in _MAKE else f"make {_MAKE.get(extra, 'install')}"
        return complain(f"{missing} is not installed; run: {way}, or in the source folder: {here}", code=2)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return complain(f"{where}{error.strerror}", code=1)
    reason = " ".join(str(error).split())[:300]
    hint = "" if debug else "; fenestra --debug … shows where"
    return complain(f"unexpected {type(error).__name__}: {reason}{hint}", code=1)


@contextmanager
def _second_interrupt_ends() -> Iterator[None]:
    """Let the first Ctrl-C end the work in good order, and the second one the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def first(_number: int, _frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _open_closed_streams() -> None:
    """Where standard output or error was closed, write to nobody, and not into the next file that is opened."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - open to the end


def _speak_utf8() -> None:
    """Write UTF-8 and plain line ends whatever the locale says."""
    for stream, errors in ((sys.stdout, "strict"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=errors, newline="\n")


def _give_up_unwritable_output() -> None:
    """Where standard output is full or closed, keep Python from trying again, and complaining, at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
