"""Prometheus metrics, and that no client can create a series."""

import random
import string
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fenestra.app.observability.metrics import REFUSALS, STAGES, Metrics
from fenestra.app.observability.route_names import UNMATCHED
from fenestra.model.results import Entity, Result

DOCUMENTED = """
    requests_total refused_total cancelled_total open_connections draining request_seconds_count
    queue_depth queue_limit queue_wait_seconds_count batch_tokens_count batch_requests_count
    stage_seconds_total texts_total tokens_total unknown_tokens_total entities_total
    model_info reloads_total reload_failures_total
""".split()


def read(client):
    """Every sample by its name and labels, as Prometheus would read them."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return samples(answer.text)


def samples(exposition):
    families = text_string_to_metric_families(exposition)
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

    def send_unknown():
        client.get(f"/{word()}")
        client.get(f"/static/{word()}")
        client.request(word().upper(), "/tag")
        client.request(word().upper(), f"/{word()}")

    send_unknown()
    read(client)
    before = read(client).keys()
    for _ in range(100):
        send_unknown()
    assert read(client).keys() == before


def test_two_applications_in_one_process_count_apart(serve):
    one, other = serve(), serve()
    one.results(text="Ada")
    assert read(one)["fenestra_texts_total",] == 1
    assert read(other)["fenestra_texts_total",] == 0


def samples_of(metrics):
    return samples(metrics.exposition().decode())


@pytest.fixture
def metrics():
    return Metrics()


def test_every_documented_metric_exists_after_one_request(client):
    client.results(text="Ada met Bob")
    names = {name for name, *_ in read(client)}
    assert names >= {f"fenestra_{name}" for name in DOCUMENTED}
    assert not [name for name in names if name.endswith("_created")]


def test_series_that_alerts_use_exist_from_the_start_at_zero(metrics):
    """An alert sees a rise from 0 to 1, and does not see a series that begins with 1."""
    metrics.model_loaded("english", "v1")
    counted = samples_of(metrics)
    assert [counted["fenestra_refused_total", reason] for reason in REFUSALS] == [0] * len(REFUSALS)
    assert [counted["fenestra_stage_seconds_total", stage] for stage in STAGES] == [0] * len(STAGES)
    assert counted["fenestra_reloads_total", "english", "ok"] == 0
    assert counted["fenestra_reloads_total", "english", "failed"] == 0
    assert counted["fenestra_reload_failures_total", "english"] == 0


def test_a_refusal_is_counted_by_its_reason_and_no_other_reason_exists(metrics):
    metrics.refused("overloaded")
    metrics.refused("connections", 3)
    counted = samples_of(metrics)
    assert counted["fenestra_refused_total", "overloaded"] == 1
    assert counted["fenestra_refused_total", "connections"] == 3
    with pytest.raises(KeyError):
        metrics.refused("invented")


def test_queue_depth_and_connections_are_read_at_each_scrape(metrics):
    waiting, connected = [], []
    metrics.queue(lambda: len(waiting), 64)
    metrics.connections(lambda: len(connected))
    assert samples_of(metrics)["fenestra_queue_depth",] == 0
    waiting += "abc"
    connected += "ab"
    counted = samples_of(metrics)
    assert counted["fenestra_queue_depth",] == 3
    assert counted["fenestra_queue_limit",] == 64
    assert counted["fenestra_open_connections",] == 2


def test_batches_waits_and_stages_add_up(metrics):
    metrics.batch(3, 60)
    metrics.batch(1, 40)
    metrics.waited(0.003)
    metrics.stage("rows", 0.25)
    metrics.stage("rows", 0.5)
    metrics.tokens(10, 1)
    metrics.tokens(20, 4)
    counted = samples_of(metrics)
    assert (counted["fenestra_batch_tokens_count",], counted["fenestra_batch_tokens_sum",]) == (2, 100)
    assert (counted["fenestra_batch_requests_count",], counted["fenestra_batch_requests_sum",]) == (2, 4)
    assert counted["fenestra_queue_wait_seconds_bucket", "0.0025"] == 0
    assert counted["fenestra_queue_wait_seconds_bucket", "0.005"] == 1
    assert counted["fenestra_stage_seconds_total", "rows"] == 0.75
    assert (counted["fenestra_tokens_total",], counted["fenestra_unknown_tokens_total",]) == (30, 5)


def test_a_model_has_one_version_and_a_replaced_one_is_gone(metrics):
    metrics.model_loaded("english", "v1")
    metrics.model_loaded("german", "v1")
    metrics.model_loaded("english", "v2")
    metrics.model_loaded("english", "v2")
    info = {key: value for key, value in samples_of(metrics).items() if key[0] == "fenestra_model_info"}
    assert info == {("fenestra_model_info", "english", "v2"): 1, ("fenestra_model_info", "german", "v1"): 1}


def test_a_failed_reload_is_counted_twice_for_the_alert_and_for_the_ratio(metrics):
    metrics.model_loaded("english", "v1")
    metrics.reloaded("english", ok=True)
    metrics.reloaded("english", ok=False)
    counted = samples_of(metrics)
    assert counted["fenestra_reloads_total", "english", "ok"] == 1
    assert counted["fenestra_reloads_total", "english", "failed"] == 1
    assert counted["fenestra_reload_failures_total", "english"] == 1


def test_the_draining_metric_is_one_while_draining(metrics):
    assert samples_of(metrics)["fenestra_draining",] == 0
    metrics.draining(True)
    assert samples_of(metrics)["fenestra_draining",] == 1


def test_a_request_refused_before_routing_is_counted_under_the_route_of_its_path(metrics):
    metrics.routes(["/tag", "/models/{name}/reload", "/tag"])
    for path in ("/tag", "/models/english/reload", "/models/a/b/reload", "/models/%2e/reload?x", "/tag/"):
        metrics.answered({"type": "http", "method": "POST", "path": path}, 401, 0.001)
    metrics.answered({"method": ""}, 400, 0.001)  # what was not even HTTP
    counted = samples_of(metrics)
    assert counted["fenestra_requests_total", "/tag", "401", "POST"] == 1
    assert counted["fenestra_requests_total", "/models/{name}/reload", "401", "POST"] == 1
    assert counted["fenestra_requests_total", UNMATCHED, "401", "POST"] == 3
    assert counted["fenestra_requests_total", UNMATCHED, "400", "OTHER"] == 1


def test_nothing_is_lost_between_threads(metrics):
    result = Result([Entity(0, 3, "PER", "Ada", 0.9)], [], ["Ada"])

    def work():
        for _ in range(2000):
            metrics.stage("network", 1)
            metrics.tokens(2, 1)
            metrics.tagged([result, result])
            metrics.answered({"method": "GET"}, 200, 0.001)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = samples_of(metrics)
    assert counted["fenestra_stage_seconds_total", "network"] == 8000
    assert counted["fenestra_tokens_total",] == 16000
    assert counted["fenestra_entities_total", "PER"] == counted["fenestra_texts_total",] == 16000
    assert counted["fenestra_requests_total", UNMATCHED, "200", "GET"] == 8000
