"""What Fenestra raises on purpose, so that callers can tell a wrong input from a broken run.

FenestraError
├── InputError              what was given is wrong; nothing was changed (exit code 2)
│   ├── CheckpointError     a checkpoint folder is missing, damaged or of another format
│   ├── ConfigError         a configuration names an unknown field or a value out of range
│   └── DataError           a corpus or vector file is malformed; says ``path:line``
└── RunError                the work itself failed (exit code 1)
    ├── StorageError        a file could not be written
    └── TrainingDiverged    a loss, gradient or weight left the numbers there are
"""

_LONGEST_MESSAGE = 2000  # characters


class FenestraError(Exception):
    """The root of everything raised on purpose."""


class InputError(FenestraError):
    """What was given is wrong; nothing was changed."""


class CheckpointError(InputError):
    """A checkpoint folder is missing, damaged or of another format.

    Its message is one line of printable characters: it may quote what a stranger wrote there, and stands in logs.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class ConfigError(InputError):
    """A configuration names an unknown field or a value out of range."""


class DataError(InputError):
    """A corpus or vector file is malformed."""


class RunError(FenestraError):
    """The work itself failed."""


class StorageError(RunError):
    """A file could not be written."""


class TrainingDiverged(RunError):
    """A loss, gradient or weight stopped being a number, or a weight is too large for those it is stored in."""


def one_line(text: str) -> str:
    r"""Escape what could break a line, steer a terminal or be no Unicode, and shorten what is left.

    >>> print(one_line("a\nb\x1b[31m"))
    a\nb\x1b[31m
    """
    shown = text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
