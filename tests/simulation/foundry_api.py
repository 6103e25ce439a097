"""The Foundry dialect over a world: completed executions by start time, tokens that expire."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from tests.simulation.world import Record, World

RESOURCE = "ri.function-registry.main.function.f1"


@dataclass
class FoundryApi:
    """`expiry` is the chance that a token is refused, `too_large` the longest window answered."""

    world: World
    expiry: float
    too_large: timedelta | None

    def answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        since, until = (datetime.fromisoformat(body[n]) for n in ("startTime", "endTime"))
        if self.too_large is not None and until - since > self.too_large:
            return httpx.Response(413, json={"errorName": "TooLarge", "errorInstanceId": "1"})
        rows = sorted(
            (r for r in self.world.list_visible() if since <= r.started_at < until),
            key=lambda r: (r.started_at, r.id),
            reverse=True,
        )
        if "pageToken" in body:
            if not self.world.is_calm and self.world.chance.random() < self.expiry:
                refusal = {"errorName": "InvalidPageToken", "errorInstanceId": "2"}
                return httpx.Response(400, json=refusal)
            time, record_id = body["pageToken"].split()
            behind = (datetime.fromisoformat(time), record_id)
            rows = [r for r in rows if (r.started_at, r.id) < behind]
        page = rows[: body["pageSize"]]
        answer: dict[str, Any] = {"data": [describe(r) for r in page]}
        if len(rows) > len(page):
            answer["nextPageToken"] = f"{page[-1].started_at.isoformat()} {page[-1].id}"
        if not page:
            del answer["data"]
        return httpx.Response(200, json=answer)


def describe(record: Record) -> dict[str, Any]:
    took_s = (record.visible_at - record.started_at).total_seconds()
    return {
        "resourceRid": RESOURCE,
        "foundryTraceId": record.id,
        "traceOwningRid": "ri.owner.main.monitor.m1",
        "resourceVersion": "1.0.0",
        "status": "SUCCEEDED",
        "startTime": record.started_at.isoformat(),
        "duration": {"value": round(took_s), "unit": "SECONDS"},
    }
