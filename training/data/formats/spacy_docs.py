"""spaCy's `.spacy` files, where spaCy is installed: a DocBin of documents, their tokens, sentences and `doc.ents`."""

from collections.abc import Iterator, Sequence
from typing import Any

from fenestra.model.errors import DataError
from fenestra.model.tags import OUTSIDE
from fenestra.model.text.language import Language, language
from fenestra.model.text.tokens import Token
from fenestra.training.config import ReadingConfig
from fenestra.training.data.alignment import Output, TaggedSentence, split_sentences
from fenestra.training.data.formats.offsets import add_span
from fenestra.training.data.formats.records import read_bytes
from fenestra.training.data.inspection import Inspection, Text


def read_spacy(found: Inspection, _: ReadingConfig) -> None:
    """Read the documents of a DocBin.

    Raises:
        DataError: spaCy is not installed, or the file cannot be opened.
    """
    spacy = _spacy()
    data = read_bytes(found.path, found)
    try:
        documents = list(spacy.tokens.DocBin().from_bytes(data).get_docs(spacy.vocab.Vocab()))
    except Exception as error:  # whatever zlib, msgpack and spaCy raise for bytes of another kind
        found.problem(0, f"not a .spacy file ({' '.join(str(error).split())[:120]})")
        return
    others = 0
    for number, document in enumerate(documents, 1):
        text = Text(document.text, [], number)
        for span in document.ents:
            add_span(found, text, [span.start_char, span.end_char, span.label_])
        others += sum(map(len, document.spans.values()))
        text.sentences = list(_sentences(document, language(found.language)))
        found.texts.append(text)
    if others:
        found.notes.append(f"spans of doc.spans left out: {others:,}; only doc.ents is read")


def write_spacy(output: Output) -> bytes:
    """A DocBin; blanks that spaCy has no word for become tokens of their own, so that the text stays as it is.

    Raises:
        DataError: spaCy is not installed.
    """
    spacy = _spacy()
    vocabulary = spacy.vocab.Vocab()
    documents = spacy.tokens.DocBin()
    for text, sentences in zip(output.texts, output.documents, strict=True):
        words = [word for sentence in sentences for word in sentence.words]
        words, spaces = spacy.util.get_words_and_spaces(words, text.text)
        tags, starts = zip(*_tokens(words, sentences), strict=True) if words else ((), ())
        documents.add(
            spacy.tokens.Doc(vocabulary, words=words, spaces=spaces, ents=list(tags), sent_starts=list(starts))
        )
    data: bytes = documents.to_bytes()
    return data


def _tokens(words: Sequence[str], sentences: Sequence[TaggedSentence]) -> Iterator[tuple[str, bool]]:
    """Tag and start of a sentence for each word of spaCy, which has blanks among its words."""
    given = [(tag, not place) for sentence in sentences for place, tag in enumerate(sentence.tags)]
    position = 0
    for word in words:
        if word.isspace():
            follows = given[position][0] if position < len(given) else OUTSIDE
            yield (follows if follows.startswith("I-") else OUTSIDE), False
        else:
            yield given[position]
            position += 1


def _sentences(document: Any, of: Language) -> Iterator[list[Token]]:  # noqa: ANN401 - spaCy may not be installed
    """The tokens of a document by sentences, without those that are blank."""
    marked = document.has_annotation("SENT_START")
    for part in document.sents if marked else [document]:
        tokens = [Token(token.text, token.idx, token.idx + len(token.text)) for token in part if token.text.strip()]
        yield from filter(None, [tokens] if marked else split_sentences(document.text, tokens, of))


def _spacy() -> Any:  # noqa: ANN401 - it may not be installed
    """The library.

    Raises:
        DataError: it is not installed.
    """
    try:
        import spacy.tokens
        import spacy.util
        import spacy.vocab
    except ImportError as error:
        raise DataError(".spacy files need spaCy, which is not installed; run: pip install spacy") from error
    return spacy
