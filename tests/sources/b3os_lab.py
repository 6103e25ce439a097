"""What the tests of the B3OS source share: its pages, a page of it, a walk by the real loop."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from etl.coverage import Progress
from etl.http import Client, open_client
from etl.records import EPOCH, Gap, Order, Page, SourceConfig, Stream
from etl.sources import b3os
from etl.sync.walk import PageLimit, Walker, walk_gap
from tests.budgets import RecordingBudget
from tests.sources.b3os_server import MIDNIGHT, B3osServer, Record, make_record

PAGES = Path(__file__).parent.parent / "pages" / "b3os"
WHOLE = Gap(EPOCH, MIDNIGHT + timedelta(days=30))
Answer = Callable[[httpx.Request], httpx.Response]


def read_page(name: str) -> Any:
    return json.loads((PAGES / name).read_text())


def serve(name: str, status: int = 200) -> Answer:
    return lambda request: httpx.Response(status, content=(PAGES / name).read_bytes())


def make_config(page_size: int = 100, **options: Any) -> SourceConfig:
    own = b3os.Options(**options)
    return SourceConfig("shop", "b3os", "http://b", "TOKEN", "t", own, page_size=page_size)


EXECUTIONS, RUNS = b3os.list_streams(make_config(runs=True))


@contextmanager
def client_of(answer: Answer, budget: RecordingBudget | None = None) -> Iterator[Client]:
    transport = httpx.MockTransport(answer)
    budget = budget or RecordingBudget()
    with open_client("shop", "http://b", "t", budget, transport=transport) as client:
        yield client


def fetch(
    answer: Answer,
    stream: Stream = EXECUTIONS,
    position: str | None = None,
    gap: Gap = WHOLE,
    config: SourceConfig | None = None,
) -> Page:
    with client_of(answer) as client:
        return b3os.fetch_page(client, config or make_config(), stream, gap, position)


def walk(server: B3osServer, gap: Gap = WHOLE, page_size: int = 10) -> tuple[set[str], Progress]:
    """The ids that the real loop reads from a gap, and what it claims to know then."""
    names: set[str] = set()
    with client_of(server.answer) as client:
        walker = Walker(b3os, client, make_config(page_size), client.budget, PageLimit())
        for step in walk_gap(walker, EXECUTIONS, gap):
            names |= {record.id for record in step.page.records}
    return names, step.progress


def make_records(count: int, order: Order = "descending") -> list[Record]:
    records = [make_record(n) for n in range(count)]
    return records[::-1] if order == "descending" else records


def name_records(first: int, last: int) -> set[str]:
    return {f"exec_{n}" for n in range(first, last + 1)}


def restore(table: Any, row: tuple[Any, ...]) -> Record:
    """A row as the JSON object it was made of, without its nulls."""
    columns = [(msgspec_camel(column.name), column.type) for column in table.columns]
    return {
        name: json.loads(value) if kind == "JSON" else value
        for (name, kind), value in zip(columns, row, strict=True)
        if value is not None
    }


def msgspec_camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def normalize(record: Record) -> Record:
    """A record with its times as times."""
    return {
        name: datetime.fromisoformat(value) if name.endswith("At") else value
        for name, value in record.items()
    }
