"""One request at a time: what goes out, what comes back, what is tried again."""

import gzip
import hashlib
import json
import pickle
import threading
import time

import httpx
import pytest

from fenestra.app.codes import STATUS
from fenestra.client import (
    AsyncClient,
    Client,
    ClientError,
    ConnectionFailed,
    InvalidRequest,
    NotFound,
    RateLimited,
    ReloadFailed,
    Retries,
    ServiceError,
    ServiceFailed,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)
from fenestra.client.calls import RETRIED
from tests.client.conftest import ADDRESS, Broken, Script, refusal, tag

TEXT = "Ada met Charles."
KEY = "correct horse"

# ── the real service ──


def test_the_answer_is_that_of_the_service(connect):
    client = connect()
    raw = httpx.post(f"{client._address.url}/tag", json={"text": [TEXT, "é Ada"], "details": True}).json()
    answer = client.tag([TEXT, "é Ada"], details=True)
    assert answer.model_dump(exclude_none=True) == raw
    assert [entity.text for entity in client(TEXT)] == ["Ada", "Charles"]


def test_words_options_and_units_go_through(connect):
    client = connect()
    words = client.tag(tokens=[["Ada", "met", "Ito"], ["Bo"]])
    assert [[entity.start for entity in result.entities] for result in words.results] == [[0, 2], [0]]
    assert client.tag("🚀 Ada", offsets="utf16").results[0].entities[0].start == 3
    assert client.tag("Ada Elizabeth", min_score=0.5).results[0].entities[0].text == "Elizabeth"
    assert client.tag("Ada", labels=("LOC",)).results[0].entities == []
    assert client.tag("Ada").results[0].tokens is None


def test_explanations_models_and_probes(connect):
    client = connect()
    explanation = client.explain("Ada met Ito", token=2)
    assert (explanation.token.text, len(explanation.window)) == ("Ito", 3)
    assert client.explain(tokens=["Ada", "met"], token=0).token.tag == "B-PER"
    compared = client.explain("Ada met Ito", token=2, against="LOC", alternatives=1)
    assert (compared.against, [other.name for other in compared.token.alternatives]) == ("S-LOC", ["O"])
    (model,) = client.models()
    assert (model.default, model.labels) == (True, ["PER", "LOC"])
    assert client.ready()


def test_a_service_that_is_not_there_is_not_ready():
    with Client("http://127.0.0.1:9") as client:
        assert not client.ready()


def test_an_error_says_where_nothing_answered_and_shows_no_secret(clock):
    with Client("http://user:secret@127.0.0.1:9", retries=Retries(seconds=0)) as client:
        with pytest.raises(ConnectionFailed, match=r"nothing can be reached at 127\.0\.0\.1:9: ") as caught:
            client("Ada")
        assert "secret" not in str(caught.value)
    script = Script(httpx.ReadTimeout("secret"))
    with pytest.raises(ConnectionFailed, match=r"no whole answer came from tagger\.example: ReadTimeout") as caught:
        script.client(retries=Retries(seconds=0))("Ada")
    assert "secret" not in str(caught.value)


def test_a_key_goes_along_and_is_shown_nowhere(connect):
    keys = (hashlib.sha256(KEY.encode()).hexdigest(),)
    client = connect(api_key=KEY, api_keys=keys)
    assert client("Ada")
    assert KEY not in repr(client)
    with Client(client._address.url, api_key="wrong") as other, pytest.raises(Unauthorized) as caught:
        other("Ada")
    assert "wrong" not in str(caught.value)
    assert caught.value.status == 401


def test_refusals_of_the_service_keep_its_words_and_the_id_of_the_request(connect):
    client = connect()
    with pytest.raises(InvalidRequest, match=r"labels: a label is unknown.+\(422, request \w+\)") as caught:
        client.tag("Ada", labels=["VEGETABLE"])
    assert caught.value.code == "invalid_request"
    with pytest.raises(NotFound):
        client.tag("Ada", model="klingon")


def test_connections_that_the_service_has_closed_are_replaced(connect):
    client = connect(keep_alive_seconds=0.1)
    for _ in range(3):
        assert client("Ada")
        time.sleep(0.3)


def test_large_bodies_are_compressed_both_ways(live):
    answers = []
    address = "http://{}:{}".format(*live().address)
    with httpx.Client(event_hooks={"response": [answers.append]}) as http:
        texts = [f"Ada {'x' * number}" for number in range(200)]
        assert len(Client(address, http=http).tag(texts, details=True).results) == len(texts)
        assert Client(address, http=http, gzip_min_bytes=0).tag(texts, details=True)
    packed, plain = answers
    assert packed.request.headers["content-encoding"] == packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.request.headers
    assert "content-encoding" not in plain.headers


