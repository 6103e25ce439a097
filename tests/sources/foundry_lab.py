"""What the tests of the Foundry source share: its pages, a page of it, a walk by the real loop."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from etl.http import Client, open_client
from etl.records import Gap, Page, SourceConfig, Stream
from etl.sources import foundry
from etl.sync.walk import PageLimit, Walker, walk_gap
from tests.budgets import RecordingBudget
from tests.sources.foundry_server import RID, make_record

PAGES = Path(__file__).parent.parent / "pages" / "foundry"
START = datetime(2024, 9, 25, tzinfo=UTC)
DAY = Gap(START, START + timedelta(days=1), order="descending")
CALLER = "ri.workshop.main.module.f1e2d3c4-b5a6-7890-1234-567890abcdef"
Answer = Callable[[httpx.Request], httpx.Response]


def read_page(name: str) -> Any:
    return json.loads((PAGES / name).read_text())


def serve(name: str, status: int = 200) -> Answer:
    return lambda request: httpx.Response(status, content=(PAGES / name).read_bytes())


def make_config(
    page_size: int = 100, where: dict[str, Any] | None = None, rids: tuple[str, ...] = (RID,)
) -> SourceConfig:
    options = foundry.Options(resources=rids, where=where)
    return SourceConfig(
        "prod", "foundry", "http://f", "TOKEN", "t", options, START, page_size=page_size
    )


def find_stream(config: SourceConfig) -> Stream:
    return foundry.list_streams(config)[0]


@contextmanager
def client_of(answer: Answer) -> Iterator[Client]:
    transport = httpx.MockTransport(answer)
    with open_client("prod", "http://f", "t", RecordingBudget(), transport=transport) as client:
        yield client


def fetch(
    answer: Answer,
    position: str | None = None,
    gap: Gap = DAY,
    config: SourceConfig | None = None,
) -> Page:
    config = config or make_config()
    with client_of(answer) as client:
        return foundry.fetch_page(client, config, find_stream(config), gap, position)


def walk(answer: Answer, gap: Gap = DAY, page_size: int = 3) -> list[Page]:
    """The pages of a gap as the real loop reads them."""
    config = make_config(page_size)
    with client_of(answer) as client:
        walker = Walker(foundry, client, config, client.budget, PageLimit())
        return [step.page for step in walk_gap(walker, find_stream(config), gap)]


def name_traces(pages: list[Page]) -> list[str]:
    return [record.foundry_trace_id for page in pages for record in page.records]


def make_records(count: int) -> list[dict[str, Any]]:
    return [make_record(n, START + timedelta(minutes=n)) for n in range(count)]
