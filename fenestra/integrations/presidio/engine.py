"""An analyzer of Presidio that stands on Fenestra alone."""

from collections.abc import Iterable, Mapping

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry

from fenestra.integrations.presidio.nlp_engine import FenestraNlpEngine
from fenestra.integrations.presidio.recognizer import FenestraRecognizer
from fenestra.integrations.taggers import model_of
from fenestra.model.errors import InputError
from fenestra.model.label_names import Renames


def analyzer_engine(
    languages: Iterable[str] = ("en",),
    *,
    models: Mapping[str, str] | None = None,
    label_map: Renames | None = None,
) -> AnalyzerEngine:
    """An analyzer with the predefined recognisers of Presidio, but for spaCy's, and Fenestra's for each language.

    Args:
        languages: their codes.
        models: a bundled model or a checkpoint folder for a language, by its code; the bundled one unless given.
        label_map: as of :class:`FenestraRecognizer`.

    Raises:
        InputError: a model is not there, or finds nothing of what ``label_map`` names; ``languages`` is one string, or
            lacks a language of ``models``.
        CheckpointError: a model is damaged.
    """
    if isinstance(languages, str):
        raise InputError(f"languages: expected a list of codes, got one string; say [{languages!r}]")
    languages = list(languages)
    if strange := sorted((models or {}).keys() - set(languages)):
        raise InputError(f"models: {strange[0]!r} is not among the languages, {', '.join(languages)}")
    chosen = {code: (models or {}).get(code) or model_of(code) for code in languages}
    registry = RecognizerRegistry(supported_languages=list(chosen))
    registry.load_predefined_recognizers(languages=list(chosen))
    registry.remove_recognizer("SpacyRecognizer")
    for code, model in chosen.items():
        registry.add_recognizer(FenestraRecognizer(supported_language=code, model=model, label_map=label_map))
    nlp_engine = FenestraNlpEngine([{"lang_code": code, "model_name": model} for code, model in chosen.items()])
    return AnalyzerEngine(registry=registry, nlp_engine=nlp_engine, supported_languages=list(chosen))
