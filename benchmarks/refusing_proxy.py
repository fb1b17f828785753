"""A proxy in front of the service that refuses some requests with 503, as an overloaded gateway does."""

import http.client
import random
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

HOST = "127.0.0.1"
_HEADERS = ("Content-Type", "Content-Encoding", "Accept-Encoding", "Authorization")


class RefusingProxy:
    """Forwards to a port of this machine; a context manager.

    Args:
        port: of the service.
        share: of the requests that are refused.
        on_forward: called with the number of a request, from 1, when it has reached the service and its answer is
            awaited.
    """

    def __init__(self, port: int, *, share: float = 0.5, on_forward: Callable[[int], None] = lambda _: None) -> None:
        self.refused = self.forwarded = self.lost = 0
        """Requests; those lost got no whole answer from the service."""
        self._port, self._share, self._on_forward = port, share, on_forward
        self._random, self._lock = random.Random(7), threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                proxy._serve(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self._lock:
            refuses = self._random.random() < self._share
            self.refused += refuses
            self.forwarded += not refuses
            number = self.forwarded
        if refuses:
            _answer(handler, 503)
            return
        upstream = http.client.HTTPConnection(HOST, self._port, timeout=60)
        try:
            headers = {name: handler.headers[name] for name in _HEADERS if name in handler.headers}
            upstream.request("POST", handler.path, body, headers)
            self._on_forward(number)
            self._pass_on(upstream.getresponse(), handler)
        except (OSError, http.client.HTTPException):
            with self._lock:
                self.lost += 1
            handler.close_connection = True  # the client sees a broken answer, or none
        finally:
            upstream.close()

    def _pass_on(self, answer: http.client.HTTPResponse, handler: BaseHTTPRequestHandler) -> None:
        """Send the answer on, piece by piece as it comes."""
        handler.send_response(answer.status)
        for name in ("Content-Type", "Content-Encoding"):
            if value := answer.getheader(name):
                handler.send_header(name, value)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while piece := answer.read1(65536):
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        if answer.length:  # read1() says nothing of a body that ends early
            raise http.client.IncompleteRead(b"", answer.length)
        handler.wfile.write(b"0\r\n\r\n")


def _answer(handler: BaseHTTPRequestHandler, status: int) -> None:
    """Answer as a gateway does: a page, and no word of when to come again."""
    page = b"<h1>Service Unavailable</h1>"
    handler.send_response(status)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", str(len(page)))
    handler.end_headers()
    handler.wfile.write(page)
