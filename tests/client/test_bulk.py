"""Many texts: every one is answered once, in order, whatever happens on the way."""

import asyncio
import json
import random
from contextlib import aclosing

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fenestra.client import (
    AsyncClient,
    BatchSize,
    Client,
    ClientError,
    ConnectionFailed,
    InvalidRequest,
    LineError,
    LineResponse,
    Retries,
    Unavailable,
    UnexpectedAnswer,
)
from fenestra.client.batches import batches
from tests.client.conftest import ADDRESS, MODEL, Broken, Script, found, refusal, stream_lines, tag

ITEMS = st.lists(st.text(st.characters(codec="utf-8"), max_size=12) | st.lists(st.text("ab", min_size=1), max_size=3))
SMALL = BatchSize(texts=3, bytes=40)


def texts_of(results):
    return [result.entities[0].text for result in results]


def expected(items):
    return [found(item)["entities"][0]["text"] for item in items]


# ── batches ──


@given(items=ITEMS)
def test_batches_hold_all_items_in_order_within_their_limits(items):
    divided = list(batches(items, SMALL))
    assert [item for batch in divided for item in batch.items] == items
    place = 0
    for batch in divided:
        assert batch.first == place
        place += len(batch.items)
        assert len({isinstance(item, str) for item in batch.items}) == 1
        assert len(batch.items) <= 3
        assert len(batch.items) == 1 or len(json.dumps(batch.items, ensure_ascii=False).encode()) <= 40 + 100


def test_no_more_is_taken_than_is_needed():
    taken = []
    source = (taken.append(number) or str(number) for number in range(100))
    results = Script(tag).client().tag_many(source, batch=BatchSize(texts=10))
    next(results)
    assert len(taken) <= 11


@pytest.mark.parametrize("size", [{"texts": 0}, {"bytes": 0}])
def test_a_batch_of_nothing_is_refused(size):
    with pytest.raises(ValueError, match="batch"):
        BatchSize(**size)


def test_options_are_checked_before_the_first_text_is_taken():
    client = Script(tag).client()
    for method in (client.tag_many, client.stream):
        with pytest.raises(InvalidRequest, match="min_score"):
            method(iter([]), min_score=7)


# ── the real service ──

TEXTS = [f"Ada{number} met Ito in {'x' * (number % 50)}." for number in range(700)]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_one_string_is_not_taken_for_texts_nor_texts_for_one(kind):
    client = kind(ADDRESS)
    for bulk in (client.tag_many, client.stream):
        with pytest.raises(InvalidRequest, match="items: expected an iterable of texts, got one string"):
            bulk("Ada Lovelace")


def test_several_texts_are_not_taken_for_one():
    script = Script(tag)
    with pytest.raises(InvalidRequest, match="text: expected a string, got list; for several texts call tag"):
        script.client()(["Ada", "Charles"])
    with pytest.raises(InvalidRequest, match="text: expected a string, got list"):
        asyncio.run(AsyncClient(ADDRESS)(["Ada"]))
    assert script.requests == []


def test_what_is_neither_text_nor_words_is_named_by_its_place(connect):
    client = connect()
    for wrong in (None, float("nan"), 3, {1, 2}):
        with pytest.raises(InvalidRequest, match=r"text 2: .*expected a text or a list of words, got") as caught:
            list(client.tag_many(["Ada", "Bo", wrong, "Cy"]))
        assert caught.value.index == 2
        with pytest.raises(InvalidRequest, match="text 1: ") as caught:
            list(client.tag_many([["Ada"], wrong]))
        answers = list(client.stream(["Ada", wrong, "Bo"]))
        assert [isinstance(answer, LineError) for answer in answers] == [False, True, False]


def test_all_ways_give_what_one_request_gives(connect):
    client = connect(max_texts=1000)
    at_once = client.tag(TEXTS).results
    assert list(client.tag_many(TEXTS)) == at_once
    lines = list(client.stream(TEXTS))
    assert [line.line for line in lines] == list(range(1, 701))
    assert [line.results[0] for line in lines] == at_once

    async def each():
        async with AsyncClient(client._address.url) as asynchronous:
            assert await asynchronous.ready()
            assert (await asynchronous.models())[0].default
            assert (await asynchronous("Ada"))[0].text == "Ada"
            assert (await asynchronous.explain("Ada", token=0)).token.text == "Ada"
            many = [result async for result in asynchronous.tag_many(TEXTS)]
            streamed = [line.results[0] async for line in asynchronous.stream(TEXTS)]
        return many, streamed

    assert asyncio.run(each()) == (at_once, at_once)


