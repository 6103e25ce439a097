"""A list of the Airflow API as a function: filters, cursors or offsets, and rows that move."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

PAGE_LIMIT_MAX = 100


@dataclass
class Run:
    """One stored run: what the server knows of it, part of which it never shows."""

    id: int
    updated_at: datetime | None
    run_after: datetime

    @property
    def name(self) -> str:
        return f"run-{self.id}"


@dataclass
class RunServer:
    """`GET /api/v2/dags/~/dagRuns` over `runs`.

    `has_cursors` is false for releases before 3.3. `before_answer` may move rows: it is called
    with the number of the request, beginning at 1.
    """

    runs: list[Run]
    now: datetime
    has_cursors: bool = True
    limit_max: int = PAGE_LIMIT_MAX
    before_answer: Callable[[int], None] = lambda number: None
    requests: list[httpx.QueryParams] = field(default_factory=list)

    def answer(self, request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        self.requests.append(asked)
        self.before_answer(len(self.requests))
        rows = [run for run in sorted(self.runs, key=lambda r: r.id) if matches(run, asked)]
        limit = min(int(asked["limit"]), self.limit_max)
        body: dict[str, Any] = {"total_entries": len(rows)}
        if self.has_cursors and "cursor" in asked:
            after = decode_cursor(asked["cursor"])
            behind = [run for run in rows if run.id > after]
            page = behind[:limit]
            has_more = len(behind) > limit and limit > 0
            body["next_cursor"] = encode_cursor(page[-1].id) if has_more else None
        else:
            offset = int(asked.get("offset", "0"))
            page = rows[offset : offset + limit]
            if self.has_cursors:
                body["next_cursor"] = None
        body["dag_runs"] = [{"dag_id": "dag", "dag_run_id": run.name} for run in page]
        date = self.now.strftime("%a, %d %b %Y %H:%M:%S GMT")
        return httpx.Response(200, json=body, headers={"Date": date})


def matches(run: Run, asked: httpx.QueryParams) -> bool:
    """Whether a run passes the filters; SQL compares a missing stamp with nothing."""
    for name in ("updated_at", "run_after"):
        value = getattr(run, name)
        since, until = asked.get(f"{name}_gte"), asked.get(f"{name}_lt")
        if since is not None and (value is None or value < datetime.fromisoformat(since)):
            return False
        if until is not None and (value is None or value >= datetime.fromisoformat(until)):
            return False
    return True


def encode_cursor(run_id: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([run_id]).encode()).decode()


def decode_cursor(cursor: str) -> int:
    return int(json.loads(base64.urlsafe_b64decode(cursor))[0]) if cursor else 0
