"""The interface of Hugging Face: its answers are those of POST /tag by other names, its errors a text."""

import json
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fenestra.app.codes import STATUS
from fenestra.app.errors import Problem
from tests.app.doors import RunTagger, assert_text_error, post
from tests.app.live import Gate, LiveServer, wait_for

TEXT = "Paul Ito met Maria, and Luis 🚀 Ada Lee."
WORDS = st.sampled_from(["Paul", "Lima", "Mars", "Ada", "é", "🚀", "the", ",", "\n", "  ", "👩‍🚀", "И", "Ф"])
TEXTS = st.lists(WORDS | st.text(max_size=5), max_size=30).map(" ".join)
GROUPING = ["simple", "first", "average", "max"]


@pytest.fixture
def runs(serve):
    return serve(RunTagger())


def found(client, inputs, path="/hf", **parameters):
    answer = post(client, path, {"inputs": inputs, "parameters": parameters})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_entities_in_the_shape_of_hugging_face(runs):
    assert found(runs, TEXT)[:2] == [
        {"entity_group": "PER", "score": 0.380952, "word": "Paul Ito", "start": 0, "end": 8},
        {"entity_group": "MISC", "score": 0.238095, "word": "Maria", "start": 13, "end": 18},
    ]


def test_tokens_in_the_shape_of_transformers(runs):
    assert found(runs, "so Paul Ito", aggregation_strategy="none") == [
        {"entity": "B-PER", "score": 0.444444, "index": 2, "word": "Paul", "start": 3, "end": 7},
        {"entity": "I-PER", "score": 0.333333, "index": 3, "word": "Ito", "start": 8, "end": 11},
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(texts=st.lists(TEXTS, max_size=4), strategy=st.sampled_from([None, *GROUPING]))
def test_every_text_has_the_entities_that_tag_finds(runs, texts, strategy):
    tagged = runs.results(text=texts)
    expected = [
        [{"entity_group": e["label"], **{to: e[of] for to, of in NAMES.items()}} for e in result["entities"]]
        for result in tagged
    ]
    raw = post(runs, "/hf", {"inputs": texts, "parameters": {"aggregation_strategy": strategy}})
    assert raw.content == json.dumps(expected, ensure_ascii=False, separators=(",", ":")).encode()


NAMES = {"score": "score", "word": "text", "start": "start", "end": "end"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(text=TEXTS, ignored=st.sampled_from([None, [], ["O"], ["B-PER"], ["PER"], ["O", "I-LOC", "B-ORG"]]))
def test_every_text_has_the_tokens_that_tag_finds(runs, text, ignored):
    (tagged,) = runs.results(text=text, details=True)
    expected = [
        {"entity": token["tag"], "index": index, **{to: token[of] for to, of in NAMES.items()}}
        for index, token in enumerate(tagged["tokens"], 1)
        if token["tag"] not in (["O"] if ignored is None else ignored)
    ]
    assert found(runs, text, aggregation_strategy="none", ignore_labels=ignored) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(text=TEXTS)
def test_what_is_between_entities_is_a_group_of_its_own_if_it_is_not_ignored(runs, text):
    groups = found(runs, text, ignore_labels=[])
    tokens = found(runs, text, aggregation_strategy="none", ignore_labels=[])
    assert groups == grouped(text, tokens, found(runs, text))


def grouped(text, tokens, entities):
    """As transformers groups tokens (``group_entities``); the scores of entities are ours."""
    groups = []
    for token in tokens:
        kind, _, label = token["entity"].rpartition("-")
        if groups and kind != "B" and groups[-1][0] == label:
            groups[-1][1].append(token)
        else:
            groups.append((label, [token]))
    scores = {entity["start"]: entity["score"] for entity in entities}
    return [
        {
            "entity_group": label,
            "score": scores.get(its[0]["start"], pytest.approx(sum(t["score"] for t in its) / len(its), abs=2e-6)),
            "word": text[its[0]["start"] : its[-1]["end"]],
            "start": its[0]["start"],
            "end": its[-1]["end"],
        }
        for label, its in groups
    ]


@pytest.mark.parametrize("strategy", [*GROUPING, "none"])
@pytest.mark.parametrize("ignored", [None, [], ["O", "MISC"]])
def test_long_texts_are_written_in_pieces_that_make_one_answer(serve, strategy, ignored):
    client = serve(RunTagger(), max_chars=1_000_000)
    texts = ["Paul is in Lima. " * 700, "", "no " * 3000 + "Paul", "Ada " * 2500, "nobody " * 1000]
    together = found(client, texts, aggregation_strategy=strategy, ignore_labels=ignored)
    assert together == [found(client, text, aggregation_strategy=strategy, ignore_labels=ignored) for text in texts]
    assert [bool(one) for one in together] == [True, False, True, True, ignored == []]


def test_a_list_in_gives_a_list_of_lists_out(runs):
    assert found(runs, []) == []
    assert found(runs, [""]) == [[]]
    assert found(runs, "") == []
    assert [len(one) for one in found(runs, ["Paul", "x", "Paul x Ada"])] == [1, 0, 2]


def test_labels_are_ignored_by_the_names_that_the_answer_has(runs):
    assert {group["entity_group"] for group in found(runs, TEXT, ignore_labels=["PER", "O"])} == {"MISC", "LOC", "ORG"}


def test_a_model_is_chosen_by_the_address(serve):
    client = serve(RunTagger(), model_name="runs")
    assert found(client, TEXT, "/hf/runs") == found(client, TEXT)
    assert_text_error(post(client, "/hf/other", {"inputs": "a"}), 404)


TOLERATED = [
    {"inputs": "Paul", "parameters": None},
    {"inputs": "Paul", "parameters": {}},
    {"inputs": "Paul", "parameters": {"aggregation_strategy": None, "ignore_labels": None, "stride": None}},
    {"inputs": "Paul", "parameters": {"stride": 16}},
    {"inputs": "Paul", "options": {"wait_for_model": True, "use_cache": False}},
    {"inputs": "Paul", "options": None},
]


@pytest.mark.parametrize("body", TOLERATED)
def test_what_clients_send_along_changes_nothing(runs, body):
    assert post(runs, "/hf", body).json() == found(runs, "Paul")


REFUSED = [
    (b"{", 400),
    (b"\xff", 400),
    (b"[]", 422),
    ({}, 422),
    ({"inputs": None}, 422),
    ({"inputs": 3}, 422),
    ({"inputs": {"sentence": "Paul"}}, 422),
    ({"inputs": ["Paul", ["secret"]]}, 422),
    ({"inputs": "Paul", "secret": 1}, 422),
    ({"inputs": "Paul", "parameters": {"secret": 1}}, 422),
    ({"inputs": "Paul", "options": {"secret": 1}}, 422),
    ({"inputs": "Paul", "parameters": {"aggregation_strategy": "secret"}}, 422),
    ({"inputs": "Paul", "parameters": {"stride": -1}}, 422),
    ({"inputs": "Paul", "parameters": "secret"}, 422),
    ({"inputs": "Paul", "parameters": {"ignore_labels": [3]}}, 422),
    (b'{"inputs": "a", "inputs": "b"}', 422),
    (b'{"inputs": "\\ud800"}', 422),
    ({"inputs": "x" * 51}, 422),
    ({"inputs": ["a"] * 4}, 422),
    ({"inputs": "x" * 5000}, 413),
]


def test_an_error_in_the_parameters_says_where(runs):
    answer = post(runs, "/hf", {"inputs": "Paul", "parameters": {"aggregation_strategy": "max", "stride": -1}})
    assert answer.json()["error"].startswith("parameters.stride: ")


@pytest.mark.parametrize(("body", "status"), REFUSED)
def test_what_is_no_request_is_refused_with_a_text(serve, body, status):
    client = serve(max_texts=3, max_chars=50, max_body_bytes=2000)
    for path in ("/hf", "/hf/english"):
        answer = post(client, path, body)
        assert_text_error(answer, status)
        assert "secret" not in answer.text


def test_limits_name_the_field(serve):
    client = serve(max_texts=3, max_chars=50)
    assert "inputs: 4 items, at most 3" in post(client, "/hf", {"inputs": ["a"] * 4}).json()["error"]
    assert "inputs: a string of 51" in post(client, "/hf", {"inputs": "x" * 51}).json()["error"]
    told = post(client, "/hf", {"inputs": "x", "parameters": {"stride": -1, "ignore_labels": [3]}}).json()["error"]
    assert told.startswith(("parameters.ignore_labels[0]: ", "parameters.stride: "))


@pytest.mark.parametrize("code", STATUS)
def test_every_error_is_a_text_here(client, code):
    @client.app.get("/hf/x/fails")
    async def fails():
        raise Problem(code, "because")

    answer = client.get("/hf/x/fails")
    assert_text_error(answer, STATUS[code])
    assert answer.json() == {"error": "because"}
    assert ("retry-after" in answer.headers) == (STATUS[code] == 503)


def test_errors_of_the_middleware_and_the_framework_are_a_text_too(serve):
    keyed = serve(api_keys="2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b")
    answer = post(keyed, "/hf", {"inputs": "Paul"})
    assert_text_error(answer, 401)
    assert "www-authenticate" in answer.headers
    assert post(keyed, "/hf", {"inputs": "Paul"}, authorization="Bearer secret").status_code == 200
    limited = serve(rate_limit="1/hour")
    assert post(limited, "/hf", {"inputs": "Paul"}).status_code == 200
    answer = post(limited, "/hf/english", {"inputs": "Paul"})
    assert_text_error(answer, 429)
    assert int(answer.headers["retry-after"]) > 0


def test_a_wrong_media_type_path_or_host_is_refused_with_a_text(client):
    assert_text_error(post(client, "/hf", b"a", **{"content-type": "text/plain"}), 415)
    assert_text_error(post(client, "/hf/", {"inputs": "a"}), 404)
    assert_text_error(client.get("/hf"), 405)
    assert_text_error(client.get("/hf/english/more"), 404)
    assert_text_error(post(client, "/hf", {"inputs": "a"}, host="elsewhere.example"), 400)


class Breaks(RunTagger):
    def work(self, items):
        raise KeyError(items[0])


def test_an_unexpected_error_is_a_text_without_details(serve):
    answer = post(serve(Breaks()), "/hf", {"inputs": "secret"})
    assert_text_error(answer, 500)
    assert "secret" not in answer.text
    assert "Error" not in answer.text


def test_a_model_that_is_not_loaded_is_a_503_to_be_tried_again(client):
    client.app.state.service.models.serve({})
    answer = post(client, "/hf", {"inputs": "a"})
    assert_text_error(answer, 503)
    assert answer.headers["retry-after"] == "1"


def test_tag_keeps_its_shape_of_errors(client, refused):
    refused(client.tag({"text": 3}), 422, "invalid_request")


def raw_post(body, path=b"/hf", *headers):
    lines = [b"POST %s HTTP/1.1" % path, b"Host: localhost", b"Content-Type: application/json", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


def ask(server, *sent):
    return server.ask(raw_post(*sent))


def test_a_deadline_is_a_text():
    gate = Gate()
    with LiveServer(gate, deadline_seconds=0.2) as server:
        answer = ask(server, b'{"inputs":"Paul"}')
        gate.opened.set()
    assert answer.status == 504
    assert isinstance(answer.json["error"], str)


@pytest.mark.parametrize("path", [b"/hf", b"/hf/english", b"/analyze"])
def test_an_overloaded_model_is_a_text_with_retry_after(path):
    gate = Gate()
    with LiveServer(gate, max_waiting=1) as server:
        first = threading.Thread(target=ask, args=(server, b'{"inputs":"Paul"}'))
        first.start()
        wait_for(lambda: gate.begun)
        answer = ask(server, b'{"inputs":"Ada"}', path)
        gate.opened.set()
        first.join()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json == {"error": "too many requests are waiting; try again in a moment"}
    assert answer.headers["x-request-id"]


def test_what_the_parser_refuses_is_a_text_where_the_path_is_known():
    with LiveServer(max_header_bytes=1024) as server:
        large = ask(server, b"{}", b"/hf/english", b"X: " + b"a" * 2000)
        hostless = server.ask(b"POST /hf HTTP/1.1\r\n\r\n")
        unknown = server.ask(b"nonsense\r\n\r\n")
    assert (large.status, type(large.json["error"])) == (431, str)
    assert (hostless.status, type(hostless.json["error"])) == (400, str)
    assert (unknown.status, type(unknown.json["error"])) == (400, dict)


def test_a_client_that_leaves_while_its_text_waits_is_not_computed_and_counted():
    gate = Gate()
    with LiveServer(gate) as server:
        with server.connect() as first, server.connect() as second:
            first.send(raw_post(b'{"inputs":"Paul"}'))
            wait_for(lambda: gate.begun == 1)
            second.send(raw_post(b'{"inputs":"Ada"}'))
            wait_for(lambda: server.count("fenestra_queue_depth") == 2)
        wait_for(lambda: server.count("fenestra_open_connections") == 0)
        gate.opened.set()
        wait_for(lambda: server.count('fenestra_requests_total{method="POST",route="/hf",status="499"}') == 2)
        assert server.count("fenestra_cancelled_total") == 2
    assert gate.begun == 1


def test_requests_are_named_by_their_template(runs):
    found(runs, "Paul", "/hf/english")
    post(runs, "/hf/secret", {"inputs": "a"})
    text = runs.get("/metrics").text
    assert 'route="/hf/{model}"' in text
    assert "secret" not in text


def test_a_large_answer_is_compressed_for_those_who_ask(runs):
    answer = post(runs, "/hf", {"inputs": "Paul x " * 300}, **{"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json()) == 300
