"""Error responses: their common shape and codes, and that they hold nothing of the internals or the input."""

import logging

import pytest
from starlette.responses import StreamingResponse

from fenestra.app.codes import STATUS
from fenestra.app.errors import Problem

UNKNOWN = [
    ("GET", "/nowhere", 404, "not_found"),
    ("GET", "/tag/", 404, "not_found"),
    ("GET", "/static/nothing.js", 404, "not_found"),
    ("GET", "/static/..%2fmain.py", 404, "not_found"),
    ("GET", "/static/%2e%2e/main.py", 404, "not_found"),
    ("GET", "/tag", 405, "method_not_allowed"),
    ("PUT", "/tag", 405, "method_not_allowed"),
    ("POST", "/livez", 405, "method_not_allowed"),
    ("DELETE", "/", 405, "method_not_allowed"),
    ("BREW", "/models", 405, "method_not_allowed"),
]


@pytest.mark.parametrize(("method", "path", "status", "code"), UNKNOWN)
def test_an_unknown_path_or_method_is_refused_in_the_common_shape(client, refused, method, path, status, code):
    answer = client.request(method, path)
    refused(answer, status, code)
    assert "main.py" not in answer.text


def test_a_wrong_method_gets_an_allow_header(client):
    assert client.get("/tag").headers["allow"] == "POST"


@pytest.mark.parametrize("code", STATUS)
def test_every_code_has_its_status_and_the_common_shape(client, refused, code):
    @client.app.get("/fails")
    async def fails():
        raise Problem(code, "because")

    answer = client.get("/fails")
    refused(answer, STATUS[code], code)
    assert ("retry-after" in answer.headers) == (STATUS[code] == 503)


class Breaks:
    """A tagger with a bug, whose error quotes what it was given."""

    labels = ("PER",)
    version = "0"

    def work(self, items):
        raise KeyError(items[0])


def test_an_unexpected_error_is_a_500_and_its_traceback_is_in_the_log_only(serve, refused, caplog):
    client = serve(Breaks())
    answer = client.tag({"text": "the user's secret"}, **{"x-request-id": "case-7"})
    refused(answer, 500, "internal")
    assert "KeyError" not in answer.text
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "case-7" in record.getMessage()
    assert "KeyError" in record.getMessage()
    assert "in work" in record.getMessage()


def test_after_an_unexpected_error_the_next_request_is_served(serve):
    client = serve(Breaks())
    assert [client.tag({"text": "a"}).status_code for _ in range(3)] == [500] * 3
    assert client.get("/livez").status_code == 200


def test_a_response_that_breaks_off_is_not_completed(client, caplog):
    @client.app.get("/breaks-off")
    async def breaks_off():
        async def pieces():
            yield b"half"
            raise ZeroDivisionError

        return StreamingResponse(pieces())

    with pytest.raises(ZeroDivisionError):
        client.get("/breaks-off")
    assert [record for record in caplog.records if "ZeroDivisionError" in record.getMessage()]


def test_a_parameter_that_the_framework_refuses_is_not_echoed(client, refused):
    @client.app.get("/counts/{number}")
    async def counts(number: int):
        return number

    answer = client.get("/counts/secret")
    refused(answer, 422, "invalid_request")
    assert "secret" not in answer.text


def test_no_line_of_the_log_holds_the_users_text(serve, caplog):
    caplog.set_level(logging.DEBUG)
    client = serve(Breaks())
    client.tag({"text": "Geheimnis"})
    client.tag({"tokens": ["Geheimnis"], "Geheimnis": 1})
    client.tag(b'{"text": Geheimnis}')
    client.get("/Geheimnis?q=Geheimnis")
    client.request("GEHEIMNIS", "/tag")
    client.get("/livez", headers={"x-request-id": "Geheimnis!"})
    ours = [record.getMessage() for record in caplog.records if record.name.startswith(("uvicorn", "app", "fastapi"))]
    assert len(ours) >= 6
    assert not [line for line in ours if "geheimnis" in line.lower()]


def test_each_request_is_one_line_in_the_log(client, caplog):
    caplog.set_level(logging.INFO)
    client.get("/livez", headers={"x-request-id": "seven"})
    (line,) = [record.getMessage() for record in caplog.records if record.name == "uvicorn.error"]
    assert line.startswith("seven GET /livez 200 ")


def test_an_early_disconnect_leaves_no_traceback(client, caplog):
    async def receive():
        return {"type": "http.disconnect"}

    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"5")]
    scope = {
        "type": "http", "method": "POST", "path": "/tag", "raw_path": b"/tag", "query_string": b"",
        "headers": headers, "scheme": "http", "http_version": "1.1", "server": ("test", 80), "client": ("test", 1),
    }  # fmt: skip
    client.run(client.app(scope, receive, send))
    assert sent[0]["status"] == 400
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
