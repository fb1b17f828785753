"""What is counted, and that no client can make it grow."""

import random
import string

from prometheus_client.parser import text_string_to_metric_families


def read(client):
    """Every sample by its name and labels, as Prometheus would read them."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


def test_texts_tokens_and_entities_are_counted(client):
    client.results(text=["Ada met Bob", "nobody"], labels=["LOC"])
    client.results(tokens=["Cy"])
    counted = read(client)
    assert counted["fenestra_texts_total",] == 3
    assert counted["fenestra_tokens_total",] == 5
    assert counted["fenestra_entities_total", "PER"] == 3


def test_requests_are_counted_by_route_method_and_status(client):
    client.results(text="Ada")
    client.tag(b"{")
    client.get("/tag")
    client.get("/static/page.js")
    client.get("/static/page.css")
    client.get("/openapi.json")
    counted = read(client)
    assert counted["fenestra_requests_total", "/tag", "200", "POST"] == 1
    assert counted["fenestra_requests_total", "/tag", "400", "POST"] == 1
    assert counted["fenestra_requests_total", "/tag", "405", "GET"] == 1
    assert counted["fenestra_requests_total", "/static/{name}", "200", "GET"] == 2
    assert counted["fenestra_requests_total", "/openapi.json", "200", "GET"] == 1
    assert counted["fenestra_request_seconds_count", "/tag"] == 3
    assert counted["fenestra_request_seconds_sum", "/tag"] > 0


def test_the_model_the_queue_and_the_process_are_described(client):
    counted = read(client)
    assert counted["fenestra_model_info", "english", "stub-1"] == 1
    assert counted["fenestra_queue_depth",] == 0
    assert counted["process_resident_memory_bytes",] > 0


def test_invented_paths_and_methods_make_no_series(client):
    noise = random.Random(7)

    def word():
        return "".join(noise.choices(string.ascii_letters, k=8))

    def knock():
        client.get(f"/{word()}")
        client.get(f"/static/{word()}")
        client.request(word().upper(), "/tag")
        client.request(word().upper(), f"/{word()}")

    knock()
    read(client)
    before = read(client).keys()
    for _ in range(100):
        knock()
    assert read(client).keys() == before


def test_two_applications_in_one_process_count_apart(serve):
    one, other = serve(), serve()
    one.results(text="Ada")
    assert read(one)["fenestra_texts_total",] == 1
    assert read(other)["fenestra_texts_total",] == 0