def test_several_threads_share_a_client(connect):
    client = connect()
    texts = [f"Ada met {'I' * number}to" for number in range(1, 9)]
    found = {}

    def ask(text):
        found[text] = [client(text)[1].text for _ in range(20)]

    threads = [threading.Thread(target=ask, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {text: [text.split()[2]] * 20 for text in texts}


# ── what goes out ──


def test_requests_stay_small_and_say_only_what_was_asked():
    script = Script(tag)
    script.client().tag("Ada", labels=("PER",))
    (request,) = script.requests
    assert str(request.url) == f"{ADDRESS}/tag"
    assert json.loads(request.content) == {"text": "Ada", "labels": ["PER"]}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("fenestra-client/")
    assert "authorization" not in request.headers


def test_gzip_can_be_turned_off_and_is_used_for_what_is_large():
    script = Script(httpx.Response(200, json={"model": {"name": "a", "version": "1"}, "results": []}))
    text = " ".join(map(str, range(300)))
    script.client(gzip_min_bytes=1000).tag(text)
    script.client(gzip_min_bytes=0).tag(text)
    script.client(gzip_min_bytes=1000).tag("a" * 100_000)
    packed, plain, repetitive = script.requests
    assert "content-encoding" not in repetitive.headers  # the service would take it for an attack
    assert packed.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(packed.content)) == json.loads(plain.content)
    assert (packed.headers["accept-encoding"], plain.headers["accept-encoding"]) == ("gzip", "identity")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one of text and tokens"),
        ({"text": "a", "tokens": ["b"]}, "exactly one"),
        ({"text": 5}, "text"),
        ({"text": "\ud800"}, "surrogate"),
        ({"text": "a", "min_score": 2}, "min_score"),
        ({"text": "a", "alternatives": 2}, "details"),
        ({"text": "a", "offsets": "miles"}, "offsets"),
        ({"text": "a", "colour": "red"}, "colour"),
    ],
)
def test_what_would_be_refused_for_its_form_is_not_sent(arguments, message):
    script = Script(tag)
    with pytest.raises(InvalidRequest, match=message) as caught:
        script.client().tag(**arguments)
    assert (script.requests, caught.value.status) == ([], None)


@pytest.mark.parametrize("address", ["", "localhost:8000", "ftp://host", "http://", "http://host/?a=1"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ValueError, match="base_url"):
        Client(address)


def test_the_password_of_an_address_is_not_shown():
    assert "secret" not in repr(Client("http://me:secret@host/ner"))


def test_a_client_of_ones_own_stays_open():
    with httpx.Client(transport=httpx.MockTransport(Script(tag))) as own:
        with Client(ADDRESS, http=own) as client:
            client("Ada")
        assert not own.is_closed
    with Client(ADDRESS) as client:
        pass
    assert client._http.is_closed


# ── what comes back ──

KINDS = {
    **dict.fromkeys((400, 405, 413, 415, 422, 431), InvalidRequest),
    **{401: Unauthorized, 404: NotFound, 409: ReloadFailed, 429: RateLimited},
    **dict.fromkeys((500, 501), ServiceFailed),
    **dict.fromkeys((503, 504), Unavailable),
}


@pytest.mark.parametrize("code", STATUS)
def test_every_code_of_the_service_has_its_error(code):
    with pytest.raises(ServiceError) as caught:
        Script(refusal(STATUS[code], code)).client(retries=Retries(seconds=0)).tag("Ada")
    error = caught.value
    assert type(error) is KINDS[STATUS[code]]
    assert (error.code, error.status, error.request_id) == (code, STATUS[code], "5f0c")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    ("status", "code"), [(502, "bad_gateway"), (403, "forbidden"), (302, "found"), (599, "http_599")]
)
def test_the_answer_of_a_proxy_is_an_error_without_its_page(status, code):
    script = Script(httpx.Response(status, html="<h1>Squid says no</h1>"))
    with pytest.raises(ServiceError) as caught:
        script.client(retries=Retries(seconds=0)).tag("Ada")
    assert caught.value.code == code
    assert "Squid" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"results":[]}', b"[]"])
def test_an_answer_of_another_service_is_an_error(body):
    with pytest.raises(UnexpectedAnswer):
        Script(httpx.Response(200, content=body)).client().tag("Ada")


