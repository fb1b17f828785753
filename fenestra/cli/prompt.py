"""The verb ``try``: type a text and see its entities; ``?word`` says why a word has its tag."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from fenestra.cli.arguments import add_model, model_folder
from fenestra.cli.shell import Verbs, add_verb, complain, say

if TYPE_CHECKING:
    from fenestra.model.results import Result
    from fenestra.model.tagger import Tagger

HELP = """\
  any text         shows its entities, each with its label and score
  ?word            what each word around it adds to the score of its tag, in the text before
  :model NAME      another model: a bundled one, or a checkpoint folder
  :help            this
  Ctrl-D           ends"""


def add_try(verbs: Verbs) -> None:
    """Add the verb to a command line."""
    parser = add_verb(
        verbs,
        "try",
        _try,
        "type texts and see their entities; ?word explains a tag",
        examples=(
            "  fenestra try\n"
            "  fenestra try --model russian\n"
            '  printf "Ada Lovelace met Siemens in Munich.\\n?Siemens\\n" | fenestra try'
        ),
    )
    add_model(parser)


def _try(options: argparse.Namespace) -> int:
    from fenestra.cli.waiting import waiting
    from fenestra.model.bundled import bundled_model
    from fenestra.model.tagger import Tagger

    with waiting("loading the model"):
        tagger = Tagger.load(options.model or bundled_model(), threads=1)
    session = Session(tagger, coloured=_coloured(), load=lambda name: Tagger.load(model_folder(name), threads=1))
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return 2 if [line for line in _piped() if not session.reply(line)] else 0
    complain(f"{session.about()}\n{HELP}", code=0)
    for line in _typed():
        session.reply(line)
    return 0


def _coloured() -> bool:
    """Whether standard output takes colours: a terminal, unless https://no-color.org says no."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _piped() -> Iterator[str]:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    return (line.rstrip("\r\n") for line in sys.stdin)


def _typed() -> Iterator[str]:
    with suppress(ImportError):  # Windows has none
        import readline  # noqa: F401 - gives `input` a history, and keys to edit a line with
    while True:
        try:
            yield input("› ")
        except EOFError:
            say("")
            return


class Session:
    """What is answered to each line; remembers the text before."""

    def __init__(self, tagger: "Tagger", *, coloured: bool, load: "Callable[[str], Tagger]") -> None:
        """Begin with a model; ``load`` opens another one by its name or folder."""
        self._tagger, self._coloured, self._load = tagger, coloured, load
        self._result: Result | None = None

    def about(self) -> str:
        """Which model answers."""
        name = self._tagger.folder.name if self._tagger.folder else "model"
        return f"{name} {self._tagger.version}: {', '.join(self._tagger.labels)}"

    def reply(self, line: str) -> bool:
        """Answer a line; what cannot be is said on standard error, and False is returned."""
        from fenestra.model.errors import FenestraError

        try:
            self._answer(line.strip())
        except (FenestraError, argparse.ArgumentTypeError) as error:
            return bool(complain(str(error), code=0))
        return True

    def _answer(self, line: str) -> None:
        command, _, argument = line.partition(" ")
        if line.startswith("?"):
            self._explain(line[1:].strip())
        elif command == ":model":
            self._tagger, self._result = self._load(argument.strip()), None
            say(self.about())
        elif line.startswith(":"):
            complain(HELP, code=0)
        elif line:
            self._tag(line)

    def _tag(self, text: str) -> None:
        from fenestra.cli.drawing import drawn
        from fenestra.cli.misread import misread_note
        from fenestra.model.text.scripts import other_script

        self._result = self._tagger(text)
        say(drawn(text, self._result, self._tagger.labels, coloured=self._coloured))
        if script := other_script(text, self._tagger.language.code):
            complain(misread_note({script: 1}, self._tagger.language.code).replace("--model", ":model"), code=0)

    def _explain(self, word: str) -> None:
        from fenestra.cli.drawing import explained
        from fenestra.model.errors import InputError
        from fenestra.model.suggest import did_you_mean

        if self._result is None:
            raise InputError("there is no text yet: type one, then ?word")
        words = [token.text for token in self._result.tokens]
        places = [place for place, other in enumerate(words) if other.casefold() == word.casefold()]
        if not places:
            raise InputError(f"{word!r} is no word of the text before{did_you_mean(word, words)}")
        named = [place for place in places if self._result.tokens[place].tag != "O"]
        say(explained(self._tagger.explain(self._result.source, (named or places)[0])))
