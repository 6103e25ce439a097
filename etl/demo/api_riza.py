"""The Riza dialect: `GET /v1/executions` and `GET /v1/executions/{id}`."""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Literal

from etl.demo.cache import Chunk, ChunkCache
from etl.demo.chance import unix_ms
from etl.demo.history_riza import RizaHistory
from etl.demo.messages import (
    Answer,
    Order,
    Request,
    answer_json,
    encode_json,
    join_records,
    read_whole_number,
)

UnknownAnchor = Literal["error", "empty", "ignore"]
EMPTY_PAGE = Answer(200, b'{"data":[]}')


class RizaApi:
    """One account. Its list's order and what an unknown `starting_after` does are not documented.

    Deleted executions stay deleted for the life of this object; `first` keeps the list from losing
    its tail while it is being served.
    """

    def __init__(
        self,
        history: RizaHistory,
        now: datetime,
        order: Order = "newest",
        unknown_anchor: UnknownAnchor = "error",
        cached_records: int = 200_000,
    ) -> None:
        self.history = history
        self._first = history.visible(now).start
        self._order = order
        self._unknown_anchor = unknown_anchor
        self._cache: ChunkCache[bytes] = ChunkCache(self._render, cached_records)
        self._deleted: frozenset[int] = frozenset()

    def visible(self, now: datetime) -> range:
        """The indexes in the list at `now`, deleted ones included."""
        return range(self._first, max(self._first, self.history.visible(now).stop))

    def delete(self, execution_id: str) -> bool:
        """Takes an execution out of the list for ever; False if there is none with this id."""
        index = self.history.find_index(execution_id)
        if index is None or index < self._first:
            return False
        self._deleted |= {index}
        return True

    def kind(self, request: Request) -> str:
        """`riza.list`, `riza.get` or `riza.other`."""
        if request.method == "GET" and request.path == "/v1/executions":
            return "riza.list"
        is_get = request.method == "GET" and request.path.startswith("/v1/executions/")
        return "riza.get" if is_get else "riza.other"

    def answer(self, request: Request, now: datetime, fault: str | None) -> Answer:
        """The API's answer to an authenticated request."""
        match self.kind(request):
            case "riza.list":
                if fault == "delete_anchor":
                    self.delete(request.query.get("starting_after", ""))
                return self._list(request.query, now)
            case "riza.get":
                return self._get(request.path.removeprefix("/v1/executions/"), now)
            case _:
                return self.refuse(404, "not found")

    def refuse(self, status: int, message: str) -> Answer:
        """The error body of google.rpc.Status; its code is not the HTTP status."""
        codes = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 500: 13, 503: 14}
        return answer_json({"code": codes.get(status, 2), "message": message}, status)

    def _list(self, query: dict[str, str], now: datetime) -> Answer:
        limit = read_whole_number(query.get("limit"), 100, 1, 100)
        if limit is None:
            return self.refuse(400, "limit must be between 1 and 100")
        rest = self.visible(now)
        if "starting_after" in query:
            anchor = self._find_listed(query["starting_after"], rest)
            if anchor is not None:
                rest = self._behind(rest, anchor)
            elif self._unknown_anchor == "error":
                return self.refuse(404, "starting_after: no such execution")
            elif self._unknown_anchor == "empty":
                return EMPTY_PAGE
        if query.get("only_non_zero_exit_codes") == "true":
            return self._page_of(self._choose(rest, limit, self._has_failed), now)
        if self._deleted:
            return self._page_of(self._choose(rest, limit, lambda _: True), now)
        return self._page(rest, limit, now)

    def _get(self, execution_id: str, now: datetime) -> Answer:
        index = self._find_listed(execution_id, self.visible(now))
        if index is None:
            return self.refuse(404, "execution not found")
        return answer_json(self.history.execution(index))

    def _find_listed(self, execution_id: str, visible: range) -> int | None:
        index = self.history.find_index(execution_id)
        return index if index in visible and index not in self._deleted else None

    def _behind(self, visible: range, anchor: int) -> range:
        if self._order == "newest":
            return range(visible.start, anchor)
        return range(anchor + 1, visible.stop)

    def _page(self, rest: range, limit: int, now: datetime) -> Answer:
        """The usual page: neighbours, hence slices."""
        if self._order == "newest":
            records = self._cache.take(rest[-limit:], unix_ms(now))
            records.reverse()
        else:
            records = self._cache.take(rest[:limit], unix_ms(now))
        return Answer(200, join_records(b'{"data":[', records, b"]}"))

    def _page_of(self, indexes: list[int], now: datetime) -> Answer:
        now_ms = unix_ms(now)
        records = [self._cache.take(range(index, index + 1), now_ms)[0] for index in indexes]
        return Answer(200, join_records(b'{"data":[', records, b"]}"))

    def _choose(self, rest: range, limit: int, matches: Callable[[int], bool]) -> list[int]:
        found: Iterator[int] = (
            index
            for index in (reversed(rest) if self._order == "newest" else rest)
            if index not in self._deleted and matches(index)
        )
        return list(islice(found, limit))

    def _has_failed(self, index: int) -> bool:
        return self.history.exit_code(index) != 0

    def _render(self, indexes: range, now_ms: int) -> Chunk[bytes]:
        listed = self.history.listed
        return Chunk(tuple([encode_json(listed(index)) for index in indexes]))
