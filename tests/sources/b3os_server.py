"""A B3OS organization as a function: lists by offset whose rows come and go between requests."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

LIMIT_MAX = 100
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
Record = dict[str, Any]


def make_record(number: int, minute: int | None = None, **fields: Any) -> Record:
    """An execution that was created `minute` minutes after midnight; by default its number."""
    created_at = MIDNIGHT + timedelta(minutes=number if minute is None else minute)
    return {
        "id": f"exec_{number}",
        "createdAt": created_at.isoformat().replace("+00:00", "Z"),
        "status": "workflow_succeeded",
    } | fields


@dataclass
class B3osServer:
    """Lists `records` in the order in which they stand.

    `before_answer` may move them: it is called with the number of the request, beginning at 1.
    Offsets above `offset_max` are refused.
    """

    records: list[Record]
    limit_max: int = LIMIT_MAX
    offset_max: int = 10**9
    before_answer: Callable[[int], None] = lambda number: None
    events: dict[str, list[Record]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request.url.raw_path.decode())
        self.before_answer(len(self.requests))
        rest = request.url.path.split("/")[3:]
        if rest:
            return self._get(rest[0], is_events=len(rest) > 1)
        limit = min(int(request.url.params["limit"]), self.limit_max)
        offset = int(request.url.params["offset"])
        self.limits.append(limit)
        if offset > self.offset_max:
            return refuse(400, "invalid offset")
        page = self.records[offset : offset + limit]
        data = {
            "items": page,
            "limit": limit,
            "offset": offset,
            "hasMore": offset + len(page) < len(self.records),
        }
        return wrap(data)

    def _get(self, record_id: str, is_events: bool) -> httpx.Response:
        found = next((r for r in self.records if r["id"] == record_id), None)
        if found is None:
            return refuse(404, "execution not found")
        events = self.events.get(record_id, [])
        if is_events:
            return wrap(events)
        return wrap({"execution": found, "events": events, "message": "success"})


def wrap(data: Any) -> httpx.Response:
    body = {"code": 200, "data": data, "message": "success", "requestId": "abc-123"}
    return httpx.Response(200, json=body)


def refuse(status: int, message: str) -> httpx.Response:
    body = {"code": status, "message": message, "details": [], "requestId": "abc-124"}
    return httpx.Response(status, json=body)
