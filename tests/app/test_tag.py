"""``POST /tag``: the responses to valid requests."""

import json

import pytest

from fenestra.model.results import Result


def test_one_text_gives_one_result_with_its_entities(client):
    answer = client.tag({"text": "we met Ada there"})
    assert answer.json() == {
        "model": {"name": "english", "version": "stub-1"},
        "results": [{"entities": [{"start": 7, "end": 10, "label": "PER", "text": "Ada", "score": 0.3}]}],
    }


def test_several_texts_give_results_in_order(client):
    results = client.results(text=["Ada", "nobody", "Bob Cy"])
    assert [[e["text"] for e in r["entities"]] for r in results] == [["Ada"], [], ["Bob", "Cy"]]


@pytest.mark.parametrize("field", ["text", "tokens"])
def test_an_empty_list_gives_no_results(client, field):
    assert client.results(**{field: []}) == []


@pytest.mark.parametrize("tokens", [["we", "met", "Ada"], [["we", "met", "Ada"]]])
def test_a_sentence_of_words_counts_words(client, tokens):
    expected = [{"entities": [{"start": 2, "end": 3, "label": "PER", "text": "Ada", "score": 0.3}]}]
    assert client.results(tokens=tokens) == expected


def test_an_empty_sentence_keeps_its_place(client):
    results = client.results(tokens=[["Ada"], [], ["Bob"]])
    assert [len(r["entities"]) for r in results] == [1, 0, 1]


def test_offsets_of_words_stay_word_indices_in_any_unit(client):
    (result,) = client.results(tokens=["👩‍🚀👩‍🚀", "Ada"], offsets="utf8", details=True)
    assert [(t["start"], t["end"]) for t in result["tokens"]] == [(0, 1), (1, 2)]


def test_details_add_every_token_with_its_tag(client):
    (result,) = client.results(text="met Ada", details=True)
    assert result["tokens"] == [
        {"text": "met", "start": 0, "end": 3, "tag": "O", "score": 0.3},
        {"text": "Ada", "start": 4, "end": 7, "tag": "B-PER", "score": 0.3},
    ]


def test_without_details_there_is_no_tokens_key(client):
    assert set(client.results(text="Ada", details=False)[0]) == {"entities"}


def test_labels_keep_only_what_is_asked_for(client):
    assert client.results(text="Ada", labels=["LOC"]) == [{"entities": []}]
    assert len(client.results(text="Ada", labels=["LOC", "PER"])[0]["entities"]) == 1
    assert client.results(text="Ada", labels=[]) == [{"entities": []}]


def test_an_unknown_label_is_refused_and_the_known_ones_are_named(client, refused):
    answer = client.tag({"text": "Ada", "labels": ["PERSON_OF_INTEREST"]})
    refused(answer, 422, "invalid_request")
    assert "PER, LOC" in answer.json()["error"]["message"]
    assert "INTEREST" not in answer.text


def test_min_score_drops_entities_below_and_keeps_those_at_it(client):
    (result,) = client.results(text="Ada Beatrix Ad", min_score=0.3)
    assert [e["text"] for e in result["entities"]] == ["Ada", "Beatrix"]


def test_scores_are_filtered_as_they_are_and_written_with_six_digits(serve, stub):
    tag = stub.tag

    def thirds(texts):
        return [Result([entity._replace(score=1 / 3) for entity in found], found.tokens, []) for found in tag(texts)]

    stub.tag = thirds
    client = serve(stub)
    assert client.results(text="Ada", min_score=1 / 3)[0]["entities"][0]["score"] == 0.333333
    assert client.results(text="Ada", min_score=0.3333334) == [{"entities": []}]


def test_min_score_may_be_written_as_an_integer(client):
    assert client.results(text="Ada", min_score=1) == [{"entities": []}]


def test_null_counts_as_absent_where_a_field_is_optional(client):
    assert len(client.results(text="Ada", tokens=None, labels=None, model=None)[0]["entities"]) == 1


# A text, and where its "Ada" stands in each unit: a plain one, emoji, an astral letter, combining marks, Russian.
PLACES = {
    "so Ada": {"codepoint": (3, 6), "utf16": (3, 6), "utf8": (3, 6)},
    "👩‍🚀 Ada": {"codepoint": (4, 7), "utf16": (6, 9), "utf8": (12, 15)},
    "𝔞 Ada 🙂": {"codepoint": (2, 5), "utf16": (3, 6), "utf8": (5, 8)},
    "e\u0301e\u0301 Ada": {"codepoint": (5, 8), "utf16": (5, 8), "utf8": (7, 10)},
    "это Ada": {"codepoint": (4, 7), "utf16": (4, 7), "utf8": (7, 10)},
}


@pytest.mark.parametrize("unit", ["codepoint", "utf16", "utf8"])
@pytest.mark.parametrize("text", PLACES)
def test_offsets_are_counted_in_the_unit_asked_for(client, text, unit):
    (result,) = client.results(text=text, offsets=unit, details=True)
    (entity,) = result["entities"]
    (token,) = [token for token in result["tokens"] if token["text"] == "Ada"]
    assert (entity["start"], entity["end"]) == (token["start"], token["end"]) == PLACES[text][unit]


