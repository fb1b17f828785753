"""What pages of Markdown and the help of the command show: blocks, commands, and Python to type in."""

import doctest
import re
from typing import NamedTuple

_FENCED = re.compile(
    r"^(?:<!-- (?P<mark>needs|not run): (?P<why>.+?) -->\n+)?^```(?P<kind>\S*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
_COMMAND = re.compile(
    r"(fenestra|make|python|pip|curl|docker|kubectl|for|ln|printf|taskset|\.venv/bin/\w+|[A-Z_]+=\S*) "
)
_REMARK = re.compile(r" {3,}\S.*$")  # what stands beside a command says what it does
_FORM = re.compile(r"\[(options|--|section\.key)")  # a line that tells the form of a command, and is none


class Block(NamedTuple):
    """What stands between two fences, with the mark above them."""

    kind: str
    text: str
    mark: str = ""
    why: str = ""
    line: int = 0


class Script(NamedTuple):
    """Commands that belong together."""

    line: int
    script: str


def blocks(page):
    """The fenced blocks of a page."""
    return [
        Block(
            found["kind"],
            found["text"],
            found["mark"] or "",
            found["why"] or "",
            page.count("\n", 0, found.start("text")),
        )
        for found in _FENCED.finditer(page)
    ]


def commands(session):
    """Each command of a session in a terminal, behind a dollar sign, with what is shown below it."""
    found = []
    open_end = ""
    for line in session.splitlines():
        if open_end or (found and not found[-1][1] and found[-1][0].endswith("\\")):
            found[-1][0] += f"\n{line}"
            open_end = "" if line == open_end else open_end
        elif line.startswith("$ "):
            found.append([line.removeprefix("$ "), ""])
            here = re.search(r"<<'(\w+)'", line)
            open_end = here[1] if here else ""
        elif found:
            found[-1][1] += f"{line}\n"
    return [tuple(entry) for entry in found]


def scripts(page):
    """The commands of a page: fenced as sh or console, or indented and beginning like a command."""
    found = []
    for block in blocks(page):
        if block.kind in ("sh", "bash", "shell"):
            found.append(Script(block.line + 1, block.text))
        elif block.kind == "console":
            found.append(Script(block.line + 1, "".join(f"{command}\n" for command, _ in commands(block.text))))
    rest = _FENCED.sub(lambda match: "\n" * match[0].count("\n"), page)
    for match in _INDENTED.finditer(rest):
        lines = [line[4:] for line in match[0].splitlines()]
        if _COMMAND.match(f"{lines[0]} ") and "  (" not in lines[0]:
            script = "\n".join(_REMARK.sub("", line) if line[:1] != " " else line for line in lines)
            found.append(Script(rest.count("\n", 0, match.start()) + 1, script + "\n"))
    return sorted(one for one in found if not _FORM.search(one.script))


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


def type_in(page, name):
    """Type in the Python of a page, and fail where something else comes out than it shows."""
    typed = "".join(re.findall(r"^```python\n(>>> .*?)^```", page, re.MULTILINE | re.DOTALL))
    session = doctest.DocTestParser().get_doctest(typed, {}, name, name, 0)
    assert session.examples
    assert doctest.DocTestRunner(verbose=False).run(session).failed == 0
