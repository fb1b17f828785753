"""Word vectors of one's own, from text that nobody annotated: word2vec or fastText, by gensim.

The text is read a line at a time and written once, in the tokens and sentences of the tagger, to a file that gensim
reads on all cores; so a corpus may be larger than memory. What has to fit are the vocabulary and its vectors.

Source: Mikolov et al., Distributed Representations of Words and Phrases and their Compositionality, NIPS 2013;
Bojanowski et al., Enriching Word Vectors with Subword Information, TACL 2017.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TextIO, get_args

from gensim.models import FastText, Word2Vec
from gensim.models.callbacks import CallbackAny2Vec

from fenestra.model.errors import ConfigError, DataError
from fenestra.model.storage import storage_error, sync_folder
from fenestra.model.text.canonical import canonical
from fenestra.training.config import DataConfig
from fenestra.training.data.unlabelled import read_sentences

Algorithm = Literal["word2vec", "fasttext"]
ALGORITHMS = get_args(Algorithm)
SUFFIXES = {".txt": False, ".vec": False, ".bin": True}
"""How the name of an output ends, and whether it is binary; all are read by ``vectors.source``."""

_NEGATIVE = 10  # noise words beside each word
_LONGEST = 10_000  # words of a line that gensim reads; further ones are a sentence of their own


@dataclass(frozen=True, slots=True)
class EmbeddingConfig:
    """How vectors are trained."""

    algorithm: Algorithm = "word2vec"
    """fasttext makes the vector of a word from its n-grams, too, which helps where words come seldom."""
    width: int = 100
    """D, numbers of a vector."""
    context: int = 5
    """Words on either side that a word is to predict."""
    min_count: int = 5
    """Words that come less often have no vector."""
    epochs: int = 5
    workers: int = 1
    """Threads. With several, the same seed gives other numbers each time."""
    seed: int = 1
    language: str = "en"
    """Of texts, whose tokens are found so."""

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ConfigError(f"algorithm: expected {' or '.join(ALGORITHMS)}, got {self.algorithm!r}")
        for name in ("width", "context", "min_count", "epochs", "workers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected 1 or more, got {getattr(self, name)}")


class Pass(NamedTuple):
    """One pass over the text."""

    number: int
    """From 1."""
    of: int
    seconds: float
    tokens: int


class Embedded(NamedTuple):
    """What was trained."""

    path: Path
    words: int
    width: int
    sentences: int
    tokens: int

    def __str__(self) -> str:
        return (
            f"{self.path}: {self.words:,} words of {self.width} numbers, from {self.tokens:,} tokens in "
            f"{self.sentences:,} sentences"
        )


def train_vectors(
    names: Sequence[str], output: Path, config: EmbeddingConfig, progress: Callable[[Pass], None] = lambda _: None
) -> Embedded:
    """Train vectors and write them to a file, whole or not at all.

    Args:
        names: files of text (``.txt``, a text a line), annotated corpora, whose tags are not looked at, or
            ``NAME:SPLIT`` of fetched ones.
        output: ends in ``.txt`` or ``.vec`` (word2vec's text format) or ``.bin`` (its binary one).
        config: how.
        progress: called after each pass.

    Raises:
        ConfigError: the name of the output ends otherwise.
        DataError: a file cannot be read or holds no text, or no word comes often enough.
        StorageError: the disk refused.
    """
    if output.suffix not in SUFFIXES:
        raise ConfigError(f"--output {output}: expected a name that ends in {', '.join(SUFFIXES)}")
    try:
        with tempfile.TemporaryDirectory(prefix=".vectors-", dir=output.parent) as folder:
            text, draft = Path(folder, "text"), Path(folder, "vectors")
            with text.open("w", encoding="utf-8") as lines:
                sentences, tokens = _write(names, config, lines)
            model = _train(text, config, lambda number, seconds: progress(Pass(number, config.epochs, seconds, tokens)))
            model.wv.save_word2vec_format(str(draft), binary=SUFFIXES[output.suffix])
            draft.replace(output)
        sync_folder(output.parent)
    except OSError as error:
        raise storage_error(output, 0, error) from error
    return Embedded(output, len(model.wv), config.width, sentences, tokens)


def _write(names: Sequence[str], config: EmbeddingConfig, lines: TextIO) -> tuple[int, int]:
    """Write a sentence a line, words parted by blanks; returns how many of both."""
    sentences = tokens = 0
    for words in _sentences(names, config):
        lines.write(" ".join(words) + "\n")
        sentences, tokens = sentences + 1, tokens + len(words)
    return sentences, tokens


def _sentences(names: Sequence[str], config: EmbeddingConfig) -> Iterator[list[str]]:
    data = DataConfig(root=".", train=tuple(names), dev=tuple(names), language=config.language)
    for name in names:
        for sentence in read_sentences(name, data):
            words = [word for word in map(canonical, sentence.words) if not any(map(str.isspace, word))]
            for begin in range(0, len(words), _LONGEST):
                yield words[begin : begin + _LONGEST]


def _train(text: Path, config: EmbeddingConfig, done: Callable[[int, float], None]) -> Any:  # noqa: ANN401 - of gensim
    options: dict[str, Any] = {
        "vector_size": config.width, "window": config.context, "min_count": config.min_count, "sg": 1,
        "negative": _NEGATIVE, "workers": config.workers, "seed": config.seed,
    }  # fmt: skip
    model = {"word2vec": Word2Vec, "fasttext": FastText}[config.algorithm](**options)
    model.build_vocab(corpus_file=str(text))
    if not len(model.wv):
        raise DataError(f"no word comes {config.min_count} times or more; see --min-count")
    model.train(
        corpus_file=str(text), total_examples=model.corpus_count, total_words=model.corpus_total_words,
        epochs=config.epochs, callbacks=[_Passes(done)],
    )  # fmt: skip
    return model


class _Passes(CallbackAny2Vec):  # type: ignore[misc]
    """Tells of each pass."""

    def __init__(self, done: Callable[[int, float], None]) -> None:
        self._done, self._number, self._begun = done, 0, 0.0

    def on_epoch_begin(self, _: object) -> None:
        """Note the time."""
        self._begun = time.monotonic()

    def on_epoch_end(self, _: object) -> None:
        """Tell of the pass."""
        self._number += 1
        self._done(self._number, time.monotonic() - self._begun)
