"""``POST /explain``: the shares of the model, offsets in the client's unit, and errors of the common shape."""

import re

import pytest


def explain(client, **body):
    return client.request("POST", "/explain", json=body)


def test_the_shares_bias_and_document_add_up_to_the_logit(client):
    answer = explain(client, text="Ada met Ito", token=2)
    assert answer.status_code == 200
    found = answer.json()
    assert found["model"] == {"name": "english", "version": "stub-1"}
    assert found["token"] == {"text": "Ito", "start": 8, "end": 11, "tag": "B-PER", "score": 0.3}
    assert (found["column"], found["method"]) == ("S-PER", "exact")
    assert [(place["position"], place["text"], place["start"]) for place in found["window"]] == [
        (-1, "met", 4),
        (0, "Ito", 8),
        (1, None, None),
    ]
    assert found["logit"] == found["bias"] + found["document"] + sum(place["share"] for place in found["window"])


def test_offsets_come_in_the_unit_asked_for(client):
    found = explain(client, text="👩‍🚀 Ada met Ito", token=1, offsets="utf16").json()
    text = "👩‍🚀 Ada met Ito".encode("utf-16-le")
    for place in [found["token"], *(place for place in found["window"] if place["text"] is not None)]:
        assert text[2 * place["start"] : 2 * place["end"]].decode("utf-16-le") == place["text"]


def test_words_are_counted_as_words(client):
    found = explain(client, tokens=["Ada", "met", "Ito"], token=0).json()
    assert (found["token"]["start"], found["token"]["end"]) == (0, 1)


def test_another_tag_can_be_explained_and_compared_and_runners_up_be_told(client):
    found = explain(client, text="Ada met Ito", token=2, tag="PER", against="LOC", alternatives=3).json()
    assert (found["column"], found["against"]) == ("S-PER", "S-LOC")
    assert found["token"]["alternatives"] == [{"name": "O", "score": 0.2}]
    plain = explain(client, text="Ada met Ito", token=2).json()
    assert {*found} - {*plain} == {"against"}
    assert "alternatives" not in plain["token"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"text": "Ada", "token": 1}, 422, "invalid_request"),
        ({"text": "", "token": 0}, 422, "invalid_request"),
        ({"text": "Ada", "token": -1}, 422, "invalid_request"),
        ({"text": "Ada", "token": True}, 422, "invalid_request"),
        ({"text": "Ada"}, 422, "invalid_request"),
        ({"token": 0}, 422, "invalid_request"),
        ({"text": ["Ada"], "token": 0}, 422, "invalid_request"),
        ({"text": "Ada", "tokens": ["Ada"], "token": 0}, 422, "invalid_request"),
        ({"text": "Ada", "token": 0, "details": True}, 422, "unknown_or_duplicate_field"),
        ({"text": "Ada", "token": 0, "model": "other"}, 404, "not_found"),
        ({"text": "Ada", "token": 0, "against": "SECRET"}, 422, "invalid_request"),
        ({"text": "Ada", "token": 0, "against": 1}, 422, "invalid_request"),
        ({"text": "Ada", "token": 0, "alternatives": 21}, 422, "invalid_request"),
    ],
)
def test_what_cannot_be_explained_is_refused(client, refused, body, status, code):
    refused(explain(client, **body), status, code)


def test_an_explanation_is_counted_in_the_metrics_of_tagging(client):
    explain(client, text="Ada met Ito", token=2)
    counted = client.get("/metrics").text
    assert "fenestra_tokens_total 3.0" in counted
    (seconds,) = re.findall(r'^fenestra_stage_seconds_total\{stage="network"\} (\S+)$', counted, re.MULTILINE)
    assert float(seconds) > 0
