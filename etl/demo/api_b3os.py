"""The B3OS dialect: lists by offset in an envelope, single executions, events, statistics, runs."""

import re
from bisect import bisect_left
from collections.abc import Iterable
from datetime import datetime
from itertools import count, islice
from typing import Any

from etl.demo.b3os_records import RUN_STATUSES, make_events, make_execution, make_run
from etl.demo.b3os_stats import make_stats
from etl.demo.cache import FOR_EVER_MS, Chunk, ChunkCache
from etl.demo.chance import unix_ms
from etl.demo.history_b3os import (
    RUN_START_MAX_MS,
    B3osHistory,
    Facts,
    next_change_ms,
    reached_steps,
)
from etl.demo.messages import (
    Answer,
    Order,
    Request,
    answer_json,
    encode_json,
    join_records,
    read_whole_number,
)

ONE = re.compile(r"/v1/executions/([^/]+)(/events)?")
KINDS = {
    "/v1/executions": "b3os.list",
    "/v1/executions/stats": "b3os.stats",
    "/v1/runs": "b3os.runs",
}
OFFSET_MAX = 10**9


class B3osApi:
    """One organization. The order of its lists is not documented, hence `order`.

    Deleted executions stay deleted for the life of this object, and all offsets behind them shift.
    """

    def __init__(
        self,
        history: B3osHistory,
        now: datetime,
        order: Order = "newest",
        cached_records: int = 200_000,
    ) -> None:
        self.history = history
        self._first = history.visible(now).start
        self._order = order
        self._cache: ChunkCache[bytes] = ChunkCache(self._render, cached_records)
        self._deleted: tuple[int, ...] = ()
        self._numbers = count(1)

    def visible(self, now: datetime) -> range:
        """The indexes in the list at `now`, deleted ones included."""
        return range(self._first, max(self._first, self.history.visible(now).stop))

    def delete(self, execution_id: str) -> bool:
        """Takes an execution and its run out of the lists for ever; False if there is none."""
        index = self.history.find_index(execution_id)
        if index is None or index < self._first:
            return False
        self._deleted = tuple(sorted({*self._deleted, index}))
        return True

    def kind(self, request: Request) -> str:
        """`b3os.list`, `b3os.get`, `b3os.events`, `b3os.stats`, `b3os.runs` or `b3os.other`."""
        if request.method != "GET":
            return "b3os.other"
        if request.path in KINDS:
            return KINDS[request.path]
        found = ONE.fullmatch(request.path)
        if found is None:
            return "b3os.other"
        return "b3os.events" if found[2] else "b3os.get"

    def answer(self, request: Request, now: datetime, fault: str | None) -> Answer:
        """The API's answer to an authenticated request."""
        if fault == "soft_error":
            return self._fail_softly()
        now_ms = unix_ms(now)
        match self.kind(request):
            case "b3os.list":
                return self._list(request.query, now)
            case "b3os.runs":
                return self._list_runs(request.query, now)
            case "b3os.stats":
                return self._count(request.query, now)
            case "b3os.get" | "b3os.events":
                return self._get(request.path, now, now_ms)
            case _:
                return self.refuse(404, "route not found")

    def refuse(self, status: int, message: str) -> Answer:
        """The error body of the OpenAPI document."""
        body = {"code": status, "message": message, "details": [], "requestId": self._request_id()}
        return answer_json(body, status)

    def _request_id(self) -> str:
        return f"req-{next(self._numbers):08x}"

    def _wrap(self, data: Any) -> Answer:
        return answer_json(
            {"code": 200, "data": data, "message": "success", "requestId": self._request_id()}
        )

    def _wrap_page(
        self, records: list[bytes], limit: int, offset: int, *, has_more: bool
    ) -> Answer:
        flag = b"true" if has_more else b"false"
        head = b'{"code":200,"data":{"hasMore":%b,"items":[' % flag
        tail = b'],"limit":%d,"offset":%d},"message":"success","requestId":"%b"}' % (
            limit,
            offset,
            self._request_id().encode(),
        )
        return Answer(200, join_records(head, records, tail))

    def _fail_softly(self) -> Answer:
        message = "database is busy, try again"
        return answer_json({"code": 500_228, "message": message, "requestId": self._request_id()})

    def _list(self, query: dict[str, str], now: datetime) -> Answer:
        page = _read_page(query)
        if page is None:
            return self.refuse(400, "invalid limit or offset")
        limit, offset = page
        visible = self.visible(now)
        total = len(visible) - len(self._deleted)
        if self._deleted:
            rest = self._walk(visible, self._deleted, offset)
            records = [self._record(index, now) for index in islice(rest, limit)]
        elif self._order == "newest":
            stop = max(visible.start, visible.stop - offset)
            records = self._cache.take(range(max(visible.start, stop - limit), stop), unix_ms(now))
            records.reverse()
        else:
            start = min(visible.stop, visible.start + offset)
            records = self._cache.take(range(start, min(visible.stop, start + limit)), unix_ms(now))
        return self._wrap_page(records, limit, offset, has_more=offset + len(records) < total)

    def _record(self, index: int, now: datetime) -> bytes:
        return self._cache.take(range(index, index + 1), unix_ms(now))[0]

    def _walk(self, visible: range, hidden: tuple[int, ...], offset: int) -> Iterable[int]:
        """The indexes of the list from an offset on, without the hidden ones (sorted)."""
        hidden_set = frozenset(hidden)
        if self._order == "newest":
            start = visible.stop - 1 - offset
            # Each hidden one above pushes the place down, maybe below more hidden ones.
            while (moved := visible.stop - 1 - offset - _count_from(hidden, start)) != start:
                start = moved
            places = range(start, visible.start - 1, -1)
        else:
            start = visible.start + offset
            while (moved := visible.start + offset + bisect_left(hidden, start + 1)) != start:
                start = moved
            places = range(start, visible.stop)
        return (index for index in places if index not in hidden_set)

    def _list_runs(self, query: dict[str, str], now: datetime) -> Answer:
        page = _read_page(query)
        if page is None:
            return self.refuse(400, "invalid limit or offset")
        if query.get("status", "running") not in {*RUN_STATUSES.values()}:
            return self.refuse(400, "invalid status")
        limit, offset = page
        runs = self._find_runs(query.get("status"), offset, now)
        found = list(islice(runs, limit + 1))
        records = [encode_json(run) for run in found[:limit]]
        return self._wrap_page(records, limit, offset, has_more=len(found) > limit)

    def _find_runs(
        self, status: str | None, offset: int, now: datetime
    ) -> Iterable[dict[str, Any]]:
        now_ms, visible = unix_ms(now), self.visible(now)
        hidden = tuple(sorted({*self._deleted, *self._find_not_started(visible, now_ms)}))
        # A status has to be counted from the head; all runs can be entered at any place.
        indexes = self._walk(visible, hidden, 0 if status else offset)
        made = (make_run(self.history, self.history.facts(index), now_ms) for index in indexes)
        runs = (run for run in made if run and status in {None, run["status"]})
        return islice(runs, offset, None) if status else runs

    def _find_not_started(self, visible: range, now_ms: int) -> list[int]:
        """The newest executions whose run is still to come: they are at the head of the list."""
        since = self.history.index_at(now_ms - RUN_START_MAX_MS)
        recent = range(max(visible.start, since), visible.stop)
        starts = ((index, self.history.facts(index).run_started_ms) for index in recent)
        return [index for index, start_ms in starts if start_ms is not None and start_ms > now_ms]

    def _count(self, query: dict[str, str], now: datetime) -> Answer:
        now_ms = unix_ms(now)
        start_ms = read_whole_number(query.get("from"), now_ms - 86_400_000, 0, 1 << 50)
        end_ms = read_whole_number(query.get("to"), now_ms, 0, 1 << 50)
        granularity = query.get("granularity", "hourly")
        if start_ms is None or end_ms is None or granularity not in {"hourly", "daily"}:
            return self.refuse(400, "invalid from, to or granularity")
        visible = self.visible(now)
        low = max(visible.start, self.history.index_at(start_ms - 1) + 1)
        high = min(visible.stop, self.history.index_at(end_ms - 1) + 1)
        indexes = (index for index in range(low, high) if index not in self._deleted)
        facts = (self.history.facts(index) for index in indexes)
        return self._wrap(make_stats(self.history, facts, now_ms, granularity))

    def _get(self, path: str, now: datetime, now_ms: int) -> Answer:
        found = ONE.fullmatch(path)
        index = self.history.find_index(found[1]) if found else None
        if found is None or index is None or index in self._deleted:
            return self.refuse(404, "execution not found")
        if index not in self.visible(now):
            return self.refuse(404, "execution not found")
        facts = self.history.facts(index)
        events = make_events(self.history, facts, now_ms)
        if found[2]:
            return self._wrap(events)
        execution = make_execution(self.history, facts, now_ms)
        return self._wrap({"execution": execution, "events": events, "message": "success"})

    def _render(self, indexes: range, now_ms: int) -> Chunk[bytes]:
        facts = [self.history.facts(index) for index in indexes]
        records = tuple([encode_json(make_execution(self.history, one, now_ms)) for one in facts])
        return Chunk(
            records,
            max(_since_ms(one, now_ms) for one in facts),
            min(next_change_ms(one, now_ms) or FOR_EVER_MS for one in facts),
        )


def _since_ms(facts: Facts, now_ms: int) -> int:
    # Before its first step an execution cannot be seen: what is rendered for it is never served.
    steps = reached_steps(facts, now_ms)
    return steps[-1].at_ms if len(steps) > 1 or steps[0].at_ms <= now_ms else -FOR_EVER_MS


def _count_from(ascending: tuple[int, ...], start: int) -> int:
    return len(ascending) - bisect_left(ascending, start)


def _read_page(query: dict[str, str]) -> tuple[int, int] | None:
    limit = read_whole_number(query.get("limit"), 20, 1, 100)
    offset = read_whole_number(query.get("offset"), 0, 0, OFFSET_MAX)
    return None if limit is None or offset is None else (limit, offset)
