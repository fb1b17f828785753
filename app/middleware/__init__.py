"""ASGI middleware around every request: request ids, observability, admission, body limit."""
