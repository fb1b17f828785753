"""The recogniser, the NLP engine and the analyzer, in the real Presidio."""

import logging
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip(
    "presidio_analyzer", reason="Presidio is not installed: make test-integrations INTEGRATIONS=presidio"
)
pytest.importorskip("presidio_anonymizer", reason="presidio-anonymizer is not installed")
os.environ.setdefault("TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS", "")  # before it is imported: nothing is fetched

import yaml
from presidio_analyzer import AnalyzerEngine, AnalyzerEngineProvider, BatchAnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngineProvider, NoOpNlpEngine
from presidio_analyzer.recognizer_registry import RecognizerRegistryProvider
from presidio_anonymizer import AnonymizerEngine, BatchAnonymizerEngine

import fenestra
from fenestra.integrations.presidio import FenestraNlpEngine, FenestraRecognizer, analyzer_engine
from fenestra.integrations.presidio.nlp_engine import TaggedArtifacts
from fenestra.model.errors import InputError

ROOT = Path(__file__).parents[2]
TEXT = "Ada Lovelace moved from London to join Siemens. Write to ada@siemens.com or call 212-555-5555."
RUSSIAN = "Анна Иванова приехала из Москвы."
NAMES = {"PER": "PERSON", "LOC": "LOCATION", "ORG": "ORGANIZATION"}


@pytest.fixture(scope="module")
def analyzer():
    return analyzer_engine(["en", "ru"])


@pytest.fixture(scope="module")
def recognizer():
    return FenestraRecognizer()


def ours(results):
    """What has a label of ours, in the order of the text."""
    kept = [found for found in results if found.entity_type in NAMES.values()]
    return sorted((found.start, found.end, found.entity_type, found.score) for found in kept)


def expected(result):
    return sorted((e.start, e.end, NAMES[e.label], e.score) for e in result)


# ── the recogniser ──


def test_entities_are_those_of_the_tagger_under_other_names(recognizer, tagger, texts):
    for text, found in zip(texts, tagger.tag(texts), strict=True):
        assert [(r.start, r.end, r.entity_type, r.score) for r in recognizer.analyze(text, None, None)] == [
            (e.start, e.end, NAMES[e.label], e.score) for e in found
        ]


def test_only_the_entities_that_are_asked_for_are_reported(recognizer):
    assert [found.entity_type for found in recognizer.analyze(TEXT, ["LOCATION"], None)] == ["LOCATION"]
    assert recognizer.analyze(TEXT, ["CREDIT_CARD"], None) == []


def test_a_result_says_why_without_the_text(recognizer, tagger):
    found = recognizer.analyze(TEXT, ["PERSON"], None)[0]
    why = found.analysis_explanation
    assert (why.recognizer, why.original_score) == ("FenestraRecognizer", found.score)
    assert why.textual_explanation == f"Identified as PER by Fenestra, model {tagger.version}"


@pytest.mark.parametrize(
    ("settings", "reported"),
    [
        ({}, ["LOCATION", "ORGANIZATION", "PERSON"]),
        ({"label_map": {"PER": "NAME", "LOC": None}}, ["NAME", "ORGANIZATION"]),
        ({"label_map": {"PER": "WHO_OR_WHAT", "ORG": "WHO_OR_WHAT"}}, ["LOCATION", "WHO_OR_WHAT"]),
        ({"supported_entities": ["PERSON"]}, ["PERSON"]),
    ],
)
def test_entities_are_named_as_asked(settings, reported):
    recognizer = FenestraRecognizer(**settings)
    assert sorted(recognizer.get_supported_entities()) == reported
    assert sorted({found.entity_type for found in recognizer.analyze(TEXT, None, None)}) == reported


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_map": {"PERS": "PERSON"}}, r"^label_map: the model has no label 'PERS', but LOC, ORG, PER$"),
        (
            {"label_map": dict.fromkeys(("PER", "LOC", "ORG"))},
            r"^label_map leaves none of the model's labels, LOC, ORG",
        ),
        ({"supported_entities": ["DATE"]}, r"^supported_entities: 'DATE' is none of what is found: LOCATION, ORG"),
        ({"supported_language": "de"}, r"^no bundled model reads 'de', but en, ru; name a model$"),
        ({"model": "englisch"}, r"^'englisch' is not a folder here, and no model 'englisch' is bundled"),
    ],
)
def test_settings_that_would_find_nothing_are_refused_in_one_line(settings, message):
    with pytest.raises(InputError, match=message) as error:
        FenestraRecognizer(**settings)
    assert "\n" not in str(error.value)