def test_fields_of_later_versions_are_left_out():
    answer = {"model": {"name": "a", "version": "1", "mood": "good"}, "results": [{"entities": []}], "weather": "rain"}
    assert Script(httpx.Response(200, json=answer)).client().tag("Ada").results[0].entities == []


# ── what is tried again ──


@pytest.mark.parametrize(
    "trouble",
    [
        *(refusal(status) for status in sorted(RETRIED)),
        *(kind("no") for kind in (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)),
        *(kind("no") for kind in (httpx.ConnectTimeout, httpx.ReadTimeout, httpx.PoolTimeout)),
        lambda request: httpx.Response(200, stream=Broken(b'{"model":')),
    ],
    ids=lambda trouble: str(getattr(trouble, "status_code", type(trouble).__name__)),
)
def test_trouble_that_passes_is_waited_for(clock, trouble):
    script = Script(trouble, trouble, tag)
    assert script.client()("Ada")[0].text == "Ada"
    assert len(script.requests) == 3
    assert len({request.content for request in script.requests}) == 1
    first, second = clock.pauses
    assert 0.05 <= first <= 0.1 <= second <= 0.2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 422, 500, 501])
def test_what_stays_wrong_is_not_tried_again(clock, status):
    script = Script(refusal(status))
    with pytest.raises(ServiceError):
        script.client()("Ada")
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "failure", [httpx.UnsupportedProtocol("no"), httpx.LocalProtocolError("no"), httpx.ProxyError("no")]
)
def test_failures_that_would_come_again_are_told_at_once(clock, failure):
    with pytest.raises(ConnectionFailed) as caught:
        Script(failure).client()("Ada")
    assert caught.value.__cause__ is failure
    assert clock.pauses == []


def test_the_service_says_how_long_to_wait(clock):
    script = Script(refusal(503, **{"Retry-After": "7"}), refusal(429, **{"Retry-After": "2"}), tag)
    script.client()("Ada")
    assert clock.pauses == [7, 2]


@pytest.mark.parametrize(
    "value",
    [
        "soon", "-5", "", "Wed, 21 Oct 99999999999999999999 07:28:00 GMT",
        "Wed, 21 Oct 2015 99999999999999999999:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 -99999999999999999999",
    ],
)  # fmt: skip
def test_a_wait_that_is_none_is_as_good_as_no_word_of_it(clock, value):
    assert Script(refusal(503, **{"Retry-After": value}), tag).client()("Ada")[0].text == "Ada"
    assert len(clock.pauses) == 1
    assert clock.pauses[0] <= 0.1


@pytest.mark.parametrize("value", ["9" * 400, "Fri, 31 Dec 9999 23:59:59 -2359"])
def test_nobody_waits_for_ever(clock, value):
    with pytest.raises(Unavailable):
        Script(refusal(503, **{"Retry-After": value}), tag).client()("Ada")
    assert clock.pauses == []


def test_patience_has_an_end(clock):
    script = Script(refusal(503))
    with pytest.raises(Unavailable):
        script.client(retries=Retries(seconds=20, longest_pause=3))("Ada")
    assert 17 - 3 <= sum(clock.pauses) < 20
    assert max(clock.pauses) <= 3


def test_nobody_waits_for_an_attempt_that_would_come_too_late(clock):
    script = Script(refusal(503, **{"Retry-After": "3600"}))
    with pytest.raises(Unavailable) as caught:
        script.client()("Ada")
    assert clock.pauses == []
    assert caught.value.retry_after == 3600


def test_a_reload_is_asked_for_twice_only_if_the_first_was_never_sent(clock):
    answer = httpx.Response(200, json={"name": "english", "version": "2", "previous": "1"})
    script = Script(httpx.ConnectError("no"), answer)
    assert script.client().reload("a/b?c").version == "2"
    assert [request.url.raw_path for request in script.requests] == [b"/ner/models/a%2Fb%3Fc/reload"] * 2
    for trouble in (refusal(503), httpx.ReadError("no"), httpx.Response(200, stream=Broken(b"{"))):
        script = Script(trouble, answer)
        with pytest.raises(ClientError):
            script.client().reload("english")
        assert len(script.requests) == 1


@pytest.mark.parametrize("retries", [0, 3, True])
def test_a_number_of_retries_is_refused_where_it_is_given(retries):
    for kind in (Client, AsyncClient):
        with pytest.raises(TypeError, match=r"^retries: expected fenestra\.client\.Retries, got (int|bool)$"):
            kind("http://localhost:8000", retries=retries)
