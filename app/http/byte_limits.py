"""Limits on the bytes of a request that no application takes: the head, chunk headers, trailers, discarded bodies.

The parser does not say where in the bytes it is fed an event happens. So each counter takes all bytes that are fed,
and the parts that do not belong to it are subtracted.
"""

CHUNK_ALLOWANCE_BYTES = 20
"""The size line of a chunk and its line end: no sender needs more."""


class ByteLimits:
    """Counts the bytes of one connection's requests. Methods that return a bool tell whether a limit is exceeded."""

    def __init__(self, max_header_bytes: int, max_body_bytes: int) -> None:
        self.max_header_bytes = max_header_bytes
        self._max_body_bytes = max_body_bytes
        self._fed = 0  # bytes that the parser works on now
        self._head = 0  # bytes of the head, as far as it is parsed
        self._unparsed_head = 0  # bytes of the head that were fed without completing it
        self._framing = 0  # bytes of chunk headers and trailers
        self._discarded = 0  # bytes of the body that no application takes

    def feed(self, size: int) -> None:
        """Note how many bytes the parser is about to get."""
        self._fed = size

    def begin_head(self, *, inside_feed: bool = False) -> None:
        """Start a head; with ``inside_feed`` behind another request in the bytes that are being fed."""
        self._head = 0
        self._unparsed_head = -self._fed if inside_feed else 0

    def add_head(self, size: int) -> bool:
        """Count parsed bytes of the head."""
        self._head += size
        return self._head > self.max_header_bytes

    def end_feed_in_head(self) -> bool:
        """Count the bytes that were fed, when they did not complete the head."""
        self._unparsed_head += self._fed
        return self._unparsed_head > self.max_header_bytes

    def begin_body(self) -> None:
        """Start a body; some of the bytes that are being fed belong to the head."""
        self._framing = -self._fed
        self._discarded = 0

    def add_chunk(self) -> None:
        """Allow for the header of a chunk."""
        self._framing -= CHUNK_ALLOWANCE_BYTES

    def add_body(self, size: int) -> None:
        """Count bytes of the body: they are not framing."""
        self._framing -= size

    def discard_body(self, size: int) -> bool:
        """Count bytes of the body that no application takes."""
        self._discarded += size
        return self._discarded > self._max_body_bytes

    def end_feed_in_body(self) -> bool:
        """Count the bytes that were fed, when they did not complete the body."""
        self._framing += self._fed
        return self._framing > self.max_header_bytes
