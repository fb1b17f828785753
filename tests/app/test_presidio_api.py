"""The interface of Presidio's analyzer: its answers are those of POST /tag by other names, its errors a text."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fenestra.app.errors import Problem
from fenestra.model.text.language import language
from tests.app.doors import RunTagger, assert_text_error, post
from tests.app.test_huggingface import TEXTS, Breaks

TEXT = "Paul Ito met Maria, and Luis 🚀 Ada Lee."
TYPES = {"PER": "PERSON", "LOC": "LOCATION", "ORG": "ORGANIZATION"}


@pytest.fixture
def runs(serve):
    return serve(RunTagger(), model_name="runs")


def analyze(client, text=TEXT, **body):
    answer = post(client, "/analyze", {"text": text, "language": "en", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def types(found):
    return [row["entity_type"] for row in found]


def test_entities_in_the_shape_of_presidio(runs):
    assert analyze(runs) == [
        {"analysis_explanation": None, "end": 8, "entity_type": "PERSON", "score": 0.380952, "start": 0},
        {"analysis_explanation": None, "end": 28, "entity_type": "LOCATION", "score": 0.190476, "start": 24},
        {"analysis_explanation": None, "end": 38, "entity_type": "ORGANIZATION", "score": 0.333333, "start": 31},
    ]


def test_headers_say_what_was_renamed_and_dropped_and_looked_for(runs):
    answer = post(runs, "/analyze", {"text": TEXT, "language": "en", "entities": ["PERSON", "CREDIT_CARD"]})
    assert answer.headers["x-fenestra-labels"] == "PER=PERSON, LOC=LOCATION, ORG=ORGANIZATION, MISC="
    assert answer.headers["x-fenestra-entities"] == "PERSON"
    assert types(answer.json()) == ["PERSON"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(texts=st.lists(TEXTS, max_size=4), least=st.sampled_from([None, 0, 0.2, 0.5, 1]))
def test_every_text_has_the_entities_that_tag_finds(runs, texts, least):
    expected = [
        [
            {"analysis_explanation": None, "end": e["end"], "entity_type": TYPES[e["label"]], "score": e["score"],
             "start": e["start"]}
            for e in result["entities"] if e["label"] in TYPES
        ]
        for result in runs.results(text=texts, min_score=least or 0.0)
    ]  # fmt: skip
    assert analyze(runs, texts, score_threshold=least) == expected


def test_one_text_gives_a_list_and_a_list_gives_lists(runs):
    assert analyze(runs, "") == []
    assert analyze(runs, []) == []
    assert analyze(runs, ["", "Paul"])[0] == []
    assert analyze(runs, ["Paul"]) == [analyze(runs, "Paul")]


def test_long_texts_are_written_in_pieces_that_make_one_answer(serve):
    client = serve(RunTagger(), max_chars=1_000_000)
    texts = ["Paul is in Lima. " * 900, "", "Ada x " * 2500]
    assert analyze(client, texts) == [analyze(client, text) for text in texts]
    assert [len(one) for one in analyze(client, texts)] == [1800, 0, 2500]


def test_entities_choose_types_by_the_names_that_the_answer_has(runs):
    assert types(analyze(runs, entities=["LOCATION", "CREDIT_CARD"])) == ["LOCATION"]
    assert types(analyze(runs, entities=[])) == types(analyze(runs, entities=None)) == list(TYPES.values())


def test_entities_that_are_all_unknown_are_refused(runs):
    answer = post(runs, "/analyze", {"text": TEXT, "language": "en", "entities": ["SECRET"]})
    assert_text_error(answer, 422)
    assert "there are LOCATION, ORGANIZATION, PERSON" in answer.json()["error"]
    assert "SECRET" not in answer.text


def test_an_explanation_has_all_fields_of_presidio(runs):
    explanation = analyze(runs, "Paul", return_decision_process=True)[0]["analysis_explanation"]
    assert explanation == {
        "recognizer": "FenestraRecognizer", "original_score": 0.190476, "score": 0.190476,
        "textual_explanation": "Identified as PER by the model runs runs-1", "pattern_name": None, "pattern": None,
        "score_context_improvement": 0, "supportive_context_word": "", "validation_result": None, "regex_flags": None,
    }  # fmt: skip


def test_the_allow_list_is_exact(runs):
    assert types(analyze(runs, allow_list=["Paul Ito", "Lui", "ada lee"])) == ["LOCATION", "ORGANIZATION"]
    assert types(analyze(runs, allow_list=["Luis"], allow_list_match="exact")) == ["PERSON", "ORGANIZATION"]


def test_the_setting_and_the_request_rename_over_presidios_names(serve, monkeypatch):
    monkeypatch.setenv("FENESTRA_LABEL_MAP", "MISC:NRP,ORG:")
    client = serve(RunTagger())
    assert types(analyze(client)) == ["PERSON", "NRP", "LOCATION"]
    assert types(analyze(client, label_map={"PER": "NAME", "LOC": None, "ORG": "ORG"})) == ["NAME", "NRP", "ORG"]
    assert client.get("/supportedentities?language=en").json() == ["LOCATION", "NRP", "PERSON"]


def test_a_map_that_drops_everything_leaves_nothing(runs):
    assert analyze(runs, label_map=dict.fromkeys(["PER", "LOC", "ORG"])) == []


WITHOUT_EFFECT = {
    "ad_hoc_recognizers": [], "correlation_id": "123", "context": ["mr"], "regex_flags": 26, "trace": True,
    "allow_list": [], "allow_list_match": "exact", "entities": None, "score_threshold": None,
}  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT_EFFECT)
def test_what_clients_send_along_changes_nothing(runs, name):
    assert analyze(runs, **{name: WITHOUT_EFFECT[name]}) == analyze(runs)
    assert analyze(runs, **{name: None}) == analyze(runs)


def test_an_allow_list_has_a_limit(runs):
    allowed = [f"name {number}" for number in range(10_001)]
    assert analyze(runs, allow_list=allowed[1:]) == analyze(runs)
    assert_text_error(post(runs, "/analyze", {"text": TEXT, "language": "en", "allow_list": allowed}), 422)


def test_an_empty_allow_list_of_expressions_is_no_expression(runs):
    assert analyze(runs, allow_list=[], allow_list_match="regex") == analyze(runs)


PATTERN = {"name": "zip", "supported_entity": "ZIP", "supported_language": "en", "patterns": []}
REFUSED = [
    (b"{", 400),
    (b"[]", 422),
    ({}, 422),
    ({"text": "secret"}, 422),
    ({"language": "en"}, 422),
    ({"text": None, "language": "en"}, 422),
    ({"text": {"key": "secret"}, "language": "en"}, 422),
    ({"text": ["a", 3], "language": "en"}, 422),
    ({"text": "secret", "language": None}, 422),
    ({"text": "secret", "language": "xx"}, 422),
    ({"text": "secret", "language": ""}, 422),
    ({"text": "secret", "language": "en", "secret": 1}, 422),
    ({"text": "secret", "language": "en", "score_threshold": 1.5}, 422),
    ({"text": "secret", "language": "en", "ad_hoc_recognizers": [PATTERN]}, 422),
    ({"text": "secret", "language": "en", "ad_hoc_recognizers": [1, 2]}, 422),
    ({"text": "secret", "language": "en", "allow_list": ["s.*"], "allow_list_match": "regex"}, 422),
    ({"text": "secret", "language": "en", "allow_list_match": "fuzzy"}, 422),
    ({"text": "secret", "language": "en", "regex_flags": 10**25}, 422),
    (b'{"text": "a", "text": "b", "language": "en"}', 422),
    (b'{"text": "a", "text": "b", "language": "en", "ad_hoc_recognizers": [1, 2]}', 422),
    (b'{"text": "\\ud800", "language": "en"}', 422),
    ({"text": "x" * 51, "language": "en"}, 422),
    ({"text": ["a"] * 4, "language": "en"}, 422),
    ({"text": "x" * 5000, "language": "en"}, 413),
]


@pytest.mark.parametrize(("body", "status"), REFUSED)
def test_what_is_no_request_is_refused_with_a_text(serve, body, status):
    client = serve(max_texts=3, max_chars=50, max_body_bytes=2000)
    answer = post(client, "/analyze", body)
    assert_text_error(answer, status)
    assert "secret" not in answer.text


def test_the_refusals_that_matter_say_what_to_do(runs):
    def refusal(**body):
        return post(runs, "/analyze", {"text": "a", "language": "en", **body}).json()["error"]

    assert refusal(language="ru") == "language: no model reads it; they read en"
    assert refusal(ad_hoc_recognizers=[PATTERN]).startswith("ad_hoc_recognizers: recognizers that a request brings")
    assert "regular expressions are not matched" in refusal(allow_list=["a"], allow_list_match="regex")


class Russian(RunTagger):
    labels = ("PER", "GPE")
    language = language("ru")
    version = "russian-1"


@pytest.fixture
def both(runs):
    models = runs.app.state.service.models
    (english,) = models
    models.serve({"runs": english, "russian": type(english)("russian", english.folder, Russian(), english.files)})
    return runs


def test_the_language_chooses_the_model(both):
    def model(code):
        (row,) = analyze(both, "Paul", language=code, return_decision_process=True)
        return row["analysis_explanation"]["textual_explanation"].rpartition("model ")[2]

    assert [model("en"), model("ru")] == ["runs runs-1", "russian russian-1"]


def test_supported_entities_are_those_of_the_language(both):
    assert both.get("/supportedentities?language=en").json() == ["LOCATION", "ORGANIZATION", "PERSON"]
    assert both.get("/supportedentities?language=ru").json() == ["GPE", "PERSON"]
    assert both.get("/supportedentities").json() == ["GPE", "LOCATION", "ORGANIZATION", "PERSON"]


def test_recognizers_are_one_for_each_language(both):
    assert both.get("/recognizers?language=ru").json() == ["FenestraRecognizer"]
    assert both.get("/recognizers").json() == ["FenestraRecognizer"]


@pytest.mark.parametrize("path", ["/supportedentities", "/recognizers"])
def test_an_unknown_language_is_refused(runs, path):
    assert_text_error(runs.get(f"{path}?language=secret"), 422)
    assert "secret" not in runs.get(f"{path}?language=secret").text


def test_health_is_a_text_and_fails_as_readyz_does(client):
    answer = client.get("/health")
    assert (answer.status_code, answer.text) == (200, "Fenestra is up")
    assert answer.headers["content-type"].startswith("text/plain")
    assert client.request("HEAD", "/health").status_code == 200
    client.app.state.service.drain()
    answer = client.get("/health")
    assert_text_error(answer, 503)
    assert answer.headers["retry-after"] == "1"


def test_health_needs_no_key_and_the_others_do(serve):
    client = serve(api_keys="2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b", rate_limit="1/hour")
    assert [client.get("/health").status_code for _ in range(3)] == [200] * 3
    for answer in (client.get("/supportedentities"), client.get("/recognizers"), post(client, "/analyze", {})):
        assert_text_error(answer, 401)
    key = {"authorization": "Bearer secret"}
    assert client.get("/recognizers", headers=key).status_code == 200
    assert_text_error(client.get("/recognizers", headers=key), 429)


@pytest.mark.parametrize("path", ["/analyze", "/supportedentities", "/recognizers", "/health"])
def test_errors_are_a_text_below_every_path(client, path):
    @client.app.get(f"{path}/fails")
    async def fails():
        raise Problem("overloaded", "because")

    answer = client.get(f"{path}/fails")
    assert_text_error(answer, 503)
    assert (answer.json(), answer.headers["retry-after"]) == ({"error": "because"}, "1")


def test_errors_of_the_framework_and_the_unexpected_ones_are_a_text_too(serve):
    client = serve(Breaks())
    assert_text_error(client.get("/analyze"), 405)
    assert_text_error(client.get("/recognizers/more"), 404)
    assert_text_error(post(client, "/analyze", b"a", **{"content-type": "text/plain"}), 415)
    assert_text_error(post(client, "/analyze", {"text": "secret", "language": "en"}), 500)
