"""The verb ``completion``, and what a Tab completes: verbs, options, files, names of models, fields of a job.

argcomplete does it for three shells from the parsers as they are, and asks the program for values. (shtab, its
alternative, writes scripts that know no fish and cannot ask: a field of a job or a label of a model is not in them.)
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from fenestra.cli.arguments import label_names, model_folder, output_folder
from fenestra.cli.shell import CommandParser, Verbs, add_verb, need, say

ASKED = "_ARGCOMPLETE"
"""The variable of the environment by which a shell asks for completions."""
SHELLS = ("bash", "zsh", "fish")

Completer = Callable[..., list[str]]


def add_completion(verbs: Verbs) -> None:
    """Add the verb to a command line."""
    parser = add_verb(
        verbs,
        "completion",
        _completion,
        "print what makes a shell complete verbs, options, models and files at a Tab",
        extra="completion",
        examples=(
            '  eval "$(fenestra completion bash)"                              in ~/.bashrc\n'
            '  eval "$(fenestra completion zsh)"                               in ~/.zshrc, after compinit\n'
            "  fenestra completion fish > fenestra.fish                          for ~/.config/fish/completions/"
        ),
    )
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))


def complete(parser: CommandParser) -> None:
    """Answer a shell that asks for completions, and end the process."""
    try:
        import argcomplete
    except ModuleNotFoundError:  # was uninstalled since; a Tab has nobody to tell
        sys.exit(1)
    for action in _actions(parser):
        completer = _completer(action)
        if completer is not None:
            action.completer = completer  # type: ignore[attr-defined]  # where argcomplete looks
    argcomplete.autocomplete(parser, always_complete_options=False)


def _completion(options: argparse.Namespace) -> None:
    need("argcomplete")
    import argcomplete

    say(argcomplete.shellcode(["fenestra"], shell=options.shell).strip())


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of all verbs below it."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)


def _completer(action: argparse.Action) -> Completer | None:
    """What completes the values of an argument; None leaves it to its choices, or to the files that there are."""
    by_type: dict[Any, Completer] = {
        model_folder: _models, label_names: _labels, output_folder: partial(_files, folders_only=True)
    }  # fmt: skip
    by_name: dict[str, Completer] = {
        "overrides": _fields, "name": _sets, "config": partial(_files, suffix=".toml"),
        "space": partial(_files, suffix=".toml"),
    }  # fmt: skip
    positional = not action.option_strings
    return by_type.get(action.type) or (by_name.get(action.dest) if positional else None)


def _models(prefix: str, **_: object) -> list[str]:
    """Bundled models and folders."""
    from fenestra.model.bundled import bundled_models

    return [*bundled_models(), *_files(prefix, folders_only=True)]


def _labels(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Labels of the model that the line names, each behind those that stand there."""
    from fenestra.model.bundled import bundled_model
    from fenestra.model.checkpoint import read_config

    before, comma, _last = prefix.rpartition(",")
    labels = read_config(getattr(parsed_args, "model", None) or bundled_model()).labels
    return [f"{before}{comma}{label}" for label in labels if label not in before.split(",")]


def _sets(prefix: str, **_: object) -> list[str]:
    """Sets that ``data fetch`` knows."""
    from fenestra.training import sources

    return [name for name in sources.available() if name.startswith(prefix)]


def _fields(prefix: str, **_: object) -> list[str]:
    """Fields of a job, dotted, with the sign behind which the value stands."""
    from fenestra.training.config import field_names

    return [f"{name}=" for name in field_names() if name.startswith(prefix)]


def _files(prefix: str, *, folders_only: bool = False, suffix: str = "", **_: object) -> list[str]:
    """Files that begin so; folders end in a slash."""
    folder, name = os.path.split(prefix)
    try:
        found = sorted(entry for entry in Path(folder or ".").iterdir() if entry.name.startswith(name))
    except OSError:
        return []
    shown = [entry for entry in found if name.startswith(".") or not entry.name.startswith(".")]
    folders = [f"{os.path.join(folder, entry.name)}/" for entry in shown if entry.is_dir()]  # noqa: PTH118
    files = [os.path.join(folder, entry.name) for entry in shown if entry.is_file() and entry.suffix == suffix]  # noqa: PTH118
    return folders if folders_only else [*folders, *files]
