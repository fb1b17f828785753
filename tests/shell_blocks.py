"""Shell commands that documents and the help of the command show."""

import re
from typing import NamedTuple

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
_COMMAND = re.compile(
    r"(fenestra|make|python|pip|curl|docker|kubectl|for|ln|printf|taskset|\.venv/bin/\w+|[A-Z_]+=\S*) "
)
_REMARK = re.compile(r" {3,}\S.*$")  # what stands beside a command says what it does

_FORM = re.compile(r"\[(options|--|section\.key)")  # a line that tells the form of a command, and is none


class Block(NamedTuple):
    """Commands that belong together, as a script."""

    line: int
    script: str


def blocks_of(text):
    """The blocks of a page of Markdown: fenced as sh or console, or indented and beginning like a command."""
    found = []
    for match in _FENCE.finditer(text):
        if match[1] in ("sh", "bash", "shell"):
            found.append(Block(text.count("\n", 0, match.start()) + 2, match[2]))
        elif match[1] == "console":
            found.append(Block(text.count("\n", 0, match.start()) + 2, typed(match[2])))
    rest = _FENCE.sub(lambda match: "\n" * match[0].count("\n"), text)
    for match in _INDENTED.finditer(rest):
        lines = [line[4:] for line in match[0].splitlines()]
        if _COMMAND.match(f"{lines[0]} ") and "  (" not in lines[0]:
            script = "\n".join(_REMARK.sub("", line) if line[:1] != " " else line for line in lines)
            found.append(Block(rest.count("\n", 0, match.start()) + 1, script + "\n"))
    return sorted(block for block in found if not _FORM.search(block.script))


def typed(session):
    """What is typed in a session of a terminal: behind a dollar sign, and on lines that go on."""
    lines, goes_on, end = [], False, ""
    for line in session.splitlines():
        if line.startswith("$ ") or goes_on or end:
            lines.append(line if end else line.removeprefix("$ "))
            here = re.search(r"<<'(\w+)'", line)
            end = here[1] if here else "" if line == end else end
            goes_on = line.endswith("\\")
    return "".join(f"{line}\n" for line in lines)


def examples_of(parser):
    """The examples in the help of a verb and of all verbs below it."""
    seen = set()
    for verb in [parser, *_below(parser)]:
        for line in (verb.epilog or "").partition("examples:\n")[2].splitlines():
            command = _REMARK.sub("", line.strip())
            if command and command not in seen:
                seen.add(command)
                yield command


def _below(parser):
    for action in parser._actions:
        for verb in (action.choices or {}).values() if action.nargs == "A..." else ():
            yield verb
            yield from _below(verb)
