"""Random requests: by benchmarks/fuzz.py, by hypothesis, by schemathesis from the OpenAPI document."""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from benchmarks.fuzz import Fuzzer
from benchmarks.probes import KINDS
from benchmarks.serving import HOST
from benchmarks.wire import Wire, post
from tests.faults.scenarios_body import CODECS
from tests.faults.world import check_refusal

FAST = settings(database=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
FIELDS = st.sampled_from(["text", "tokens", "labels", "min_score", "details", "offsets", "model"])
TEXTS = st.text(max_size=120)


def test_a_slice_of_the_fuzzing(world):
    report = Fuzzer(world.server("plain").port, seed=7).run(500)
    assert report.faults == []
    assert all(kind.statuses for kind in report.kinds.values())
    assert set(report.kinds) == set(KINDS)


@given(body=st.dictionaries(FIELDS, ANYTHING, max_size=4) | ANYTHING)
@settings(FAST, max_examples=150)
def test_any_json_is_answered_or_refused(world, body):
    answer = post_json(world, body)
    if answer.status != 200:
        assert answer.status in (400, 404, 422)
        check_refusal(answer)


@given(text=TEXTS, unit=st.sampled_from(sorted(CODECS)))
@settings(FAST, max_examples=150)
def test_any_text_has_its_entities_where_they_are(world, text, unit):
    answer = post_json(world, {"text": text, "offsets": unit, "details": True})
    assert answer.status == 200
    codec, width = CODECS[unit]
    (result,) = json.loads(answer.body)["results"]
    for span in result["entities"] + result["tokens"]:
        assert text.encode(codec)[span["start"] * width : span["end"] * width].decode(codec) == span["text"]


@given(texts=st.lists(TEXTS, min_size=1, max_size=6))
@settings(FAST, max_examples=50)
def test_a_text_in_a_batch_is_tagged_as_alone(world, texts):
    together = json.loads(post_json(world, {"text": texts}).body)["results"]
    assert together == [json.loads(post_json(world, {"text": text}).body)["results"][0] for text in texts]


def post_json(world, body):
    with Wire(world.server("plain").port) as wire:
        wire.send(post(json.dumps(body).encode()))
        return wire.answer()


@pytest.fixture(scope="module")
def document(servers):
    url = f"http://{HOST}:{servers.server('plain').port}/openapi.json"
    return schemathesis.openapi.from_url(url)


# schemathesis.toml says what no schema can say.
OPERATIONS = [
    ("POST", "/tag"),
    ("POST", "/explain"),
    ("POST", "/tag/stream"),
    ("POST", "/hf"),
    ("POST", "/hf/{model}"),
    ("POST", "/analyze"),
    ("GET", "/supportedentities"),
    ("GET", "/recognizers"),
    ("GET", "/health"),
    ("GET", "/v2"),
    ("GET", "/v2/health/live"),
    ("GET", "/v2/health/ready"),
    ("GET", "/v2/models/{name}"),
    ("GET", "/v2/models/{name}/ready"),
    ("POST", "/v2/models/{name}/infer"),
    ("POST", "/models/{name}/reload"),
    ("POST", "/models/{name}/corrections"),
    ("GET", "/models/{name}/corrections"),
    ("DELETE", "/models/{name}/corrections/{key}"),
    ("POST", "/models/{name}/learn"),
    ("GET", "/models/{name}/learn"),
    ("DELETE", "/models/{name}/learn"),
    ("POST", "/models/{name}/undo"),
    ("GET", "/models"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
]


def test_these_are_all_operations_of_the_document(document):
    found = {(method.upper(), path) for path, item in document.raw_schema["paths"].items() for method in item}
    assert found == set(OPERATIONS)


def test_operations_have_names(document):
    names = [entry["operationId"] for item in document.raw_schema["paths"].values() for entry in item.values()]
    assert sorted(names) == [
        "analyze", "cancel", "correct", "corrections", "explain", "forget", "health", "huggingface",
        "huggingface_model", "learn", "learning", "livez", "metrics", "models", "readyz", "recognizers", "reload",
        "supportedentities", "tag", "tag_stream", "undo",
        "v2_infer", "v2_live", "v2_model", "v2_model_ready", "v2_ready", "v2_server",
    ]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_the_service_answers_as_its_document_says(world, document, method, path):
    @given(case=document[path][method].as_strategy())
    @settings(FAST, max_examples=40 if method == "POST" else 5)
    def answers_as_documented(case):
        case.call_and_validate(
            checks=[not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
        )

    world.server("plain")
    answers_as_documented()
