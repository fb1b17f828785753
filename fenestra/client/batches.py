"""Divides what is to be tagged into requests, and puts the results together again: in order, none lost, none twice."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from fenestra.app.api.schemas import Result, TagResponse
from fenestra.client.calls import Address, Steps, ask, refused
from fenestra.client.errors import ClientError, UnexpectedAnswer
from fenestra.client.requests import Item, TagOptions, items_body


@dataclass(frozen=True, kw_only=True)
class BatchSize:
    """How much one request of a bulk method may hold. A text that is larger goes alone.

    A service with lower limits refuses a request that is too large for it; its halves are sent then.
    """

    texts: int = 256
    """Most texts or sentences."""
    bytes: int = 256 * 1024
    """Most bytes of UTF-8 in all of them together."""

    def __post_init__(self) -> None:
        if self.texts < 1 or self.bytes < 1:
            raise ValueError("a batch holds at least one text and one byte")


class Batch(NamedTuple):
    """Items that go into one request, all texts or all sentences of words."""

    first: int
    """Place of the first of them in the whole, from 0."""
    items: list[Item]

    def halves(self) -> tuple["Batch", "Batch"]:
        """Two smaller ones."""
        middle = len(self.items) // 2
        return Batch(self.first, self.items[:middle]), Batch(self.first + middle, self.items[middle:])


@dataclass
class Collector:
    """Puts items together until a batch is full."""

    size: BatchSize
    _first: int = 0
    _bytes: int = 0
    _items: list[Item] = field(default_factory=list)

    def add(self, item: Item) -> Batch | None:
        """Take one more; returns the batch before it, if it does not fit in there."""
        full, size = None, _bytes_of(item)
        if self._items and (
            len(self._items) >= self.size.texts
            or self._bytes + size > self.size.bytes
            or isinstance(item, str) != isinstance(self._items[0], str)
        ):
            full = self.rest()
        self._items.append(item)
        self._bytes += size
        return full

    def rest(self) -> Batch | None:
        """What is left; None if that is nothing."""
        if not self._items:
            return None
        batch = Batch(self._first, self._items)
        self._first, self._bytes, self._items = self._first + len(self._items), 0, []
        return batch


def _bytes_of(item: Item) -> int:
    if isinstance(item, str):
        return len(item.encode("utf-8", "replace")) + 3  # two quotes and a comma
    return sum(map(_bytes_of, item)) + 3 if isinstance(item, Sequence) else 3  # what is neither is refused later


def batches(items: Iterable[Item], size: BatchSize) -> Iterator[Batch]:
    """Divide items, in order; no more of them are taken than the batch needs."""
    collector = Collector(size)
    for item in items:
        if full := collector.add(item):
            yield full
    if rest := collector.rest():
        yield rest


async def abatches(items: Iterable[Item] | AsyncIterable[Item], size: BatchSize) -> AsyncGenerator[Batch]:
    """As :func:`batches`, of items that may come asynchronously."""
    if isinstance(items, AsyncIterable):
        collector = Collector(size)
        async for item in items:
            if full := collector.add(item):
                yield full
        if rest := collector.rest():
            yield rest
        return
    for batch in batches(items, size):
        yield batch


def tag_batch(address: Address, batch: Batch, options: TagOptions) -> Steps[list[Result]]:
    """Tag a batch; one result for each item.

    Raises:
        ClientError: an item cannot be tagged; ``index`` says which is the first.
    """
    try:
        reply = yield from ask(address.post("/tag", items_body(batch.items, options)), address.retries)
        results = reply.read(TagResponse).results
        if len(results) != len(batch.items):
            raise UnexpectedAnswer("there are not as many results as texts", code="unexpected_answer")
    except ClientError as error:
        if refused(error) and len(batch.items) > 1:
            before, after = batch.halves()
            return [*(yield from tag_batch(address, before, options)), *(yield from tag_batch(address, after, options))]
        if error.index is None:
            error.index = batch.first
        raise
    return results
