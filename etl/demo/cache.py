"""Rendered records, kept in chunks of neighbours so that a page is a few slices and a join."""

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

CHUNK_SIZE = 100
FOR_EVER_MS = 1 << 62

Rendered = TypeVar("Rendered")


class Chunk(NamedTuple, Generic[Rendered]):
    """The records of one chunk, oldest first, true at times in `[since_ms, until_ms)`."""

    records: tuple[Rendered, ...]
    since_ms: int = -FOR_EVER_MS
    until_ms: int = FOR_EVER_MS


class ChunkCache(Generic[Rendered]):
    """Renders chunks when they are asked for and forgets those not used for longest.

    `render(indexes, now_ms)` makes one chunk; `records_max` bounds the memory. Safe for threads:
    two that need the same chunk at once may both render it.
    """

    def __init__(self, render: Callable[[range, int], Chunk[Rendered]], records_max: int) -> None:
        self._render = render
        self._chunks_max = max(1, records_max // CHUNK_SIZE)
        self._chunks: OrderedDict[int, Chunk[Rendered]] = OrderedDict()
        self._lock = Lock()

    def take(self, indexes: range, now_ms: int) -> list[Rendered]:
        """The records of consecutive indexes, in rising order."""
        records: list[Rendered] = []
        index = indexes.start
        while index < indexes.stop:
            number, place = divmod(index, CHUNK_SIZE)
            count = min(CHUNK_SIZE - place, indexes.stop - index)
            records += self._find(number, now_ms).records[place : place + count]
            index += count
        return records

    def _find(self, number: int, now_ms: int) -> Chunk[Rendered]:
        with self._lock:
            chunk = self._chunks.get(number)
            if chunk is not None and chunk.since_ms <= now_ms < chunk.until_ms:
                self._chunks.move_to_end(number)
                return chunk
        chunk = self._render(range(number * CHUNK_SIZE, (number + 1) * CHUNK_SIZE), now_ms)
        with self._lock:
            self._chunks[number] = chunk
            self._chunks.move_to_end(number)
            if len(self._chunks) > self._chunks_max:
                self._chunks.popitem(last=False)
        return chunk
