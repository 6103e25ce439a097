"""The Riza dialect over a world: order of the list and what becomes of forgotten ids may vary."""

from dataclasses import dataclass
from typing import Any

from tests.simulation.line import Reply, Request
from tests.simulation.ordering import sort_records
from tests.simulation.world import Record, World

SECRET = "sk-live-0123456789"
LISTED_WHOLE_FROM = "4"
"""Ids below are listed without details: one in four."""
PATH = "/v1/executions"


@dataclass
class RizaApi:
    """`forgotten`: what `starting_after` an unknown id does: refused, ignored, or empty."""

    world: World
    order: str
    forgotten: str
    page_size_max: int

    def answer(self, request: Request) -> Reply:
        if request.path != PATH:
            return self._retrieve(request.path.rpartition("/")[2])
        records = sort_records(self.world, self.order)
        after = request.params.get("starting_after")
        start = 0
        if after is not None:
            places = [i for i, r in enumerate(records) if r.id == after]
            if not places and self.forgotten == "refused":
                return Reply(404, {"code": 5, "message": "not found"})
            if not places and self.forgotten == "empty":
                return Reply(200, {"data": []})
            start = places[0] + 1 if places else 0
        limit = min(int(request.params["limit"]), self.page_size_max)
        page = records[start : start + limit]
        return Reply(200, {"data": [describe(record) for record in page]})

    def _retrieve(self, record_id: str) -> Reply:
        record = self.world.records.get(record_id)
        if record is None or record.visible_at > self.world.now:
            return Reply(404, {"code": 5, "message": "not found"})
        return Reply(200, describe(record) | {"details": describe_details(record)})


def describe(record: Record) -> dict[str, Any]:
    body = {
        "id": record.id,
        "started_at": record.started_at.isoformat(),
        "language": "python",
        "duration": 5,
        "exit_code": 0,
    }
    is_whole = record.id >= LISTED_WHOLE_FROM
    return body | {"details": describe_details(record)} if is_whole else body


def describe_details(record: Record) -> dict[str, Any]:
    return {
        "type": "script",
        "request": {"language": "python", "code": record.id, "env": {"KEY": SECRET}},
        "response": {"id": "", "exit_code": 0, "stdout": "", "stderr": "", "duration": 5},
    }