@pytest.mark.parametrize(
    "text", ["", "   ", "\u200b\u200d\ufeff", "\n\n\n"], ids=["empty", "spaces", "zero width", "newlines"]
)
def test_a_text_without_words_has_no_entities(client, text):
    assert client.results(text=text) == [{"entities": []}]


@pytest.mark.parametrize(
    "odd", ["\0", "\x01\x1f", "\u202e", "A\u030a", "Å", "👩‍🚀", "𐍈", "\uffff", "\U0010ffff"], ids=ascii
)
@pytest.mark.parametrize("unit", ["codepoint", "utf16", "utf8"])
def test_odd_characters_come_back_whole_and_at_their_offsets(client, odd, unit):
    text = f"{odd} Ada {odd} Bob"
    codec = {"codepoint": "utf-32-le", "utf16": "utf-16-le", "utf8": "utf-8"}[unit]
    width = {"codepoint": 4, "utf16": 2, "utf8": 1}[unit]
    (result,) = client.results(text=text, offsets=unit)
    assert {"Ada", "Bob"} <= {entity["text"] for entity in result["entities"]}
    for entity in result["entities"]:
        cut = text.encode(codec)[entity["start"] * width : entity["end"] * width]
        assert cut.decode(codec) == entity["text"]


def test_the_default_model_can_be_asked_for_by_name(client):
    assert client.tag({"text": "Ada", "model": "english"}).status_code == 200


@pytest.mark.parametrize("name", ["../x", "%2e%2e", "/etc/passwd", "a\0b", "http://169.254.169.254/", "", "German"])
def test_a_model_that_is_not_listed_is_not_found(client, refused, name):
    answer = client.tag({"text": "Ada", "model": name})
    refused(answer, 404, "not_found")
    assert not name or name not in answer.json()["error"]["message"]


def test_models_lists_the_model_with_its_labels(serve):
    listed = serve(model_name="mine").get("/models").json()
    assert listed == {"models": [{"name": "mine", "version": "stub-1", "labels": ["PER", "LOC"], "default": True}]}


def test_alternatives_are_other_tags_and_labels_with_details(serve, small_tagger):
    client = serve(tagger=small_tagger)
    text = "Ada met Siemens in Munich."
    (plain,) = client.results(text=text, details=True)
    (found,) = client.results(text=text, details=True, alternatives=2)
    for ours, before in zip(found["entities"] + found["tokens"], plain["entities"] + plain["tokens"], strict=True):
        others = ours.pop("alternatives")
        assert ours == before
        assert 1 <= len(others) <= 2
        assert (before.get("tag") or before["label"]) not in [other["name"] for other in others]
        assert [other["score"] for other in others] == sorted((other["score"] for other in others), reverse=True)
        assert all(0 <= other["score"] <= 1 for other in others)


def test_alternatives_without_details_or_out_of_range_are_refused(client, refused):
    answer = client.tag({"text": "Ada", "alternatives": 1})
    refused(answer, 422, "invalid_request")
    assert "alternatives needs details" in answer.json()["error"]["message"]
    for count in (-1, 21, 1.5, "two"):
        refused(client.tag({"text": "Ada", "details": True, "alternatives": count}), 422, "invalid_request")


RUSSIAN = "Анна Соколова переехала из Казани во Владивосток."
WARNING = {
    "code": "other_script",
    "message": "most letters are Cyrillic; this model reads Latin script (language en)",
}


@pytest.mark.parametrize("body", [{"text": RUSSIAN}, {"tokens": RUSSIAN.split()}])
def test_a_text_in_another_script_is_tagged_and_warned_of(client, body):
    answer = client.tag(body).json()
    assert list(answer) == ["model", "results", "warnings"]
    assert answer["warnings"] == [{**WARNING, "results": [0]}]
    assert len(answer["results"]) == 1


def test_a_warning_says_which_results_it_is_about(client):
    answer = client.tag({"text": ["Ada", RUSSIAN, "met Ada", RUSSIAN, "東京都は日本の首都であり世界最大の都市"]}).json()
    assert [warning["results"] for warning in answer["warnings"]] == [[1, 3], [4]]
    assert len(answer["results"]) == 5


def test_without_a_reason_there_is_no_warning(client):
    text = "Ada met Анна Соколова in Kazan and Владивосток later that year."
    assert set(client.tag({"text": [text, ""]}).json()) == {"model", "results"}


def test_many_texts_in_another_script_are_still_written_in_pieces():
    from fenestra.app.api.rendering import tag_answer
    from fenestra.app.api.schemas import TagRequest

    request, results = TagRequest(text=[RUSSIAN] * 1000), [Result([], [], []) for _ in range(1000)]
    pieces = [*tag_answer(request, "m", "1", results, language="en")]
    assert len(pieces) > 10
    assert len(json.loads(b"".join(pieces))["warnings"][0]["results"]) == 1000


def test_a_line_of_a_stream_is_warned_of_too(client):
    lines = [json.dumps({"text": text}) for text in ("met Ada", RUSSIAN)]
    head = {"content-type": "application/x-ndjson"}
    answer = client.request("POST", "/tag/stream", content="\n".join(lines), headers=head)
    first, second = map(json.loads, answer.text.splitlines())
    assert "warnings" not in first
    assert second["warnings"] == [{**WARNING, "results": [0]}]
