"""Bodies that JSON parsers accept or fail on in different ways. Most come from real attacks."""

import gzip
import json

import pytest

from fenestra.app.api.json_body import MAX_DEPTH


def nested(depth):
    return b'{"text":' + b"[" * (depth - 1) + b'"a"' + b"]" * (depth - 1) + b"}"


BAD = {
    "a lone surrogate": (rb'{"text":"a\ud800b"}', 422, "invalid_unicode"),
    "a lone surrogate, low": (rb'{"text":"a\uDFFFb"}', 422, "invalid_unicode"),
    "a lone surrogate in a word": (rb'{"tokens":["\ud800"]}', 422, "invalid_unicode"),
    "a lone surrogate in a label": (rb'{"text":"a","labels":["\udc00"]}', 422, "invalid_unicode"),
    "a lone surrogate in a key": (rb'{"text":"a","\ud800":1}', 422, "invalid_unicode"),
    "NaN": (b'{"text":NaN}', 422, "invalid_request"),
    "Infinity": (b'{"text":"a","top_k":Infinity}', 422, "invalid_request"),
    "-Infinity": (b'{"text":"a","min_score":-Infinity}', 422, "invalid_request"),
    "a number too large for a float": (b'{"text":"a","min_score":1e999}', 422, "invalid_request"),
    "4000 digits": (b'{"text":"a","min_score":' + b"9" * 4000 + b"}", 422, "invalid_request"),
    "5000 digits": (b'{"text":' + b"9" * 5000 + b"}", 422, "invalid_request"),
    "a million digits": (b'{"text":' + b"9" * 1_000_000 + b"}", 422, "invalid_request"),
    "nesting one too deep": (nested(MAX_DEPTH + 1), 400, "bad_json"),
    "nesting 200": (nested(200), 400, "bad_json"),
    "nesting 900": (nested(900), 400, "bad_json"),
    "nesting 100,000": (nested(100_000), 400, "bad_json"),
    "nesting of objects": (b'{"a":' * 500 + b"1" + b"}" * 500, 400, "bad_json"),
    "unclosed 100,000": (b"[" * 100_000, 400, "bad_json"),
    "bytes that are not UTF-8": (b'{"text":"\xff"}', 400, "bad_json"),
    "a surrogate encoded as in UTF-8": (b'{"text":"\xed\xa0\x80"}', 400, "bad_json"),
    "UTF-16": ('{"text":"a"}'.encode("utf-16"), 400, "bad_json"),
    "UTF-16 without a mark": ('{"text":"a"}'.encode("utf-16-le"), 400, "bad_json"),
    "a byte order mark": (b'\xef\xbb\xbf{"text":"a"}', 400, "bad_json"),
    "nothing": (b"", 400, "bad_json"),
    "two values": (b'{"text":"a"}{"text":"b"}', 400, "bad_json"),
    "a raw control character": (b'{"text":"a\x00b"}', 400, "bad_json"),
    "a comma too many": (b'{"text":"a",}', 400, "bad_json"),
    "an unknown field": (b'{"text":"a","secret_field":1}', 422, "unknown_or_duplicate_field"),
    "a field twice": (b'{"text":"a","text":"b"}', 422, "unknown_or_duplicate_field"),
    "a field twice, further in": (b'{"text":[{"a":1,"a":2}]}', 422, "unknown_or_duplicate_field"),
    "not an object": (b'"text"', 422, "invalid_request"),
    "null": (b"null", 422, "invalid_request"),
    "neither text nor tokens": (b"{}", 422, "invalid_request"),
    "both text and tokens": (b'{"text":"a","tokens":["a"]}', 422, "invalid_request"),
    "a number for a text": (b'{"text":1}', 422, "invalid_request"),
    "an object for a text": (b'{"text":{}}', 422, "invalid_request"),
    "a text for tokens": (b'{"tokens":"a b"}', 422, "invalid_request"),
    "an empty word": (b'{"tokens":["a",""]}', 422, "invalid_request"),
    "words and sentences mixed": (b'{"tokens":["a",["b"]]}', 422, "invalid_request"),
    "sentences and words mixed": (b'{"tokens":[["b"],"a"]}', 422, "invalid_request"),
    "a number as a string": (b'{"text":"a","min_score":"0.5"}', 422, "invalid_request"),
    "true for a number": (b'{"text":"a","min_score":true}', 422, "invalid_request"),
    "a score above 1": (b'{"text":"a","min_score":1.5}', 422, "invalid_request"),
    "a score below 0": (b'{"text":"a","min_score":-0.1}', 422, "invalid_request"),
    "1 for true": (b'{"text":"a","details":1}', 422, "invalid_request"),
    "yes for true": (b'{"text":"a","details":"yes"}', 422, "invalid_request"),
    "another unit": (b'{"text":"a","offsets":"graphemes"}', 422, "invalid_request"),
    "one label without a list": (b'{"text":"a","labels":"PER"}', 422, "invalid_request"),
}


