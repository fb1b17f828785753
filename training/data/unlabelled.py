"""Text that nobody annotated, for teachers to tag: plain text, or a corpus whose tags are not looked at.

A file whose name ends in ``.txt`` holds a text a line, as ``fenestra tag`` reads it; each is a document, in the tokens
and sentences that the tagger makes of it. Any other file is read as a corpus.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from fenestra.model.errors import DataError
from fenestra.model.tags import OUTSIDE
from fenestra.model.text.language import language
from fenestra.model.text.tokens import tokenize
from fenestra.training.compressed import open_file, stem
from fenestra.training.config import DataConfig
from fenestra.training.data.alignment import split_sentences
from fenestra.training.data.corpus import Corpus, find_corpus, join_corpora, read_corpora, sha256_of, without_tags
from fenestra.training.data.inspection import Sentence
from fenestra.training.data.packed import pack_sentences


def read_unlabelled(names: Sequence[str], data: DataConfig) -> Corpus:
    """Read texts without labels as one corpus, with every tag O and in canonical words.

    Args:
        names: files, or ``NAME:SPLIT`` of fetched corpora.
        data: where relative files start, how corpora are read, and the language of the texts.

    Raises:
        DataError: a file cannot be read, is not UTF-8, or holds no text; a corpus has a problem.
        ConfigError: as :func:`fenestra.training.data.corpus.read_corpora`.
    """
    corpora = [_read(name, data) for name in names]
    return without_tags(join_corpora(" + ".join(names), corpora).canonical())


def read_sentences(name: str, data: DataConfig) -> Iterator[Sentence]:
    """The sentences of a file, those of plain text a line at a time, so that it may be larger than memory.

    Raises:
        DataError, ConfigError: as :func:`read_unlabelled`.
    """
    path = find_corpus(name, Path(data.root))
    if stem(path.name).suffix.lower() == ".txt":
        yield from _sentences(path, data.language)
    else:
        yield from read_corpora([name], data, None).sentences


def _read(name: str, data: DataConfig) -> Corpus:
    path = find_corpus(name, Path(data.root))
    if stem(path.name).suffix.lower() != ".txt":
        return read_corpora([name], data, None)
    sentences = pack_sentences(_sentences(path, data.language))
    if not sentences:
        raise DataError(f"{path}: holds no text")
    return Corpus(str(path), sentences, sha256_of(path))


def _sentences(path: Path, code: str) -> Iterator[Sentence]:
    """The sentences of a file with a text a line."""
    of, number = language(code), 0
    try:
        with open_file(path) as stream:
            for number, line in enumerate(stream, start=1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                for tokens in split_sentences(text, tokenize(text, of), of):
                    words = tuple(token.text for token in tokens)
                    yield Sentence(words, (OUTSIDE,) * len(words), document=number, line=number)
    except UnicodeDecodeError:
        raise DataError(f"{path}:{number}: is not UTF-8") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
