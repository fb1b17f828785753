"""An NLP engine of Presidio that needs no model of spaCy: its blank tokenizer, and batches for the tagger."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import spacy
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
from spacy.language import Language
from spacy.util import minibatch

from fenestra.integrations.taggers import model_of, shared_tagger
from fenestra.model.errors import InputError
from fenestra.model.results import Result
from fenestra.model.tagger import Tagger

OPTIONS = {"device": "cpu", "threads": 1}
"""Of :meth:`Tagger.load`; the engine and the recognisers of a process share what is loaded."""


class TaggedArtifacts(NlpArtifacts):
    """The tokens of a text, and what the tagger found in it; the latter is no part of what Presidio logs."""

    __slots__ = ("found", "tagger")

    def __init__(self, tagger: Tagger, found: Result, **tokens: Any) -> None:  # noqa: ANN401 - of Presidio
        """Keep what was found, and by which tagger."""
        super().__init__(entities=[], **tokens)
        self.tagger, self.found = tagger, found


class FenestraNlpEngine(NlpEngine):
    """Splits texts into words for the context of Presidio's recognisers, and tags them for ours, many at a time.

    A blank tokenizer knows no lemmas: a context word counts as it is written, whatever its case. It reports no
    entities itself; :class:`FenestraRecognizer` does, with the offsets of the tagger.
    """

    engine_name = "fenestra"
    is_available = True

    def __init__(self, models: Sequence[dict[str, str]] | None = None, ner_model_configuration: object = None) -> None:
        """Name the models; nothing is opened before :meth:`load`.

        Args:
            models: ``[{"lang_code": "en", "model_name": "english"}, …]``: a bundled model or a checkpoint folder for
                each language; English unless given.
            ner_model_configuration: what Presidio's provider gives to any engine; of no use here, where the recognisers
                name entities.
        """
        self._models = list(models or [{"lang_code": "en", "model_name": model_of("en")}])
        self.nlp: dict[str, Language] = {}
        """The tokenizers, by language."""
        self._taggers: dict[str, Tagger] = {}

    def load(self) -> None:
        """Open the models.

        Raises:
            InputError: there is no such model, or an entry lacks its language or its model.
            CheckpointError: it is damaged.
        """
        for entry in self._models:
            if missing := {"lang_code", "model_name"} - entry.keys():
                raise InputError(f"models: an entry lacks {min(missing)}")
            language = entry["lang_code"]
            self._taggers[language] = shared_tagger(entry["model_name"], **OPTIONS)
            self.nlp[language] = spacy.blank(language)

    def is_loaded(self) -> bool:
        """Whether :meth:`load` was called."""
        return bool(self.nlp)

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """The tokens of a text, and what was found in it.

        Raises:
            InputError: no model is loaded for the language.
        """
        return next(self.process_batch([text], language))[1]

    def process_batch(
        self,
        texts: Iterable[Any],
        language: str,
        batch_size: int = 1,
        n_process: int = 1,
        as_tuples: bool = False,
        **_: Any,  # noqa: ANN401 - of Presidio
    ) -> Iterator[tuple[Any, ...]]:
        """As :meth:`process_text` for a stream, ``batch_size`` texts at a time, each with its text.

        Pairs of a text and its context, with ``as_tuples``, go out as text, artifacts and context. All is done in this
        process, whatever ``n_process`` says: to send the tokens back would take longer than to tag the text.

        Raises:
            InputError: no model is loaded for the language.
        """
        tagger, nlp = self._of(self._taggers, language), self._of(self.nlp, language)
        for batch in minibatch(texts, batch_size):
            pairs = batch if as_tuples else [(text,) for text in batch]
            plain = [str(text) for text, *_ in pairs]
            for text, found, (_, *context) in zip(plain, tagger.tag(plain), pairs, strict=True):
                yield text, self._artifacts(text, found, tagger, nlp, language), *context

    def is_stopword(self, word: str, language: str) -> bool:
        """Whether spaCy's list for the language has a word; raises as :meth:`process_text`."""
        return bool(self._of(self.nlp, language).vocab[word].is_stop)

    def is_punct(self, word: str, language: str) -> bool:
        """Whether a word is punctuation; raises as :meth:`process_text`."""
        return bool(self._of(self.nlp, language).vocab[word].is_punct)

    def get_supported_entities(self) -> list[str]:
        """None: the recognisers report them."""
        return []

    def get_supported_languages(self) -> list[str]:
        """The languages of the models."""
        return [entry["lang_code"] for entry in self._models]

    def _artifacts(self, text: str, found: Result, tagger: Tagger, nlp: Language, language: str) -> TaggedArtifacts:
        doc = nlp.make_doc(text)
        return TaggedArtifacts(
            tagger, found, tokens=doc, tokens_indices=[token.idx for token in doc],
            lemmas=[token.text for token in doc], nlp_engine=self, language=language,
        )  # fmt: skip

    def _of(self, loaded: dict[str, Any], language: str) -> Any:  # noqa: ANN401
        if language not in loaded:
            raise InputError(f"no model is loaded for {language!r}, but for {', '.join(loaded) or 'no language'}")
        return loaded[language]