def test_a_recogniser_is_pickled(recognizer):
    copy = pickle.loads(pickle.dumps(recognizer))
    assert ours(copy.analyze(TEXT, None, None)) == ours(recognizer.analyze(TEXT, None, None))


# ── the NLP engine ──


def test_the_engine_loads_when_it_is_told_to():
    engine = FenestraNlpEngine([{"lang_code": "en", "model_name": "english"}])
    assert not engine.is_loaded()
    with pytest.raises(InputError, match=r"^no model is loaded for 'en', but for no language$"):
        engine.process_text(TEXT, "en")
    engine.load()
    assert engine.is_loaded()
    assert engine.get_supported_languages() == ["en"]
    assert engine.get_supported_entities() == []
    with pytest.raises(InputError, match=r"^no model is loaded for 'ru', but for en$"):
        engine.is_stopword("и", "ru")


def test_the_engine_splits_texts_into_words(analyzer):
    artifacts = analyzer.nlp_engine.process_text("Call the office!", "en")
    assert [token.text for token in artifacts.tokens] == artifacts.lemmas == ["Call", "the", "office", "!"]
    assert artifacts.tokens_indices == [0, 5, 9, 15]
    assert artifacts.keywords == ["office"]
    assert analyzer.nlp_engine.is_stopword("the", "en")
    assert analyzer.nlp_engine.is_punct("!", "ru")
    assert "London" not in artifacts.to_json()


def test_what_presidio_logs_of_artifacts_has_no_more_than_its_own(analyzer):
    import json

    logged = json.loads(analyzer.nlp_engine.process_text(TEXT, "en").to_json())
    assert set(logged) == {"entities", "tokens", "lemmas", "tokens_indices", "keywords", "scores"}


def test_a_batch_is_tagged_at_once_and_only_once(analyzer, texts, monkeypatch):
    batches = []
    tagger = analyzer.nlp_engine._taggers["en"]
    tag = type(tagger).tag

    def watched(self, some, **options):
        batches.append(len(some))
        return tag(self, some, **options)

    monkeypatch.setattr(type(tagger), "tag", watched)
    monkeypatch.setattr(type(tagger), "__call__", lambda *_: pytest.fail("a text was tagged again"))
    found = BatchAnalyzerEngine(analyzer).analyze_iterator(texts[:25], "en", batch_size=10)
    assert batches == [10, 10, 5]
    assert list(map(ours, found)) == list(map(expected, tag(tagger, texts[:25])))


def test_pairs_go_through_with_their_context(analyzer):
    pairs = [(TEXT, 1), ("nothing", 2)]
    found = list(analyzer.nlp_engine.process_batch(pairs, "en", batch_size=2, as_tuples=True))
    assert [(text, context) for text, _, context in found] == pairs
    assert all(isinstance(artifacts, TaggedArtifacts) for _, artifacts, _ in found)


def test_context_words_raise_the_score_of_predefined_recognisers(analyzer):
    number = "My license is H12234567 and it is valid."
    other = "My favourite is H12234567 and it is nice."
    (with_context,) = analyzer.analyze(number, "en", entities=["US_DRIVER_LICENSE"])
    (without,) = analyzer.analyze(other, "en", entities=["US_DRIVER_LICENSE"])
    assert with_context.score > without.score