def test_texts_and_sentences_of_words_may_come_mixed(connect):
    items = ["Ada met Ito", ["Ada", "met"], ["Bo"], "Bo"]
    client = connect()
    labels = [[entity.text for entity in result.entities] for result in client.tag_many(items)]
    assert labels == [["Ada", "Ito"], ["Ada"], ["Bo"], ["Bo"]]
    assert [[entity.text for entity in line.results[0].entities] for line in client.stream(items)] == labels


def test_a_service_with_lower_limits_gets_smaller_requests(connect):
    client = connect(max_texts=7, max_body_bytes=4000)
    assert len(list(client.tag_many(TEXTS[:100]))) == 100


def test_the_text_that_cannot_be_tagged_is_named_and_not_shown(connect):
    client = connect(max_chars=100)
    texts = ["Ada", "Bo", "Secret " * 20, "Ito"]
    with pytest.raises(InvalidRequest, match="text 2: ") as caught:
        list(client.tag_many(texts))
    assert caught.value.index == 2
    assert "Secret" not in str(caught.value)


def test_a_line_that_is_refused_stops_no_other(connect):
    texts = ["Ada", "x" * 200, "Ito", "\ud800", "Bo"]
    lines = list(connect(max_chars=100).stream(texts))
    assert [type(line) for line in lines] == [LineResponse, LineError, LineResponse, LineError, LineResponse]
    assert [line.line for line in lines] == [1, 2, 3, 4, 5]
    assert [line.error.code for line in lines if isinstance(line, LineError)] == ["invalid_request", "invalid_unicode"]


def test_a_line_that_compresses_too_well_is_answered(connect):
    (line,) = connect().stream(["x" * 90_000])
    assert isinstance(line, LineResponse)


def test_a_portion_of_a_stream_fits_into_the_buffers_of_a_connection():
    script = Script(lambda request: httpx.Response(200, content=b"".join(stream_lines(request))))
    list(script.client(gzip_min_bytes=0).stream(["x" * (number % 500) for number in range(3000)]))
    assert max(len(request.content) for request in script.requests) < 64 * 1024


# ── trouble ──


def broken(body):
    return httpx.Response(200, stream=Broken(body))


def unlucky(random_numbers):
    """A service that refuses, breaks off and stops as its numbers say, but answers what it answers rightly."""

    def answer(request):
        luck = random_numbers.random()
        if luck < 0.2:
            return refusal(random_numbers.choice([429, 502, 503, 504]))
        if luck < 0.3:
            raise random_numbers.choice([httpx.ReadError, httpx.ConnectError, httpx.RemoteProtocolError])("no")
        if request.url.path.endswith("/tag"):
            whole = tag(request)
            return broken(whole.content[: random_numbers.randrange(len(whole.content))]) if luck < 0.4 else whole
        lines = list(stream_lines(request))
        whole = b"".join(lines)
        if luck < 0.5:
            return broken(whole[: random_numbers.randrange(len(whole))])
        done = random_numbers.randrange(len(lines) + 1)
        if luck < 0.7:
            code = random_numbers.choice(["not_ready", "overloaded", "timeout"])
            error = {"line": done + 1, "error": {"code": code, "message": "stopping", "request_id": "5f0c"}}
            return httpx.Response(200, content=b"".join(lines[:done]) + json.dumps(error).encode() + b"\n")
        return httpx.Response(200, content=b"".join(lines[:done]) if luck < 0.75 and done else whole)

    return answer


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=ITEMS, seed=st.integers(0, 2**32))
def test_whatever_happens_every_text_is_answered_once_and_in_order(clock, items, seed):
    client = Script(unlucky(random.Random(seed))).client(retries=Retries(seconds=10_000))
    assert texts_of(client.tag_many(items, batch=SMALL)) == expected(items)
    lines = list(client.stream(items))
    assert [line.line for line in lines] == list(range(1, len(items) + 1))
    assert texts_of(line.results[0] for line in lines) == expected(items)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=ITEMS, seed=st.integers(0, 2**32), concurrency=st.integers(1, 6))
def test_the_same_with_several_batches_under_way(monkeypatch, items, seed, concurrency):
    numbers = random.Random(seed)
    answer = unlucky(numbers)

    async def handler(request):
        for _ in range(numbers.randrange(5)):
            await asyncio.sleep(0)
        return answer(request)

    async def source():
        for item in items:
            yield item

    async def run():
        http = httpx.AsyncClient(transport=httpx.MockTransport(handler))
        retries = Retries(seconds=10_000, first_pause=1e-6, longest_pause=1e-6)
        async with http, AsyncClient(ADDRESS, http=http, retries=retries) as client:
            many = [result async for result in client.tag_many(source(), batch=SMALL, concurrency=concurrency)]
            lines = [line async for line in client.stream(source())]
        return texts_of(many), texts_of(line.results[0] for line in lines)

    assert asyncio.run(run()) == (expected(items), expected(items))


