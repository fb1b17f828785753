"""The client that speaks HTTP by hand."""

import socket

from benchmarks.wire import Wire


def test_answers_that_come_in_one_piece_are_read_one_by_one():
    """As a server sends them that was asked several times at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener, Wire(listener.getsockname()[1]) as wire:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"".join(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % n for n in range(3)))
        assert [wire.answer().body for _ in range(3)] == [b"0", b"1", b"2"]
        assert wire.answer() is None
