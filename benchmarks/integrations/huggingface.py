"""``python -m benchmarks.integrations.huggingface``: Hugging Face's client on ``/hf``, beside plain posts to ``/tag``.

Both ask for one text at a time, on one connection; and for 50 at once, by plain posts. Run it where huggingface_hub is
installed: `.venv-huggingface/bin/python -m benchmarks.integrations.huggingface`.
"""

import http.client
from typing import Any

import huggingface_hub

from benchmarks.integrations.costs import measure, post
from benchmarks.integrations.rows import Row, in_batches, lines_of, some_texts
from benchmarks.serving import HOST, Server

_COUNT = 1000
_AT_ONCE = 50
_FILES = (
    "app/api/huggingface.py", "app/api/huggingface_schemas.py", "app/api/huggingface_rows.py", "app/api/row_lists.py",
    "app/api/doors.py",
)  # fmt: skip


def main() -> None:
    """Print the rows."""
    texts = some_texts(_COUNT)
    with Server(drain_seconds=0, keep_alive_seconds=600) as server:
        plain = http.client.HTTPConnection(HOST, server.port, timeout=60)
        client = huggingface_hub.InferenceClient(model=f"http://{HOST}:{server.port}/hf")
        batches = in_batches(texts, _AT_ONCE)
        for batch in batches:  # every word has been seen once
            post(plain, "/tag", {"text": batch})
        tag_cost, tagged = measure(server, lambda: [_tag(plain, [text])[0] for text in texts])
        client_cost, found = measure(server, lambda: [_groups(client.token_classification(text)) for text in texts])
        tag_batch_cost, _ = measure(server, lambda: [_tag(plain, batch) for batch in batches])
        batch_cost, lists = measure(server, lambda: [post(plain, "/hf", {"inputs": batch}) for batch in batches])
        plain.close()
    version, lines = huggingface_hub.__version__, lines_of(*_FILES)
    flat = [[(r["entity_group"], r["score"], r["start"], r["end"]) for r in rows] for batch in lists for rows in batch]
    one_by_one = f"{client_cost}; plain posts to /tag {tag_cost}"
    print(Row("huggingface_hub", version, "InferenceClient", len(texts), found == tagged, one_by_one, lines))
    at_once = f"{batch_cost}; /tag {tag_batch_cost}"
    print(Row("plain posts", "-", f"/hf, {_AT_ONCE} texts at once", len(texts), flat == tagged, at_once, lines))


def _tag(connection: http.client.HTTPConnection, texts: list[str]) -> list[list[tuple[str, float, int, int]]]:
    results = post(connection, "/tag", {"text": texts})["results"]
    return [[(e["label"], e["score"], e["start"], e["end"]) for e in result["entities"]] for result in results]


def _groups(elements: Any) -> list[tuple[str, float, int, int]]:  # noqa: ANN401 - of the client
    return [(one.entity_group, one.score, one.start, one.end) for one in elements]


if __name__ == "__main__":
    main()
