"""The B3OS dialect over a world: a list by offset that shifts under whoever walks it."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.simulation.world import Record, World


@dataclass
class B3osApi:
    world: World
    is_ascending: bool

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/v1/executions":
            record = self.world.records.get(request.url.path.rpartition("/")[2])
            if record is None or record.visible_at > self.world.now:
                return httpx.Response(404, json={"code": 404, "message": "no such execution"})
            return _wrap({"execution": describe(record), "events": []})
        rows = sorted(
            self.world.list_visible(),
            key=lambda r: (r.started_at, r.id),
            reverse=not self.is_ascending,
        )
        limit, offset = (int(request.url.params[name]) for name in ("limit", "offset"))
        page = rows[offset : offset + limit]
        has_more = offset + len(page) < len(rows)
        items = [describe(record) for record in page]
        return _wrap({"items": items, "hasMore": has_more, "limit": limit, "offset": offset})


def _wrap(data: dict[str, Any]) -> httpx.Response:
    return httpx.Response(
        200, json={"code": 200, "message": "success", "requestId": "r", "data": data}
    )


def describe(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "status": "workflow_running" if record.is_open else "workflow_succeeded",
        "requestPayload": {"version": record.version},
        "createdAt": record.started_at.isoformat(),
        "updatedAt": record.updated_at.isoformat(),
    }
