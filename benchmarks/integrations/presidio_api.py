"""``python -m benchmarks.integrations.presidio_api``: Presidio's recognizer and anonymizer through the service.

A remote recognizer posts one text at a time to ``/analyze``, and the anonymizer hides what it finds; beside it the same
number of plain posts to ``/tag``. Run it where Presidio is installed:
`.venv-presidio_api/bin/python -m benchmarks.integrations.presidio_api`.
"""

import http.client
from importlib.metadata import version
from typing import Any

import requests
from presidio_analyzer import RecognizerResult, RemoteRecognizer
from presidio_anonymizer import AnonymizerEngine

from benchmarks.integrations.costs import measure, post
from benchmarks.integrations.rows import Row, in_batches, lines_of, some_texts
from benchmarks.serving import HOST, Server
from fenestra.model.label_names import PRESIDIO

_COUNT = 1000
_FILES = (
    "app/api/presidio.py", "app/api/presidio_schemas.py", "app/api/presidio_rows.py", "app/api/row_lists.py",
    "app/api/doors.py",
)  # fmt: skip


class _Remote(RemoteRecognizer):
    """As Presidio's sample, on one connection."""

    def __init__(self, url: str) -> None:
        self._url, self._session = url, requests.Session()
        super().__init__(list(PRESIDIO.values()), "FenestraRecognizer", "en", "1")

    def get_supported_entities(self) -> list[str]:
        """The types of the service."""
        found: list[str] = self._session.get(f"{self._url}/supportedentities?language=en", timeout=60).json()
        return found

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any) -> list[RecognizerResult]:  # noqa: ANN401
        """What the service finds."""
        answer = self._session.post(f"{self._url}/analyze", json={"text": text, "language": "en"}, timeout=60)
        answer.raise_for_status()
        return [RecognizerResult(**item) for item in answer.json()]

    def close(self) -> None:
        """End the connection."""
        self._session.close()


def main() -> None:
    """Print the rows."""
    texts = some_texts(_COUNT)
    engine = AnonymizerEngine()
    with Server(drain_seconds=0, keep_alive_seconds=600) as server:
        plain = http.client.HTTPConnection(HOST, server.port, timeout=60)
        remote = _Remote(f"http://{HOST}:{server.port}")
        for batch in in_batches(texts, 50):  # so that every word has been seen once
            post(plain, "/tag", {"text": batch})
        tag_cost, answers = measure(server, lambda: [post(plain, "/tag", {"text": text}) for text in texts])
        cost, found = measure(server, lambda: [remote.analyze(text, [], None) for text in texts])
        hide_cost, hidden = measure(
            server, lambda: [engine.anonymize(text, results).text for text, results in zip(texts, found, strict=True)]
        )
        plain.close()
        remote.close()
    expected = [
        [(PRESIDIO[e["label"]], e["start"], e["end"], e["score"]) for e in one["results"][0]["entities"]]
        for one in answers
    ]
    got = [[(r.entity_type, r.start, r.end, r.score) for r in results] for results in found]
    equal = got == expected
    changed = sum(before != after for before, after in zip(texts, hidden, strict=True))
    called, beside = "RemoteRecognizer.analyze", f"{cost}; plain posts to /tag {tag_cost}"
    lines = lines_of(*_FILES)
    print(Row("presidio-analyzer", version("presidio-analyzer"), called, len(texts), equal, beside, lines))
    called, beside = "AnonymizerEngine.anonymize", f"{hide_cost.client:.2f} s of CPU more; {changed:,} texts changed"
    print(Row("presidio-anonymizer", version("presidio-anonymizer"), called, len(texts), equal, beside, 0))


if __name__ == "__main__":
    main()
