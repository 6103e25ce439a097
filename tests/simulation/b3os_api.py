"""The B3OS dialect over a world: lists by offset that shift under whoever walks them."""

from dataclasses import dataclass
from typing import Any

from tests.simulation.line import Reply, Request
from tests.simulation.ordering import sort_records
from tests.simulation.world import Record, World

LISTS = {"/v1/executions", "/v1/runs"}


@dataclass
class B3osApi:
    world: World
    order: str

    def answer(self, request: Request) -> Reply:
        if request.path in LISTS:
            return self._list(request)
        _, _, _, record_id, *rest = request.path.split("/")
        record = self.world.records.get(record_id)
        if record is None or record.visible_at > self.world.now:
            return Reply(404, {"code": 404, "message": "no such execution"})
        events = list_events(record)
        return _wrap(events if rest else {"execution": describe(record), "events": events})

    def _list(self, request: Request) -> Reply:
        rows = sort_records(self.world, self.order)
        limit, offset = (int(request.params[name]) for name in ("limit", "offset"))
        page = rows[offset : offset + limit]
        has_more = offset + len(page) < len(rows)
        show = describe_run if request.path == "/v1/runs" else describe
        items = [show(record) for record in page]
        return _wrap({"items": items, "hasMore": has_more, "limit": limit, "offset": offset})


def _wrap(data: Any) -> Reply:
    return Reply(200, {"code": 200, "message": "success", "requestId": "r", "data": data})


def describe(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "status": "workflow_running" if record.is_open else "workflow_succeeded",
        "requestPayload": {"version": record.version},
        "createdAt": record.started_at.isoformat(),
        "updatedAt": record.updated_at.isoformat(),
    }


def list_events(record: Record) -> list[dict[str, Any]]:
    """One event for each version there was."""
    return [{"id": f"{record.id}-{number}"} for number in range(record.version + 1)]


def describe_run(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        "status": "running" if record.is_open else "success",
        "workflowVersion": record.version,
        "startedAt": record.started_at.isoformat(),
    }