def test_a_stream_goes_on_at_the_line_that_the_service_names(clock):
    items = [str(number) for number in range(10)]

    def stops(request):
        lines = list(stream_lines(request))[:4]
        error = {"line": 5, "error": {"code": "not_ready", "message": "stopping", "request_id": ""}}
        return httpx.Response(200, content=b"".join(lines) + json.dumps(error).encode() + b"\n")

    script = Script(stops, broken(b""), lambda request: httpx.Response(200, content=b"".join(stream_lines(request))))
    assert len(list(script.client().stream(items))) == 10
    sent = [[json.loads(line)["text"] for line in request.content.splitlines()] for request in script.requests]
    assert sent == [items, items[4:], items[4:]]


def test_what_comes_behind_the_last_line_answers_none(clock):
    def more(request):
        lines = list(stream_lines(request))
        error = {"code": "bad_request", "message": "the stream is broken", "request_id": ""}
        end = json.dumps({"line": len(lines) + 1, "error": error}).encode()
        return httpx.Response(200, content=b"".join(lines) + end)

    lines = list(Script(more).client().stream(map(str, range(600))))
    assert texts_of(line.results[0] for line in lines) == [str(number) for number in range(600)]
    assert [line.line for line in lines] == list(range(1, 601))


def test_a_stream_gives_up_when_no_line_is_answered_for_too_long(clock):
    with pytest.raises(Unavailable) as caught:
        list(Script(refusal(503)).client(retries=Retries(seconds=20)).stream(["Ada"]))
    assert (caught.value.index, sum(clock.pauses) < 20) == (0, True)


def test_a_stream_whose_connection_breaks_in_every_line_says_so(clock):
    script = Script(lambda request: broken(b'{"line":1,'))
    with pytest.raises(ConnectionFailed):
        list(script.client(retries=Retries(seconds=20)).stream(["Ada"]))
    assert len(script.requests) > 2


def test_patience_begins_anew_with_every_line_that_is_answered(clock):
    def one(request):
        return broken(next(stream_lines(request)))

    script = Script(*[refusal(503, **{"Retry-After": "5"}), one] * 30)
    lines = list(script.client(retries=Retries(seconds=8)).stream(map(str, range(30))))
    assert [line.line for line in lines] == list(range(1, 31))
    assert sum(clock.pauses) > 30 * 5


def test_results_that_do_not_fit_the_texts_are_an_error():
    script = Script(httpx.Response(200, json={"model": MODEL, "results": []}))
    with pytest.raises(UnexpectedAnswer):
        list(script.client().tag_many(["Ada"]))


@pytest.mark.parametrize(
    "body", [b"", b"<html>\n", b'{"line":2,"model":{"name":"a","version":"1"},"results":[]}\n', b'{"line":1}\n']
)
def test_lines_that_are_no_answer_are_an_error(clock, body):
    with pytest.raises(UnexpectedAnswer):
        list(Script(httpx.Response(200, content=body)).client().stream(["Ada"]))
    assert clock.pauses == []


def test_leaving_early_cancels_what_is_under_way():
    begun, ended = [], []

    async def handler(request):
        begun.append(request)
        try:
            if len(begun) > 1:
                await asyncio.Event().wait()
        finally:
            ended.append(request)
        return tag(request)

    async def run():
        http = httpx.AsyncClient(transport=httpx.MockTransport(handler))
        async with http, AsyncClient(ADDRESS, http=http) as client:
            source = client.tag_many(map(str, range(100)), batch=BatchSize(texts=1), concurrency=3)
            async with aclosing(source) as results:
                async for _ in results:
                    break

    asyncio.run(asyncio.wait_for(run(), 30))
    assert len(begun) == len(ended) == 3


def test_an_error_cancels_the_batches_behind_it():
    async def run():
        script = Script(refusal(401))
        http = httpx.AsyncClient(transport=httpx.MockTransport(script))
        async with http, AsyncClient(ADDRESS, http=http) as client:
            with pytest.raises(ClientError) as caught:
                async for _ in client.tag_many(map(str, range(100)), batch=BatchSize(texts=10)):
                    pass
            assert caught.value.index == 0
            with pytest.raises(ValueError, match="at least one"):
                client.tag_many([], concurrency=0)

    asyncio.run(run())
