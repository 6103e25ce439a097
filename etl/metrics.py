"""The state of every stream as Prometheus reads it, by way of the node exporter's text files."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from etl.records import EPOCH, SourceConfig
from etl.status import StreamStatus, read_status
from etl.store.read import OF_LISTS

if TYPE_CHECKING:
    from prometheus_client.core import Metric

COUNTERS = {
    "pages": ("etl_pages", "Pages read."),
    "requests": ("etl_requests", "Requests sent."),
    "retries": ("etl_retries", "Requests sent again."),
    "slept_s": ("etl_slept_seconds", "Seconds waited before requests were sent again."),
    "received_bytes": ("etl_received_bytes", "Bytes received."),
    "redactions": ("etl_redactions", "Secrets that were replaced."),
}
FATES = ("new", "changed", "unchanged", "quarantined")


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run of the whole job ended."""

    started_at: datetime
    ended_at: datetime
    exit_code: int


@dataclass(frozen=True, slots=True)
class StreamTotals:
    """One stream and its run log: sums over all runs, and when one last succeeded."""

    status: StreamStatus
    sums: Mapping[str, float]
    last_success_us: int | None = None


def read_totals(
    connection: duckdb.DuckDBPyConnection, sources: Sequence[SourceConfig], now: datetime
) -> tuple[StreamTotals, ...]:
    """The state of each stream of these sources."""
    names = (*COUNTERS, *(f"rows_{fate}" for fate in FATES))
    sums = ", ".join(f"coalesce(sum({name}), 0)::DOUBLE" for name in names)
    rows = connection.execute(
        f"""
        SELECT source, stream, epoch_us(max(ended_at) FILTER (
            exit_code = 0 AND {OF_LISTS}
        )), {sums}
        FROM etl.runs GROUP BY source, stream
        """
    ).fetchall()
    found = {(row[0], row[1]): row[2:] for row in rows}
    nothing = (None, *(0.0 for _ in names))
    totals = []
    for status in read_status(connection, sources, now):
        last_success_us, *values = found.get((status.source, status.stream), nothing)
        totals.append(StreamTotals(status, dict(zip(names, values, strict=True)), last_success_us))
    return tuple(totals)


def write_metrics(file: Path, end: RunEnd, streams: Sequence[StreamTotals]) -> None:
    """Replace the file at once and as a whole. Raises OSError."""
    from prometheus_client import CollectorRegistry, write_to_textfile

    registry = CollectorRegistry()
    registry.register(Collected((*describe_run(end), *describe_streams(streams))))
    write_to_textfile(str(file), registry)


@dataclass(frozen=True, slots=True, eq=False)
class Collected:
    """Families of metrics as a registry takes them."""

    families: "Sequence[Metric]"

    def collect(self) -> "Iterable[Metric]":
        return self.families


def describe_run(end: RunEnd) -> "Iterator[Metric]":
    """The job as a whole."""
    from prometheus_client.core import GaugeMetricFamily

    yield GaugeMetricFamily(
        "etl_run_timestamp_seconds", "When the last run ended.", end.ended_at.timestamp()
    )
    yield GaugeMetricFamily(
        "etl_run_duration_seconds",
        "How long the last run took.",
        (end.ended_at - end.started_at).total_seconds(),
    )
    yield GaugeMetricFamily(
        "etl_run_exit_code", "The exit code of the last run; 0 is success.", end.exit_code
    )


def describe_streams(streams: Sequence[StreamTotals]) -> "Iterator[Metric]":
    """Each stream: how far it is known, its last run, and what all runs together did."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    for name, (text, read) in GAUGES.items():
        gauge = GaugeMetricFamily(name, text, labels=LABELS)
        for stream in streams:
            value = read(stream)
            if value is not None:
                gauge.add_metric(_label(stream), value)
        yield gauge
    for column, (name, text) in COUNTERS.items():
        counter = CounterMetricFamily(name, text, labels=LABELS)
        for stream in streams:
            counter.add_metric(_label(stream), stream.sums[column])
        yield counter
    rows = CounterMetricFamily("etl_rows", "Records read, by fate.", labels=(*LABELS, "fate"))
    for stream in streams:
        for fate in FATES:
            rows.add_metric((*_label(stream), fate), stream.sums[f"rows_{fate}"])
    yield rows


def _label(stream: StreamTotals) -> tuple[str, str, str]:
    return stream.status.source, stream.status.kind, stream.status.stream


def _read_last_start(stream: StreamTotals) -> float | None:
    run = stream.status.last_run
    return None if run is None else run.started_at.timestamp()


def _read_exit_code(stream: StreamTotals) -> float | None:
    run = stream.status.last_run
    return None if run is None else run.exit_code


def _read_covered_until(stream: StreamTotals) -> float | None:
    until = stream.status.known_until
    return None if until is None else (until - EPOCH).total_seconds()


def _read_lag(stream: StreamTotals) -> float | None:
    lag = stream.status.lag
    return None if lag is None else lag.total_seconds()


LABELS = ("source", "kind", "stream")
GAUGES: Mapping[str, tuple[str, Callable[[StreamTotals], float | None]]] = {
    "etl_last_run_timestamp_seconds": ("When the last run of the stream began.", _read_last_start),
    "etl_last_success_timestamp_seconds": (
        "When a run of the stream last ended well.",
        lambda s: None if s.last_success_us is None else s.last_success_us / 1e6,
    ),
    "etl_exit_code": ("How the last run ended; none if it was killed.", _read_exit_code),
    "etl_covered_until_timestamp_seconds": ("Until when all is known.", _read_covered_until),
    "etl_lag_seconds": ("How far that was behind when this was written.", _read_lag),
    "etl_gaps": ("Ranges of time that are still missing.", lambda s: len(s.status.gaps)),
    "etl_stored_rows": ("Executions in the store.", lambda s: s.status.rows),
    "etl_open_rows": ("Executions that have not ended yet.", lambda s: s.status.open_rows),
}
