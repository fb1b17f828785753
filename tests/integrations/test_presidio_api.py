"""Presidio reaches the service as it reaches its own analyzer: from a remote recognizer, and for its anonymizer."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

analyzer = pytest.importorskip("presidio_analyzer", reason="presidio-analyzer is not installed")
anonymizer = pytest.importorskip("presidio_anonymizer", reason="presidio-anonymizer is not installed")
requests = pytest.importorskip("requests", reason="requests is not installed")

from presidio_analyzer.nlp_engine import NoOpNlpEngine  # noqa: E402
from presidio_analyzer.predefined_recognizers import EmailRecognizer  # noqa: E402

TEXT = "Ada Lovelace (ada@example.org) met Charles Babbage of Siemens in London."
TYPES = {"PER": "PERSON", "LOC": "LOCATION", "ORG": "ORGANIZATION"}
SAMPLE = Path(__file__).parents[2] / "data" / "sample"


@pytest.fixture(scope="module")
def server(start):
    return start(models="english,russian")


@pytest.fixture(scope="module")
def url(server):
    return f"http://127.0.0.1:{server.port}"


class RemoteFenestra(analyzer.RemoteRecognizer):
    """As Presidio's sample of a remote recognizer: posts text and language, and takes the items as they are."""

    def __init__(self, url, language="en"):
        self.url = url
        types = requests.get(f"{url}/supportedentities", params={"language": language}, timeout=30).json()
        super().__init__(types, "FenestraRecognizer", language, "1")

    def load(self):
        requests.get(f"{self.url}/health", timeout=30).raise_for_status()

    def get_supported_entities(self):
        return self.supported_entities

    def analyze(self, text, entities, nlp_artifacts):
        body = {"text": text, "language": self.supported_language}
        answer = requests.post(f"{self.url}/analyze", json=body, timeout=30)
        answer.raise_for_status()
        return [analyzer.RecognizerResult(**item) for item in answer.json()]


@pytest.fixture(scope="module")
def engine(url):
    languages = ["en", "ru"]
    nlp = NoOpNlpEngine([{"lang_code": code, "model_name": "none"} for code in languages])
    registry = analyzer.RecognizerRegistry(
        [EmailRecognizer(), RemoteFenestra(url), RemoteFenestra(url, "ru")], supported_languages=languages
    )
    return analyzer.AnalyzerEngine(registry, nlp, supported_languages=languages)


def tagged(server, texts):
    return json.loads(server.tag({"text": texts})[1])["results"]


def test_an_engine_finds_with_the_remote_recognizer_what_tag_finds_and_with_others_the_rest(server, engine):
    found = engine.analyze(TEXT, language="en")
    (result,) = tagged(server, TEXT)
    ours = {(TYPES[e["label"]], e["start"], e["end"], e["score"]) for e in result["entities"]}
    assert {(f.entity_type, f.start, f.end, f.score) for f in found if f.entity_type in TYPES.values()} == ours
    assert [(f.entity_type, TEXT[f.start : f.end]) for f in found if f.entity_type not in TYPES.values()] == [
        ("EMAIL_ADDRESS", "ada@example.org")
    ]


def test_each_language_has_its_model(server, engine):
    text = "Анна Каренина жила в Москве."
    found = sorted(engine.analyze(text, language="ru", entities=["PERSON", "LOCATION"]), key=lambda one: one.start)
    assert [(one.entity_type, text[one.start : one.end]) for one in found] == [
        ("PERSON", "Анна Каренина"), ("LOCATION", "Москве"),
    ]  # fmt: skip


def test_an_engine_lists_what_the_service_supports(engine, url):
    assert {"PERSON", "LOCATION", "ORGANIZATION", "EMAIL_ADDRESS"} == set(engine.get_supported_entities("en"))
    assert requests.get(f"{url}/recognizers", params={"language": "en"}, timeout=30).json() == ["FenestraRecognizer"]


def test_a_thousand_texts_are_analyzed_by_the_service_and_anonymized(server, url, texts):
    texts = [f"{first} {second}" for first, second in pairwise([*texts, *texts[::-1]])][:1000]
    found = requests.post(f"{url}/analyze", json={"text": texts, "language": "en"}, timeout=120).json()
    assert found == [
        [
            {"analysis_explanation": None, "end": e["end"], "entity_type": TYPES[e["label"]], "score": e["score"],
             "start": e["start"]}
            for e in result["entities"]
        ]
        for result in tagged(server, texts)
    ]  # fmt: skip
    engine = anonymizer.AnonymizerEngine()
    compared = 0
    for text, items in zip(texts, found, strict=True):
        results = [anonymizer.RecognizerResult(i["entity_type"], i["start"], i["end"], i["score"]) for i in items]
        hidden = engine.anonymize(text, results).text
        if not touching(text, items):  # those of one type are put together
            assert hidden == replaced(text, items)
            compared += 1
    assert sum(map(len, found)) > 1000
    assert compared > 900


def replaced(text, items):
    for item in reversed(items):
        text = f"{text[: item['start']]}<{item['entity_type']}>{text[item['end'] :]}"
    return text


def touching(text, items):
    return any(
        first["entity_type"] == second["entity_type"] and not text[first["end"] : second["start"]].strip()
        for first, second in pairwise(items)
    )


LITELLM = [
    {"text": TEXT, "language": "en"},
    {"text": TEXT, "language": "en", "entities": ["PERSON", "CREDIT_CARD"], "ad_hoc_recognizers": None},
    {"text": TEXT, "language": "en", "ad_hoc_recognizers": []},
]


@pytest.mark.parametrize("body", LITELLM)
def test_what_a_gateway_posts_is_answered_with_a_list(url, body):
    """LiteLLM's guardrail adds ``analyze`` to its base address, and wants a status below 400, JSON and a list."""
    answer = requests.post(f"{url}/analyze", json=body, timeout=30)
    assert answer.status_code < 400
    assert answer.headers["content-type"].startswith("application/json")
    assert {"PERSON"} <= {item["entity_type"] for item in answer.json()}


def test_a_refusal_is_an_error_as_presidio_gives_it(url):
    answer = requests.post(f"{url}/analyze", json={"text": TEXT, "language": "nl"}, timeout=30)
    assert (answer.status_code, answer.json()) == (422, {"error": "language: no model reads it; they read en, ru"})


def test_what_the_page_shows_is_what_happens(server, follow):
    follow("presidio-service.md", server.port)
