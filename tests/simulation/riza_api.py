"""The Riza dialect over a world: order of the list and what becomes of forgotten ids may vary."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.simulation.world import START, Record, World

SECRET = "sk-live-0123456789"


@dataclass
class RizaApi:
    """About a quarter of the executions is listed without details.

    Those that left the list can still be retrieved: whatever is stored must have its details.
    """

    world: World
    is_ascending: bool
    forgotten: str
    page_size: int

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/v1/executions":
            return self._retrieve(request.url.path.rpartition("/")[2])
        records = sorted(
            self.world.list_visible(),
            key=lambda r: (r.started_at, r.id),
            reverse=not self.is_ascending,
        )
        after = request.url.params.get("starting_after")
        start = 0
        if after is not None:
            places = [i for i, r in enumerate(records) if r.id == after]
            if not places and self.forgotten == "refused":
                return httpx.Response(404, json={"code": 5, "message": "not found"})
            if not places and self.forgotten == "empty":
                return httpx.Response(200, json={"data": []})
            start = places[0] + 1 if places else 0
        page = records[start : start + self.page_size]
        return httpx.Response(200, json={"data": [describe(record) for record in page]})

    def _retrieve(self, record_id: str) -> httpx.Response:
        gone = Record(record_id, START, START, START)
        record = self.world.records.get(record_id, gone)
        return httpx.Response(200, json=describe(record) | {"details": describe_details(record)})


def describe(record: Record) -> dict[str, Any]:
    body = {
        "id": record.id,
        "started_at": record.started_at.isoformat(),
        "language": "python",
        "duration": 5,
        "exit_code": 0,
    }
    return body if record.id < "4" else body | {"details": describe_details(record)}


def describe_details(record: Record) -> dict[str, Any]:
    return {
        "type": "script",
        "request": {"language": "python", "code": record.id, "env": {"KEY": SECRET}},
        "response": {"id": "", "exit_code": 0, "stdout": "", "stderr": "", "duration": 5},
    }
