"""The Airflow dialect over a world: two lists, filtered by a time that they do not show."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from tests.simulation.line import Reply, Request
from tests.simulation.world import Record, World

FILTERS = {
    "updated_at_gte": lambda record, time: record.updated_at >= time,
    "updated_at_lt": lambda record, time: record.updated_at < time,
    "run_after_gte": lambda record, time: record.started_at >= time,
    "run_after_lt": lambda record, time: record.started_at < time,
}


class Row(NamedTuple):
    """A row of either list: `number` is its internal id, `map_index` None for a run."""

    number: int
    record: Record
    map_index: int | None = None


@dataclass
class AirflowApi:
    """`unstamped` are rows of an old release: no filter on `updated_at` finds them."""

    world: World
    has_cursors: bool
    unstamped: frozenset[str]

    def answer(self, request: Request) -> Reply:
        params = request.params
        if not request.path.endswith(("/dagRuns", "/taskInstances")):
            return self._retrieve(request.path)
        is_runs = request.path.endswith("/dagRuns")
        rows = [row for row in self._list_rows(is_runs) if self._matches(row.record, params)]
        limit = int(params["limit"])
        body: dict[str, Any] = {"total_entries": len(rows)}
        if self.has_cursors and "cursor" in params:
            behind = int(params["cursor"] or "-1")
            page = [row for row in rows if row.number > behind][:limit]
            is_last = not page or page[-1] == rows[-1]
            body["next_cursor"] = None if is_last else str(page[-1].number)
        else:
            offset = int(params.get("offset", "0"))
            page = rows[offset : offset + limit]
        body["dag_runs" if is_runs else "task_instances"] = [describe(row) for row in page]
        return Reply(200, body)

    def _list_rows(self, is_runs: bool) -> list[Row]:
        records = sorted(self.world.list_visible(), key=lambda record: record.number)
        if is_runs:
            return [Row(record.number, record) for record in records]
        return sorted(row for record in records for row in list_tasks(record))

    def _matches(self, record: Record, params: Any) -> bool:
        for name, matches in FILTERS.items():
            if name not in params:
                continue
            if name.startswith("updated_at") and record.id in self.unstamped:
                return False
            if not matches(record, datetime.fromisoformat(params[name])):
                return False
        return True

    def _retrieve(self, path: str) -> Reply:
        """A run by its address; single task instances are not asked for."""
        record = self.world.records.get(path.rpartition("/")[2])
        if record is None or record.visible_at > self.world.now:
            return Reply(404, {"detail": "not found"})
        return Reply(200, describe(Row(record.number, record)))


def list_tasks(record: Record) -> list[Row]:
    """The tasks of a run: one mapped task, which is a single row until it has expanded.

    The first part keeps the row's internal id, the second is a new row, far behind.
    """
    if record.version == 0 and record.is_open:
        return [Row(record.number, record, -1)]
    return [Row(record.number, record, 0), Row(1_000_000 + record.number, record, 1)]


def describe(row: Row) -> dict[str, Any]:
    record = row.record
    shown: dict[str, Any] = {
        "dag_id": "etl",
        "dag_run_id": record.id,
        "run_after": record.started_at.isoformat(),
        "start_date": record.updated_at.isoformat(),
    }
    if row.map_index is None:
        state = "running" if record.is_open else "success"
        return shown | {"state": state, "conf": {"version": record.version}}
    return shown | {
        "task_id": "work",
        "map_index": row.map_index,
        "state": None if record.is_open else "success",
        "try_number": record.version,
    }
