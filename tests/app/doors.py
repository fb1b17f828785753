"""What the tests of the doors for other tools share."""

import re
from itertools import groupby

from fenestra.model.results import Entity, Result, TaggedToken
from tests.app.conftest import StubTagger

LABELS = {"P": "PER", "L": "LOC", "M": "MISC"}


class RunTagger(StubTagger):
    """Every run of capitalised words is an entity, whose label the first letter of its first word tells: else ORG."""

    labels = ("PER", "LOC", "ORG", "MISC")
    version = "runs-1"

    def tag(self, items):
        return [_result(item) for item in items]


def _result(text):
    entities, tokens = [], []
    words = [(match[0], *match.span()) for match in re.finditer(r"\w+|[^\w\s]", text)]
    for capital, group in groupby(words, lambda word: word[0][0].isupper()):
        run = list(group)
        label = LABELS.get(run[0][0][0], "ORG")
        for place, (word, start, end) in enumerate(run):
            tag = f"{'I' if place else 'B'}-{label}" if capital else "O"
            tokens.append(TaggedToken(word, start, end, tag, min(len(word) / 9, 0.99)))
        if capital:
            start, end = run[0][1], run[-1][2]
            entities.append(Entity(start, end, label, text[start:end], min((end - start) / 21, 0.99)))
    return Result(entities, tokens, text)


def post(client, path, body, **headers):
    """Post bytes as they are, anything else as JSON."""
    content = {"content": body} if isinstance(body, bytes) else {"json": body}
    return client.request("POST", path, headers={"content-type": "application/json", **headers}, **content)


def assert_text_error(answer, status):
    """Check the shape of the errors of these doors: a text, and nothing else."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    assert set(answer.json()) == {"error"}
    assert isinstance(answer.json()["error"], str)
    assert answer.json()["error"]
    assert len(answer.content) <= 8000
    assert answer.headers["x-request-id"]
