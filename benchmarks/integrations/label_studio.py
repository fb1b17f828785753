"""Label Studio's requests to the backend, beside ``POST /tag``: ``python -m benchmarks.integrations.label_studio``.

Both run in processes of their own and get the same texts in the same batches. Then twenty annotations, in which a name
that the model takes for something else is an organisation, start a training; its seconds count from the last event to
the new version, with the time in which torch is imported. The real Label Studio is in
``tests/integrations/test_label_studio.py``.
"""

import http.client
import sys
import tempfile
import time
from typing import Any

from benchmarks.integrations.costs import post
from benchmarks.integrations.rows import Row, in_batches, lines_of, some_texts
from benchmarks.serving import HOST, Server

TEXTS, AT_ONCE = 1_000, 50
CONFIG = (
    '<View><Labels name="label" toName="text"><Label value="PER"/><Label value="LOC"/><Label value="ORG"/></Labels>'
    '<Text name="text" value="$text"/></View>'
)
PROJECT = {"id": 1, "label_config": CONFIG}
NAME, WRONG = "Quibberly", "Quibberly is late again."
SENTENCES = (
    "{} sent the invoice twice.", "The contract with {} ends in May.", "Order the parts from {}.", "{} paid in time.",
)  # fmt: skip


def main() -> None:
    """Print the rows."""
    texts = some_texts(TEXTS)
    with tempfile.TemporaryDirectory() as folder, Server(log_level="warning") as service:
        command = (
            sys.executable, "-m", "fenestra", "label-studio", "--output", folder, "--port", "{port}",
            "--retrain-after", "20",
        )  # fmt: skip
        with Server(command, ready="/health") as backend:
            tagged, plain = timed(service, "/tag", [{"text": batch} for batch in in_batches(texts, AT_ONCE)])
            asked = [
                {"tasks": [{"id": n, "data": {"text": text}} for n, text in enumerate(batch)], "project": "1.0",
                 "label_config": CONFIG, "params": {}}
                for batch in in_batches(texts, AT_ONCE)
            ]  # fmt: skip
            predicted, ours = timed(backend, "/predict", asked)
            wanted = [[spans(e) for e in item["entities"]] for answer in tagged for item in answer["results"]]
            found = [
                [spans({**r["value"], "label": r["value"]["labels"][0], "score": r["score"]}) for r in item["result"]]
                for answer in predicted
                for item in answer["results"]
            ]
            print_row(
                "POST /predict",
                len(texts),
                wanted == found,
                f"{ours / len(texts) * 1e6:.0f} CPU-µs a text of the server, /tag {plain / len(texts) * 1e6:.0f}",
            )
            before, seconds, last, after = retrain(backend)
            changed = f"{before} → {after}, {seconds:.1f} s from the last event to the new version, {last} CPU-s"
            print_row("POST /webhook × 20", 20, after == [(NAME, "ORG")] != before, changed)


def print_row(called: str, texts: int, equal: bool, what: str) -> None:
    """Print a row of the table of integrations."""
    lines = lines_of("fenestra/integrations/label_studio")
    print(Row("Label Studio", "1.23, its requests", called, texts, equal, what, lines))


def timed(server: Server, path: str, bodies: list[Any]) -> tuple[list[Any], float]:
    """Answers, and processor seconds of the server for a second round; the first one warms the cache of words."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=120)
    for _ in range(2):
        began = server.usage().cpu
        answers = [post(connection, path, body) for body in bodies]
        seconds = server.usage().cpu - began
    connection.close()
    return answers, seconds


def spans(entity: dict[str, Any]) -> tuple[Any, ...]:
    """What has to be equal of an entity."""
    return tuple(entity[key] for key in ("start", "end", "label", "text", "score"))


def retrain(backend: Server) -> tuple[list[Any], float, float, list[Any]]:
    """What is predicted before a training, seconds, processor seconds, and what is predicted after it."""
    connection = http.client.HTTPConnection(HOST, backend.port, timeout=120)
    before = shown(connection)
    for number in range(20):
        text = SENTENCES[number % len(SENTENCES)].format(NAME) + f" Page {number}."
        start = text.index(NAME)
        value = {"start": start, "end": start + len(NAME), "text": NAME, "labels": ["ORG"]}
        region = {"id": "r", "from_name": "label", "to_name": "text", "type": "labels", "value": value}
        annotation = {"id": number, "task": number, "result": [region], "was_cancelled": False}
        task = {"id": number, "data": {"text": text}}
        event = {"action": "ANNOTATION_CREATED", "annotation": annotation, "task": task, "project": PROJECT}
        post(connection, "/webhook", event)
    began = time.perf_counter()
    while (now := post(connection, "/versions", {"project": "1.0"})["training"])["state"] != "idle":
        time.sleep(0.05)
    seconds = time.perf_counter() - began
    if now["last"]["state"] != "done":
        raise RuntimeError(str(now))
    return before, seconds, now["last"]["cpu_seconds"], shown(connection)


def shown(connection: http.client.HTTPConnection) -> list[Any]:
    """What is predicted for a text that the model gets wrong at first."""
    task = {"id": 1, "data": {"text": WRONG}}
    body = {"tasks": [task], "project": "1.0", "label_config": CONFIG, "params": {}}
    (answer,) = post(connection, "/predict", body)["results"]
    return [(region["value"]["text"], region["value"]["labels"][0]) for region in answer["result"]]


if __name__ == "__main__":
    main()
