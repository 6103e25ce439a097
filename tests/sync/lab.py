"""A kind of source that lives in the test: lists filtered by time, without any network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from etl.errors import GapTooLarge, PositionLost
from etl.http import Client
from etl.records import Column, Flat, Gap, Mark, Order, Page, SourceConfig, Stream, Table

RECORDS = Table(
    "lab.records",
    (Column("id", "VARCHAR"), Column("began_at", "TIMESTAMPTZ"), Column("value", "VARCHAR")),
    key=("id",),
    time="began_at",
    is_time_fixed=True,
)
LOOKBACK = timedelta(hours=4)


def make_stream(name: str = "all", order: Order | None = "descending", **others: Any) -> Stream:
    return Stream(name, RECORDS, LOOKBACK, order, is_windowed=True, **others)


@dataclass
class Lab:
    """`records` are ids and times by stream; `fail` and `fail_page` may raise instead of an answer.

    A gap that holds more than `rows_max` is too large for the server. `asked` are the gaps whose
    first page was asked for, `page_sizes` those of all requests.
    """

    streams: tuple[Stream, ...] = (make_stream(),)
    records: dict[str, dict[str, datetime]] = field(default_factory=dict)
    rows_max: int = 1_000
    has_total: bool = False
    fail: Callable[[Stream, Gap], None] = lambda stream, gap: None
    fail_page: Callable[[Sequence[Any]], None] = lambda page: None
    asked: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    page_sizes: list[int] = field(default_factory=list)

    BASE_URL = "http://lab"
    TABLES = (RECORDS,)
    Options: Any = None

    def list_streams(self, config: SourceConfig) -> tuple[Stream, ...]:
        return self.streams

    def fetch_page(
        self, client: Client, config: SourceConfig, stream: Stream, gap: Gap, position: str | None
    ) -> Page:
        if position is None:
            self.asked.append((stream.name, gap.since, gap.until))
        self.page_sizes.append(config.page_size)
        self.fail(stream, gap)
        found = [
            (id, time)
            for id, time in self.records.get(stream.name, {}).items()
            if gap.since <= time < gap.until
        ]
        if len(found) > self.rows_max:
            raise GapTooLarge(f"{len(found)} records are too many", is_counted=True)
        if stream.order != "unordered":
            found.sort(key=lambda pair: pair[1], reverse=stream.order == "descending")
        start = int(position or 0)
        end = start + config.page_size
        page = found[start:end]
        self.fail_page(page)
        is_timed = stream.order != "unordered"
        return Page(
            page,
            [Mark(id, time if is_timed else None) for id, time in page],
            str(end) if end < len(found) else None,
            total=len(found) if self.has_total else None,
        )

    def fetch_record(
        self, client: Client, config: SourceConfig, stream: Stream, record_id: str
    ) -> Page:
        time = self.records.get(stream.name, {}).get(record_id)
        if time is None:
            raise PositionLost(record_id)
        return Page([(record_id, time)], [Mark(record_id, time)], None)

    def flatten(self, record: Any) -> Flat:
        return Flat((*record, "v"))
