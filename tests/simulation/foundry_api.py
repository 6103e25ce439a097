"""The Foundry dialect over a world: completed executions by start time, tokens that expire."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.simulation.line import Reply, Request
from tests.simulation.world import Record, World

RESOURCES = tuple(f"ri.function-registry.main.function.f{number}" for number in range(3))


@dataclass
class FoundryApi:
    """`expiry` is the chance that a token is refused, `too_large` the longest window answered.

    `refusals_at_rest`: how many tokens are refused in a world where else nothing happens any more.
    """

    world: World
    resources: tuple[str, ...]
    expiry: float
    too_large: timedelta | None
    refusals_at_rest: int = 0

    def answer(self, request: Request) -> Reply:
        body = request.body
        since, until = (datetime.fromisoformat(body[n]) for n in ("startTime", "endTime"))
        if self.too_large is not None and until - since > self.too_large:
            return Reply(413, {"errorName": "TooLarge", "errorInstanceId": "1"})
        resource = request.path.split("/")[-2]
        rows = sorted(
            (
                r
                for r in self.world.list_visible()
                if since <= r.started_at < until and self.find_resource(r) == resource
            ),
            key=lambda r: (r.started_at, r.id),
            reverse=True,
        )
        if "pageToken" in body:
            if self._is_expired():
                return Reply(400, {"errorName": "InvalidPageToken", "errorInstanceId": "2"})
            time, record_id = body["pageToken"].split()
            behind = (datetime.fromisoformat(time), record_id)
            rows = [r for r in rows if (r.started_at, r.id) < behind]
        page = rows[: body["pageSize"]]
        answer: dict[str, Any] = {"data": [self.describe(r) for r in page]}
        if len(rows) > len(page):
            answer["nextPageToken"] = f"{page[-1].started_at.isoformat()} {page[-1].id}"
        if not page:
            del answer["data"]
        return Reply(200, answer)

    def _is_expired(self) -> bool:
        if not self.world.is_calm:
            return self.world.chance.random() < self.expiry
        self.refusals_at_rest -= 1
        return self.refusals_at_rest >= 0

    def find_resource(self, record: Record) -> str:
        return self.resources[record.number % len(self.resources)]

    def describe(self, record: Record) -> dict[str, Any]:
        took_s = (record.visible_at - record.started_at).total_seconds()
        return {
            "resourceRid": self.find_resource(record),
            "foundryTraceId": record.id,
            "traceOwningRid": "ri.owner.main.monitor.m1",
            "resourceVersion": "1.0.0",
            "status": "SUCCEEDED",
            "startTime": record.started_at.isoformat(),
            "duration": {"value": round(took_s), "unit": "SECONDS"},
        }
