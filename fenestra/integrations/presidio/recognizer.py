"""A recogniser of Presidio, and what its configuration files may say of it."""

from collections.abc import Sequence
from pathlib import Path

from presidio_analyzer import AnalysisExplanation, LocalRecognizer, RecognizerResult
from presidio_analyzer.input_validation.yaml_recognizer_models import CONFIG_MODEL_MAP, PredefinedRecognizerConfig
from presidio_analyzer.nlp_engine import NlpArtifacts
from pydantic import ConfigDict

from fenestra.integrations.presidio.nlp_engine import OPTIONS, TaggedArtifacts
from fenestra.integrations.taggers import model_of, shared_tagger
from fenestra.model.errors import InputError
from fenestra.model.label_names import PRESIDIO, Names, Renames, check_labels, name_labels
from fenestra.model.tagger import Tagger


class FenestraRecognizer(LocalRecognizer):
    """Reports what :meth:`Tagger.tag` finds in a text, with the same offsets and scores, under Presidio's names.

    Texts of any length are tagged whole. Behind a :class:`FenestraNlpEngine` with the same model the text was tagged
    already; behind any other engine it is tagged here.
    """

    def __init__(
        self,
        supported_language: str = "en",
        supported_entities: Sequence[str] | None = None,
        name: str = "FenestraRecognizer",
        context: list[str] | None = None,
        model: str | Path | None = None,
        label_map: Renames | None = None,
    ) -> None:
        """Open a model.

        Args:
            supported_language: its code; texts of other languages do not come here.
            supported_entities: Presidio's names of what to report; all that the model finds unless given.
            name: of the recogniser in results.
            context: words near an entity that raise its score, by Presidio's rules.
            model: a bundled model or a checkpoint folder; the bundled model of the language unless given.
            label_map: names for labels of the model, as ``{"GPE": "LOCATION", "ORG": None}``; None leaves them out.
                They come before the usual ones: PER is PERSON, LOC is LOCATION, ORG is ORGANIZATION, MISC is left out.
                Any other label keeps its own name.

        Raises:
            InputError: there is no such model, or it finds nothing of what was asked for.
            CheckpointError: it is damaged.
        """
        self.model = model or model_of(supported_language)
        self.supported_entities = list(supported_entities or ())
        self._label_map: Renames = dict(label_map or {})
        self._tagger: Tagger
        self._names: Names = {}
        super().__init__(
            supported_entities=self.supported_entities, name=name, supported_language=supported_language,
            version="", context=context,
        )  # fmt: skip

    def load(self) -> None:
        """Open the model, which is shared with all that ask for it in this process; raises as the constructor."""
        self._tagger = shared_tagger(self.model, **OPTIONS)
        self.version, known = self._tagger.version, self._tagger.labels
        check_labels(known, label_map=self._label_map)
        names = name_labels(known, PRESIDIO, self._label_map)
        found, wanted = list(dict.fromkeys(names.values())), self.supported_entities
        if strange := [entity for entity in wanted if entity not in found]:
            raise InputError(f"supported_entities: {strange[0]!r} is none of what is found: {', '.join(found)}")
        if not names:
            raise InputError(f"label_map leaves none of the model's labels, {', '.join(known)}")
        self._names = {label: name for label, name in names.items() if not wanted or name in wanted}
        self.supported_entities = list(dict.fromkeys(self._names.values()))

    def analyze(
        self, text: str, entities: Sequence[str] | None, nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Find entities in a text.

        Args:
            text: of any length.
            entities: Presidio's names of what to report; all if there are none.
            nlp_artifacts: what an NLP engine made of the text, if there is one.
        """
        if isinstance(nlp_artifacts, TaggedArtifacts) and nlp_artifacts.tagger is self._tagger:
            everything = nlp_artifacts.found
        else:
            everything = self._tagger(text)
        return [
            self._result(start, end, label, score)
            for start, end, label, _, score in everything
            if label in self._names and (not entities or self._names[label] in entities)
        ]

    def _result(self, start: int, end: int, label: str, score: float) -> RecognizerResult:
        why = AnalysisExplanation(
            recognizer=self.name, original_score=score,
            textual_explanation=f"Identified as {label} by Fenestra, model {self.version}",
        )  # fmt: skip
        return RecognizerResult(self._names[label], start, end, score, why)


class FenestraRecognizerConfig(PredefinedRecognizerConfig):
    """The entry of a recogniser in a configuration file; without it, Presidio drops settings that it does not know."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = None
    label_map: dict[str, str | None] | None = None


CONFIG_MODEL_MAP[FenestraRecognizer.__name__] = FenestraRecognizerConfig