def test_presidios_provider_makes_the_engine():
    configuration = {"nlp_engine_name": "fenestra", "models": [{"lang_code": "ru", "model_name": "russian"}]}
    engine = NlpEngineProvider(nlp_engines=(FenestraNlpEngine,), nlp_configuration=configuration).create_engine()
    assert engine.is_loaded()
    assert engine.get_supported_languages() == ["ru"]
    with pytest.raises(InputError, match=r"^models: an entry lacks model_name$"):
        FenestraNlpEngine([{"lang_code": "ru"}]).load()


# ── the analyzer ──


def test_an_analyzer_finds_names_beside_what_presidio_finds(analyzer, tagger):
    found = analyzer.analyze(TEXT, "en")
    assert ours(found) == expected(tagger(TEXT))
    assert {"EMAIL_ADDRESS", "PHONE_NUMBER"} <= {result.entity_type for result in found}
    names = {recognizer.name for recognizer in analyzer.get_recognizers("en")}
    assert "FenestraRecognizer" in names
    assert "SpacyRecognizer" not in names


def test_languages_that_are_one_string_and_models_for_no_language_are_refused():
    with pytest.raises(InputError, match=r"^languages: expected a list of codes, got one string; say \['en'\]$"):
        analyzer_engine("en")
    with pytest.raises(InputError, match=r"^models: 'ru' is not among the languages, en$"):
        analyzer_engine(["en"], models={"ru": "russian"})


def test_each_language_has_its_model(analyzer):
    assert ours(analyzer.analyze(RUSSIAN, "ru")) == expected(fenestra.load("russian")(RUSSIAN))
    assert {"PERSON", "LOCATION", "ORGANIZATION"} <= set(analyzer.get_supported_entities("ru"))


def test_a_thousand_texts_are_analyzed_and_anonymized(analyzer, tagger, texts):
    some = (texts * 2)[:1000]
    found = BatchAnalyzerEngine(analyzer).analyze_iterator(some, "en", batch_size=100)
    assert list(map(ours, found)) == list(map(expected, tagger.tag(some)))
    hidden = BatchAnonymizerEngine().anonymize_list(some, found)
    for text, result, after in zip(some, tagger.tag(some), hidden, strict=True):
        for entity in result:
            assert after.count(entity.text) < text.count(entity.text)
    one = AnonymizerEngine().anonymize(TEXT, analyzer.analyze(TEXT, "en")).text
    assert one.startswith("<PERSON> moved from <LOCATION> to join <ORGANIZATION>. Write to <EMAIL_ADDRESS> or call <")


def test_dictionaries_and_odd_values_are_analyzed(analyzer):
    batch = BatchAnalyzerEngine(analyzer)
    found = list(batch.analyze_dict({"who": "Ada Lovelace", "where": ["London", ""], "age": 36}, "en"))
    assert [ours(found[0].recognizer_results)[0][:3], ours(found[1].recognizer_results[0])[0][:3]] == [
        (0, 12, "PERSON"),
        (0, 6, "LOCATION"),
    ]
    assert ours(batch.analyze_iterator([7, True, "Ada Lovelace"], "en", batch_size=3)[2])


def test_long_and_empty_texts_are_analyzed(analyzer, tagger):
    text = f"{TEXT} " * 500
    assert ours(analyzer.analyze(text, "en", entities=list(NAMES.values()))) == expected(tagger(text))
    assert analyzer.analyze("", "en") == analyzer.analyze(" \n", "en") == []


def test_threads_share_an_analyzer(analyzer, tagger, texts):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: ours(analyzer.analyze(text, "en")), texts[:64]))
    assert found == list(map(expected, tagger.tag(texts[:64])))


def test_nothing_of_a_text_is_logged(analyzer, caplog):
    with caplog.at_level(logging.DEBUG):
        analyzer.analyze(TEXT, "en")
        FenestraRecognizer().analyze(TEXT, None, None)
    assert "Lovelace" not in caplog.text


