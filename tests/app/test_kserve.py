"""The Open Inference Protocol V2: the entities of POST /tag as JSON in BYTES, errors a text."""

import json
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.app.doors import RunTagger, assert_text_error, post
from tests.app.live import Gate, LiveServer, wait_for
from tests.app.test_huggingface import TEXTS, Breaks, raw_post

TEXT = 'Paul "Ito" met Maria,\nand Luis 🚀 Ada \\ Lee.'
INFER = "/v2/models/runs/infer"
ONE = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["Paul"]}]}


@pytest.fixture
def runs(serve):
    return serve(RunTagger(), model_name="runs")


def tensor(data, shape=None, **more):
    return {"name": "text", "shape": [len(data)] if shape is None else shape, "datatype": "BYTES", "data": data, **more}


def infer(client, data, shape=None, path=INFER, **body):
    answer = post(client, path, {"inputs": [tensor(data, shape)], **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def found(client, data):
    return infer(client, data)["outputs"][0]["data"]


def test_the_answer_has_the_shape_of_the_protocol(runs):
    assert infer(runs, ["Paul", "nobody"], [2, 1], id="42") == {
        "model_name": "runs", "model_version": "runs-1", "id": "42",
        "outputs": [
            {"name": "entities", "datatype": "BYTES", "shape": [2, 1],
             "data": ['[{"start":0,"end":4,"label":"PER","text":"Paul","score":0.190476}]', "[]"]}
        ],
    }  # fmt: skip
    assert infer(runs, [], id="")["id"] == ""
    assert infer(runs, [])["outputs"][0] == {"name": "entities", "datatype": "BYTES", "shape": [0], "data": []}
    assert "id" not in infer(runs, [], id=None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(texts=st.lists(TEXTS | st.just(TEXT), max_size=4))
def test_each_string_is_to_the_byte_what_tag_answers(runs, texts):
    tagged = post(runs, "/tag", {"text": texts}).content
    lists = b",".join(b'{"entities":%s}' % one.encode() for one in found(runs, texts))
    assert tagged == b'{"model":{"name":"runs","version":"runs-1"},"results":[%s]}' % lists


def test_long_texts_are_written_in_pieces_that_make_one_answer(serve):
    client = serve(RunTagger(), model_name="runs", max_chars=1_000_000)
    texts = ["Paul is in Lima. " * 900, "", "Ada x " * 2500]
    assert found(client, texts) == [found(client, [text])[0] for text in texts]
    assert [len(json.loads(one)) for one in found(client, texts)] == [1800, 0, 2500]


def test_what_clients_send_along_changes_nothing(runs):
    plain = infer(runs, [TEXT])
    along = {
        "parameters": {"binary_data_output": True, "priority": 3},
        "outputs": [{"name": "entities"}],
        "model_name": "x",
    }
    assert infer(runs, [TEXT], **along) == plain
    assert infer(runs, [TEXT], parameters=None, outputs=None) == infer(runs, [TEXT], outputs=[]) == plain
    assert post(runs, INFER, {"inputs": [tensor([TEXT], parameters={"content_type": "str"})]}).json() == plain


def test_the_version_that_is_served_can_be_asked_for_and_no_other(runs):
    (version,) = runs.get("/v2/models/runs").json()["versions"]
    below = f"/v2/models/runs/versions/{version}"
    assert infer(runs, ["Paul"], path=f"{below}/infer") == infer(runs, ["Paul"])
    assert runs.get(below).json() == runs.get("/v2/models/runs").json()
    assert runs.get(f"{below}/ready").json() == {"name": "runs", "ready": True}
    for path in ("", "/ready"):
        assert_text_error(runs.get(f"/v2/models/runs/versions/secret{path}"), 404)
    answer = post(runs, "/v2/models/runs/versions/secret/infer", ONE)
    assert_text_error(answer, 404)
    assert "secret" not in answer.text
    assert 'route="/v2/models/{name}/versions/{version}/infer"' in runs.get("/metrics").text


def test_the_server_and_its_models_describe_themselves(runs):
    assert set(runs.get("/v2").json()) == {"name", "version", "extensions"}
    assert runs.get("/v2/models/runs").json() == {
        "name": "runs", "versions": ["runs-1"], "platform": "fenestra",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": "entities", "datatype": "BYTES", "shape": [-1]}],
    }  # fmt: skip
    assert runs.get("/v2/models/runs/ready").json() == {"name": "runs", "ready": True}
    for path in ("/v2/models/secret", "/v2/models/secret/ready"):
        assert_text_error(runs.get(path), 404)
    assert_text_error(post(runs, "/v2/models/secret/infer", ONE), 404)


def test_health_fails_as_the_probes_do(runs):
    assert runs.get("/v2/health/live").json() == {"live": True}
    assert runs.get("/v2/health/ready").json() == {"live": True, "ready": True}
    runs.app.state.service.drain()
    assert runs.get("/v2/health/live").json() == {"live": True}
    for path in ("/v2/health/ready", "/v2/models/runs/ready"):
        assert_text_error(runs.get(path), 503)
        assert runs.get(path).headers["retry-after"] == "1"


def test_health_needs_no_key_and_has_no_limit_and_all_else_does(serve):
    client = serve(api_keys="2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b", rate_limit="1/hour")
    assert [client.get("/v2/health/ready").status_code for _ in range(3)] == [200] * 3
    assert [client.get("/v2/health/live").status_code for _ in range(3)] == [200] * 3
    for answer in (client.get("/v2"), client.get("/v2/models/english"), post(client, "/v2/models/english/infer", ONE)):
        assert_text_error(answer, 401)
    key = {"authorization": "Bearer secret"}
    assert client.get("/v2", headers=key).status_code == 200
    assert_text_error(post(client, "/v2/models/english/infer", ONE, **key), 429)


REFUSED = [
    (b"{", 400),
    (b"[]", 422),
    ({}, 422),
    ({"inputs": "secret"}, 422),
    ({"inputs": []}, 422),
    ({"inputs": ["secret"]}, 422),
    ({"inputs": [tensor(["a"]), tensor(["secret"])]}, 422),
    ({"inputs": [tensor(["secret"], name="secret")]}, 422),
    ({"inputs": [tensor(["secret"], datatype="FP32")]}, 422),
    ({"inputs": [tensor(["secret"], [2])]}, 422),
    ({"inputs": [tensor(["secret"], [-1])]}, 422),
    ({"inputs": [tensor(["secret"], [1] * 9)]}, 422),
    ({"inputs": [tensor(["secret"], [10**19] * 2000)]}, 422),
    ({"inputs": [tensor([["secret"]])]}, 422),
    ({"inputs": [tensor([3])]}, 422),
    ({"inputs": [tensor(["a"], secret=1)]}, 422),
    ({"inputs": [tensor(["a"])], "secret": 1}, 422),
    ({"inputs": [tensor(["a"])], "outputs": [{"name": "secret"}]}, 422),
    ({"inputs": [tensor(["a"])], "outputs": [{"name": "entities", "secret": 1}]}, 422),
    ({"inputs": [tensor(["a"])], "parameters": ["secret"]}, 422),
    (b'{"inputs": [{"name": "text", "name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}]}', 422),
    (b'{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["\\ud800"]}]}', 422),
]


@pytest.mark.parametrize(("body", "status"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_request_is_refused_with_a_text(runs, body, status):
    answer = post(runs, INFER, body)
    assert_text_error(answer, status)
    assert "secret" not in answer.text


def test_the_limits_are_those_of_tag(serve):
    client = serve(RunTagger(), model_name="runs", max_texts=3, max_chars=50, max_body_bytes=2000)

    def refusal(data, status=422):
        answer = post(client, INFER, {"inputs": [tensor(data)]})
        assert_text_error(answer, status)
        return answer.json()["error"]

    assert refusal(["a"] * 4) == "inputs[0].data: 4 items, at most 3"
    assert refusal(["x" * 51]) == "inputs[0].data: a string of 51 characters, at most 50"
    assert "larger" in refusal(["x" * 5000], 413) or "bytes" in refusal(["x" * 5000], 413)
    assert found(client, ["x" * 50] * 3) == ["[]"] * 3


def test_a_body_needs_no_media_type_but_must_not_have_another(runs):
    raw = json.dumps(ONE).encode()
    untyped = runs.request("POST", INFER, content=raw)
    assert (untyped.status_code, untyped.json()) == (200, post(runs, INFER, ONE).json())
    assert_text_error(post(runs, INFER, raw, **{"content-type": "text/plain"}), 415)
    assert_text_error(runs.request("POST", INFER, content=raw, headers={"origin": "https://elsewhere.example"}), 400)
    assert runs.request("POST", "/tag", content=b'{"text":"a"}').status_code == 415


def test_binary_tensors_are_refused_by_name(runs):
    answer = post(runs, INFER, b'{"inputs":[]}\0\0', **{"inference-header-content-length": "13"})
    assert_text_error(answer, 415)
    assert "JSON" in answer.json()["error"]


def test_the_texts_are_counted_as_those_of_tag(runs):
    infer(runs, ["Paul", "Ada Lee"])
    assert "fenestra_texts_total 2.0" in runs.get("/metrics").text


def test_errors_of_the_framework_and_the_unexpected_ones_are_a_text_too(serve):
    client = serve(Breaks(), model_name="runs")
    assert_text_error(client.get(INFER), 405)
    assert_text_error(client.get("/v2/models"), 404)
    assert_text_error(client.get("/v2/repository/index"), 404)
    assert_text_error(post(client, INFER, ONE), 500)


def test_a_deadline_is_a_text():
    gate = Gate()
    with LiveServer(gate, deadline_seconds=0.2) as server:
        answer = server.ask(raw_post(json.dumps(ONE).encode(), b"/v2/models/english/infer"))
        gate.opened.set()
    assert answer.status == 504
    assert isinstance(answer.json["error"], str)


@pytest.mark.parametrize("path", [b"/v2/models/english/infer", b"/v2/models/english/versions/stub-1/infer"])
def test_an_overloaded_model_is_a_text_with_retry_after(path):
    gate, raw = Gate(), raw_post(json.dumps(ONE).encode(), path)
    with LiveServer(gate, max_waiting=1) as server:
        first = threading.Thread(target=server.ask, args=(raw,))
        first.start()
        wait_for(lambda: gate.begun)
        answer = server.ask(raw)
        gate.opened.set()
        first.join()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json == {"error": "too many requests are waiting; try again in a moment"}