@pytest.mark.parametrize("case", BAD)
def test_each_kind_of_bad_body_has_its_own_short_refusal(client, refused, case):
    body, status, code = BAD[case]
    answer = client.tag(body)
    refused(answer, status, code)
    assert len(answer.content) < 1024
    assert "secret" not in answer.text


def test_a_whole_surrogate_pair_in_escapes_is_a_character(client):
    (result,) = client.tag(rb'{"text":"\ud83d\ude42 Ada","offsets":"utf16"}').json()["results"]
    assert result["entities"][0]["start"] == 3


def test_an_escaped_backslash_before_ud800_is_just_text(client):
    assert client.tag(rb'{"text":"\\ud800"}').status_code == 200


def test_the_deepest_allowed_nesting_reaches_the_schema(client, refused):
    refused(client.tag(nested(MAX_DEPTH)), 422, "invalid_request")


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json", ""]
)
def test_only_json_is_a_supported_media_type(client, refused, content_type):
    headers = {} if content_type is None else {"content-type": content_type}
    answer = client.request("POST", "/tag", content=b'{"text":"secret"}', headers=headers)
    refused(answer, 415, "unsupported_media_type")
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", " application/json ;x"]
)
def test_json_is_recognised_with_parameters_and_in_any_case(client, content_type):
    answer = client.request("POST", "/tag", content=b'{"text":"a"}', headers={"content-type": content_type})
    assert answer.status_code == 200


@pytest.mark.parametrize("encoding", ["deflate", "br", "zstd", "gzip, gzip", "identity, gzip", "x"])
def test_other_encodings_than_gzip_are_refused_unread(client, refused, encoding):
    refused(client.tag(gzip.compress(b'{"text":"a"}'), **{"content-encoding": encoding}), 415, "unsupported_media_type")


def test_the_identity_encoding_is_accepted(client):
    assert client.tag(b'{"text":"a"}', **{"content-encoding": "identity"}).status_code == 200


def test_of_nine_thousand_errors_the_first_is_told(client, refused):
    answer = client.tag({"tokens": [1] * 9000, "labels": [1] * 1000, "details": "yes"})
    refused(answer, 422, "invalid_request")
    message = answer.json()["error"]["message"]
    assert message.count("tokens[") == message.count("labels[") == message.count("details:") == 1
    assert message.startswith("tokens[0]: should be")


def test_a_refusal_stays_small_whatever_the_names_of_the_labels(serve, stub, refused):
    stub.labels = tuple("\x01" * 100 + str(number) for number in range(1000))
    refused(serve(stub).tag({"text": "a", "labels": ["b"]}), 422, "invalid_request")


LIMITS = {"max_texts": 3, "max_chars": 5, "max_tokens": 4}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": "x" * 5}, 200),
        ({"text": "x" * 6}, 422),
        ({"text": ["x"] * 3}, 200),
        ({"text": ["x"] * 4}, 422),
        ({"text": ["x", "x" * 6]}, 422),
        ({"tokens": ["x"] * 4}, 200),
        ({"tokens": ["x"] * 5}, 422),
        ({"tokens": [["x"], ["x"], ["x"]]}, 200),
        ({"tokens": [["x"], ["x"], ["x"], []]}, 422),
        ({"tokens": [["x"] * 3, ["x"] * 2]}, 422),
        ({"tokens": ["x" * 5]}, 200),
        ({"tokens": [["x"], ["x" * 6]]}, 422),
    ],
    ids=json.dumps,
)
def test_a_request_within_the_limits_is_served_and_one_beyond_is_refused(serve, body, status):
    assert serve(**LIMITS).tag(body).status_code == status


def test_the_default_limits_admit_a_hundred_thousand_characters(client):
    assert client.tag({"text": "x" * 100_000}).status_code == 200
    assert client.tag({"tokens": ["x" * 100_000]}).status_code == 200
    assert client.tag({"tokens": ["x"] * 100_000}).status_code == 200
    assert client.tag({"text": "x" * 100_001}).status_code == 422
