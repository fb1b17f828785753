"""Hugging Face's own clients post to the service as to any endpoint of token classification."""

import asyncio
import hashlib
import json

import pytest

hub = pytest.importorskip("huggingface_hub", reason="huggingface-hub is not installed")

TEXTS = [
    "Ada Lovelace met Charles Babbage in London.",
    "Siemens is based in Munich; the Bundestag sits in Berlin.",
    "🚀 The Dutch striker joined Real Madrid in Spain.\n\nAnna Müller reported from Zürich.",
    "nobody was there",
]
STRATEGIES = ["simple", "first", "average", "max"]
KEY = "open sesame"


@pytest.fixture(scope="module")
def server(start):
    return start(models="english,russian")


def tagged(server, text, **options):
    status, body = server.tag({"text": text, **options})
    assert status == 200
    return json.loads(body)["results"]


def client_of(server, path="/hf", **options):
    return hub.InferenceClient(model=f"http://127.0.0.1:{server.port}{path}", **options)


def spans(entities):
    """What our entities are in the client's words."""
    return [(e["label"], e["score"], e["text"], e["start"], e["end"]) for e in entities]


def groups(elements):
    return [(e.entity_group, e.score, e.word, e.start, e.end) for e in elements]


@pytest.mark.parametrize("strategy", [None, *STRATEGIES])
@pytest.mark.parametrize("text", TEXTS)
def test_every_strategy_that_groups_gives_the_entities_of_tag(server, text, strategy):
    (result,) = tagged(server, text)
    found = client_of(server).token_classification(text, aggregation_strategy=strategy)
    assert groups(found) == spans(result["entities"])


@pytest.mark.parametrize("text", TEXTS)
def test_the_strategy_none_gives_the_tokens_of_tag(server, text):
    (result,) = tagged(server, text, details=True)
    found = client_of(server).token_classification(text, aggregation_strategy="none")
    assert [(e.entity, e.score, e.index, e.word, e.start, e.end) for e in found] == [
        (token["tag"], token["score"], index, token["text"], token["start"], token["end"])
        for index, token in enumerate(result["tokens"], 1)
        if token["tag"] != "O"
    ]


def test_ignored_labels_and_a_stride(server):
    client = client_of(server)
    found = client.token_classification(TEXTS[0], ignore_labels=["PER", "O"], stride=2, aggregation_strategy="simple")
    assert [e.word for e in found] == ["London"]
    all_groups = client.token_classification(TEXTS[0], ignore_labels=[], aggregation_strategy="simple")
    assert [e.entity_group for e in all_groups] == ["PER", "O", "PER", "O", "LOC", "O"]


def test_the_address_chooses_the_model(server):
    text = "Анна Каренина жила в Москве."
    (result,) = tagged(server, text, model="russian")
    assert result["entities"]
    assert groups(client_of(server, "/hf/russian").token_classification(text)) == spans(result["entities"])


def test_the_asynchronous_client(server):
    async def ask():
        async with hub.AsyncInferenceClient(model=f"http://127.0.0.1:{server.port}/hf") as client:
            return await asyncio.gather(*map(client.token_classification, TEXTS * 5))

    expected = [spans(result["entities"]) for result in tagged(server, TEXTS * 5)]
    assert [groups(found) for found in asyncio.run(ask())] == expected


def test_a_key_goes_as_the_clients_token(start):
    server = start(api_keys=hashlib.sha256(KEY.encode()).hexdigest())
    assert client_of(server, token=KEY).token_classification(TEXTS[0])
    with pytest.raises(hub.errors.HfHubHTTPError, match="send a key as Authorization: Bearer KEY") as refused:
        client_of(server, token="wrong").token_classification(TEXTS[0])
    assert refused.value.response.status_code == 401


def test_the_client_shows_the_text_of_an_error(server):
    with pytest.raises(hub.errors.HfHubHTTPError, match="no model of that name") as refused:
        client_of(server, "/hf/dutch").token_classification(TEXTS[0])
    assert refused.value.response.status_code == 404
    with pytest.raises(hub.errors.HfHubHTTPError, match="aggregation_strategy: should be 'none', 'simple'"):
        client_of(server).token_classification(TEXTS[0], aggregation_strategy="most")


def test_a_label_map_renames_and_drops_and_the_answer_says_so(start):
    server = start(label_map="PER:PERSON,ORG:")
    found = client_of(server).token_classification(TEXTS[0])
    assert [(e.entity_group, e.word) for e in found] == [
        ("PERSON", "Ada Lovelace"), ("PERSON", "Charles Babbage"), ("LOC", "London"),
    ]  # fmt: skip
    assert [e["label"] for e in tagged(server, TEXTS[1])[0]["entities"]] == ["ORG", "LOC", "LOC"]
    assert [e.word for e in client_of(server).token_classification(TEXTS[1])] == ["Munich", "Berlin"]
    assert post(server, {"inputs": "x"}).headers["x-fenestra-labels"] == "ORG=, PER=PERSON"


def test_a_label_that_no_model_has_stops_the_start(start):
    with pytest.raises(RuntimeError, match="FENESTRA_LABEL_MAP: no model has the label 'PERS'"):
        start(label_map="PERS:PERSON")


def post(server, body, path="/hf"):
    """As callers that were written for ``transformers`` behind a web service do: plain JSON, with lists too."""
    return hub.get_session().post(f"http://127.0.0.1:{server.port}{path}", json=body)


def test_a_list_in_gives_a_list_of_lists_out_as_a_pipeline_does(server):
    answer = post(server, {"inputs": TEXTS, "parameters": {"aggregation_strategy": "first"}}).json()
    expected = [[dict(zip(KEYS, span, strict=True)) for span in spans(r["entities"])] for r in tagged(server, TEXTS)]
    assert answer == expected


KEYS = ["entity_group", "score", "word", "start", "end"]


def test_a_request_may_bring_a_map_of_its_own(server):
    body = {"inputs": TEXTS[1], "parameters": {"label_map": {"LOC": "PLACE", "ORG": None}}}
    answer = post(server, body)
    assert [row["entity_group"] for row in answer.json()] == ["PLACE", "PLACE"]
    assert answer.headers["x-fenestra-labels"] == "LOC=PLACE, ORG="


def test_the_options_of_the_inference_api_are_taken(server):
    body = {"inputs": TEXTS[0], "options": {"wait_for_model": True, "use_cache": False}}
    assert post(server, body).json() == post(server, {"inputs": TEXTS[0]}).json()


def test_what_the_page_shows_is_what_happens(server, follow):
    follow("huggingface.md", server.port)
