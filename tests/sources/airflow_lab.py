"""What the tests of the Airflow source share: its pages, and one page of it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from etl.budget import start_budget
from etl.http import Client, open_client
from etl.records import Gap, Page, SourceConfig, Stream
from etl.sources import airflow
from tests.sources.airflow_server import Run, RunServer

PAGES = Path(__file__).parent.parent / "pages" / "airflow"
LISTS = [
    path
    for path in sorted(PAGES.glob("*s_*.json"))
    if json.loads(path.read_text()).get("dag_runs")
    or (json.loads(path.read_text()).get("task_instances") and "tries" not in path.name)
]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MONTH = Gap(datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC))
Answer = Callable[[httpx.Request], httpx.Response]


def read_page(name: str) -> Any:
    return json.loads((PAGES / name).read_text())


def make_config(page_size: int = 100) -> SourceConfig:
    return SourceConfig("prod", "airflow", "http://airflow", "TOKEN", "t", page_size=page_size)


RUNS, TASKS = airflow.list_streams(make_config())


@contextmanager
def client_of(answer: Answer) -> Iterator[Client]:
    with open_client(
        "prod", "http://airflow", "t", start_budget(None), transport=httpx.MockTransport(answer)
    ) as client:
        yield client


def fetch(
    answer: Answer, stream: Stream, position: str | None = None, gap: Gap = MONTH, size: int = 100
) -> Page:
    with client_of(answer) as client:
        return airflow.fetch_page(client, make_config(size), stream, gap, position)


def walk(server: RunServer, gap: Gap = MONTH, size: int = 3) -> list[str]:
    """The ids of all records of a gap, page by page, as they came."""
    names, position = [], None
    while True:
        page = fetch(server.answer, RUNS, position, gap, size)
        names += [record.dag_run_id for record in page.records]
        if page.next is None:
            return names
        position = page.next


def make_runs(count: int, updated_at: datetime | None = MONTH.since) -> list[Run]:
    return [Run(n, updated_at, MONTH.since) for n in range(1, count + 1)]


def name_runs(first: int, last: int) -> list[str]:
    return [f"run-{n}" for n in range(first, last + 1)]