def test_another_engine_may_stand_before_the_recogniser(tagger):
    engine = NoOpNlpEngine([{"lang_code": "en", "model_name": "none"}])
    registry = RecognizerRegistryProvider(
        registry_configuration={"supported_languages": ["en"], "recognizers": [{"name": "FenestraRecognizer"}]}
    ).create_recognizer_registry()
    assert ours(AnalyzerEngine(registry=registry, nlp_engine=engine).analyze(TEXT, "en")) == expected(tagger(TEXT))


# ── configuration files ──


def blocks(language):
    page = (ROOT / "docs" / "presidio.md").read_text(encoding="utf-8")
    return [part.split("```", 1)[0] for part in page.split(f"```{language}\n")[1:]]


@pytest.fixture
def configuration(tmp_path):
    """The first file that the page shows, of all parts; the second is a registry alone."""
    for name, text in zip(("analyzer.yaml", "registry.yaml"), blocks("yaml"), strict=False):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_file_of_the_page_makes_an_analyzer(configuration, tagger):
    engine = AnalyzerEngineProvider(analyzer_engine_conf_file=configuration / "analyzer.yaml").create_engine()
    assert ours(engine.analyze(TEXT, "en")) == expected(tagger(TEXT))
    assert ours(engine.analyze(RUSSIAN, "ru"))


def test_the_registry_of_the_page_makes_recognisers_with_their_settings(configuration, tagger):
    provider = RecognizerRegistryProvider(conf_file=configuration / "registry.yaml")
    registry = provider.create_recognizer_registry()
    (recognizer,) = [one for one in registry.recognizers if one.name == "names"]
    assert sorted(recognizer.get_supported_entities()) == ["LOCATION", "PERSON"]
    threshold = recognizer.score_thresholds["PERSON"]
    engine = AnalyzerEngine(registry=registry, nlp_engine=FenestraNlpEngine(), supported_languages=["en"])
    found = {e for e in expected(tagger(TEXT)) if e[2] == "LOCATION" or (e[2] == "PERSON" and e[3] >= threshold)}
    assert set(ours(engine.analyze(TEXT, "en"))) == found


def test_a_misspelt_setting_of_a_file_is_refused(configuration):
    content = yaml.safe_load((configuration / "registry.yaml").read_text())
    content["recognizers"][0]["modle"] = "english"
    with pytest.raises(ValueError, match="Invalid recognizer registry configuration") as error:
        RecognizerRegistryProvider(registry_configuration=content)
    assert "modle" in str(error.value.__cause__)


def test_the_file_needs_the_import(configuration):
    code = (
        "import sys; from presidio_analyzer import AnalyzerEngineProvider\n"
        "if sys.argv[2:]: import fenestra.integrations.presidio\n"
        "AnalyzerEngineProvider(analyzer_engine_conf_file=sys.argv[1]).create_engine(); print('made')"
    )
    command = [sys.executable, "-c", code, str(configuration / "analyzer.yaml")]
    bare = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "FenestraRecognizer" in bare.stderr
    assert bare.returncode == 1
    assert subprocess.run([*command, "import"], capture_output=True, text=True, check=True).stdout == "made\n"


def test_nothing_is_fetched(configuration):
    code = (
        "import socket, sys\n"
        "def refuse(*_, **__): sys.exit('the network was asked')\n"
        "socket.getaddrinfo = socket.socket.connect = refuse\n"
        "from fenestra.integrations.presidio import analyzer_engine\n"
        f"print(len(analyzer_engine(['en', 'ru']).analyze({TEXT!r}, 'en')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 5
    assert done.stderr == ""


@pytest.mark.parametrize("heading", ["In Python"])
def test_what_the_page_types_gives_what_it_shows(heading, try_section):
    try_section("presidio.md", heading)
