"""The Airflow dialect over a world: two lists, filtered by a time that they do not show."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from tests.simulation.world import Record, World

FILTERS = {
    "updated_at_gte": lambda record, time: record.updated_at >= time,
    "updated_at_lt": lambda record, time: record.updated_at < time,
    "run_after_gte": lambda record, time: record.started_at >= time,
    "run_after_lt": lambda record, time: record.started_at < time,
}


@dataclass
class AirflowApi:
    """`unstamped` are rows of an old release: no filter on `updated_at` finds them."""

    world: World
    has_cursors: bool
    unstamped: frozenset[str]

    def answer(self, request: httpx.Request) -> httpx.Response:
        params = dict(request.url.params)
        is_runs = request.url.path.endswith("/dagRuns")
        rows = [r for r in self._list_rows() if self._matches(r, params)]
        limit = int(params["limit"])
        body: dict[str, Any] = {"total_entries": len(rows)}
        if self.has_cursors and "cursor" in params:
            behind = int(params["cursor"] or "-1")
            page = [r for r in rows if _number(r) > behind][:limit]
            is_last = not page or page[-1] is rows[-1]
            body["next_cursor"] = None if is_last else str(_number(page[-1]))
        else:
            offset = int(params.get("offset", "0"))
            page = rows[offset : offset + limit]
        body["dag_runs" if is_runs else "task_instances"] = [
            describe_run(record) if is_runs else describe_task(record) for record in page
        ]
        return httpx.Response(200, json=body)

    def _list_rows(self) -> list[Record]:
        return sorted(self.world.list_visible(), key=_number)

    def _matches(self, record: Record, params: dict[str, str]) -> bool:
        for name, matches in FILTERS.items():
            if name not in params:
                continue
            if name.startswith("updated_at") and record.id in self.unstamped:
                return False
            if not matches(record, datetime.fromisoformat(params[name])):
                return False
        return True


def _number(record: Record) -> int:
    """The internal id: in the order of creation."""
    return int(record.id.rpartition("-")[2])


def describe_run(record: Record) -> dict[str, Any]:
    return {
        "dag_id": "etl",
        "dag_run_id": record.id,
        "state": "running" if record.is_open else "success",
        "run_after": record.started_at.isoformat(),
        "conf": {"version": record.version},
    }


def describe_task(record: Record) -> dict[str, Any]:
    return {
        "dag_id": "etl",
        "dag_run_id": record.id,
        "task_id": "work",
        "map_index": -1,
        "state": "success",
        "try_number": record.version,
    }
