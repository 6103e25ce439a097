"""A Foundry resource as a function: windows, page tokens, and executions that complete late."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

RID = "ri.function-registry.main.function.c26f11c8-cdb3-4f44-9f5d-9816ea1c82da"
OWNER = "ri.object-sentinel.main.monitor.f7c14421-54f4-4e9f-b6f2-1971b79d612b"

Record = dict[str, Any]


def make_record(number: int, started_at: datetime, **fields: Any) -> Record:
    """A completed execution as the API shows it."""
    return {
        "traceOwningRid": OWNER,
        "foundryTraceId": f"trace-{number}",
        "resourceRid": RID,
        "resourceVersion": "1.2.0",
        "status": "SUCCEEDED",
        "startTime": started_at.isoformat().replace("+00:00", "Z"),
        "duration": {"value": number, "unit": "SECONDS"},
    } | fields


@dataclass
class FoundryServer:
    """Lists `records` newest first, those of one start time as they stand in it.

    A token is the number of rows before the page, and only good for the window it was made for.
    Requests of the numbers in `expired` find their token expired. With `every_other_is_empty`
    pages without `data` come in between.
    """

    records: list[Record]
    expired: frozenset[int] = frozenset()
    every_other_is_empty: bool = False
    before_answer: Callable[[int], None] = lambda number: None
    requests: list[Record] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        self.requests.append(asked)
        self.before_answer(len(self.requests))
        window = f"{asked['startTime']}|{asked['endTime']}"
        offset = 0
        if "pageToken" in asked:
            made_for, _, place = asked["pageToken"].rstrip("+").rpartition("|")
            if made_for != window or len(self.requests) in self.expired:
                return refuse(400, "InvalidPageToken")
            offset = int(place)
        if self.every_other_is_empty and len(self.requests) % 2:
            return httpx.Response(200, json={"nextPageToken": f"{window}|{offset}+"})
        rows = self._list(asked["startTime"], asked["endTime"])
        page = rows[offset : offset + asked["pageSize"]]
        body: Record = {"data": page} if page else {}
        if offset + len(page) < len(rows):
            body["nextPageToken"] = f"{window}|{offset + len(page)}"
        return httpx.Response(200, json=body)

    def _list(self, since: str, until: str) -> list[Record]:
        start, end = datetime.fromisoformat(since), datetime.fromisoformat(until)
        within = [r for r in self.records if start <= read_start(r) < end]
        return sorted(within, key=read_start, reverse=True)


def read_start(record: Record) -> datetime:
    return datetime.fromisoformat(record["startTime"])


def refuse(status: int, name: str) -> httpx.Response:
    body = {
        "errorCode": "INVALID_ARGUMENT",
        "errorName": name,
        "errorDescription": "described",
        "errorInstanceId": "00000000-0000-4000-8000-000000000009",
        "parameters": {},
    }
    return httpx.Response(status, json=body)
