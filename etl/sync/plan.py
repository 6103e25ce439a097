"""What a pass has to walk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import duckdb

from etl.coverage import Interval, find_gaps, find_reread, plan_gaps
from etl.errors import ConfigError
from etl.records import EPOCH, Gap, SourceConfig, Stream, from_epoch_us
from etl.store.read import (
    OpenRecords,
    StreamState,
    count_before,
    find_beginning,
    find_lookback,
    read_anchors,
    read_open,
    read_stream_states,
    read_whole_ids,
)


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """The gaps of one stream, newest first, and what was known when they were found.

    `reread` is what is read again, whether or not it is walked (a later `since` may leave some of
    it out): it is still in the ledger, but must leave it before anything newer is claimed.
    `open_ids` are old records that will still change, to be read again by id.
    """

    stream: Stream
    gaps: tuple[Gap, ...]
    state: StreamState
    lookback: timedelta
    since: datetime
    reread: Interval | None = None
    open_ids: tuple[str, ...] = ()

    @property
    def newest_known(self) -> Interval | None:
        """The newest covered interval: a new row inside it came late."""
        return self.state.ledger[-1] if self.state.ledger else None


def plan_streams(
    connection: duckdb.DuckDBPyConnection,
    config: SourceConfig,
    streams: Sequence[Stream],
    now: datetime,
    is_full: bool = False,
) -> tuple[StreamPlan, ...]:
    """Plan the streams of a source from the ledger, the settings and the time.

    Raises ConfigError where the name was that of another kind: its ledger is none of this one.
    """
    states = read_stream_states(connection, config.name, streams)
    for state in states.values():
        if state.kind not in (None, config.kind):
            raise ConfigError(
                f"sources.{config.name}: the store has the history of a {state.kind} source under "
                "this name; give this one another name"
            )
    return tuple(
        _plan_stream(connection, config, stream, states[stream.name], now, is_full)
        for stream in streams
    )


def _plan_stream(
    connection: duckdb.DuckDBPyConnection,
    config: SourceConfig,
    stream: Stream,
    state: StreamState,
    now: datetime,
    is_full: bool,
) -> StreamPlan:
    since = find_beginning(config, state)
    lookback = find_lookback(config, stream, state)
    # A full pass looks at the order anew: a server may have been out of order just once.
    order = stream.order or (None if is_full else state.order)
    still_open = OpenRecords()
    if state.ledger:
        edge = state.ledger[-1].until - lookback
        still_open = read_open(connection, config.name, stream, edge)
    intervals = plan_gaps(state.ledger, since, now, lookback, still_open.since, is_full)
    reread = None
    if state.ledger and intervals:
        again = find_reread(state.ledger, now, lookback, still_open.since)
        # Not what was pruned: that stays covered, and is not walked.
        known_from = max(again.since, state.pruned_before or EPOCH)
        reread = Interval(min(intervals[0].since, known_from), intervals[0].until)
    if order == "unordered" and not stream.is_windowed and intervals:
        # Where nothing is known of the order, only the whole list tells what any part of it holds.
        intervals = find_gaps((), since, intervals[0].until)
    gaps = tuple(Gap(i.since, i.until, order=order) for i in intervals)
    if stream.is_windowed:
        gaps = tuple(part for gap in gaps for part in cut_windows(gap, stream.window))
    else:
        gaps = tuple(_anchor(connection, config, stream, gap, state) for gap in gaps)
    if reread is not None and not is_full:
        gaps = tuple(
            replace(gap, whole=read_whole_ids(connection, config.name, stream, gap)) for gap in gaps
        )
    return StreamPlan(stream, gaps, state, lookback, since, reread, still_open.ids)


def cut_windows(gap: Gap, window: timedelta | None) -> Iterator[Gap]:
    """A gap as pieces of at most `window`, newest first."""
    while window is not None and gap.until - gap.since > window:
        yield replace(gap, since=gap.until - window)
        gap = replace(gap, until=gap.until - window)
    yield gap


def _anchor(
    connection: duckdb.DuckDBPyConnection,
    config: SourceConfig,
    stream: Stream,
    gap: Gap,
    state: StreamState,
) -> Gap:
    """The gap with the stored rows from which its walk can begin; the head needs none."""
    is_head = not state.ledger or gap.until >= state.ledger[-1].until
    if gap.order == "descending" and not is_head:
        edge = gap.until
    elif gap.order == "ascending":
        edge = gap.since
    else:
        return gap
    return replace(
        gap,
        anchors=read_anchors(connection, config.name, stream.name, stream.table, edge, gap.order),
        rank=count_before(connection, config.name, stream, edge, gap.order),
    )


def estimate_requests(
    connection: duckdb.DuckDBPyConnection, config: SourceConfig, plan: StreamPlan
) -> int | None:
    """Requests the plan will need, from how dense the stored history is; None if it is empty."""
    table = plan.stream.table
    rows: int
    first_us: int | None
    rows, first_us = connection.execute(
        f'SELECT count(*), epoch_us(min("{table.time or "first_synced_at"}")) FROM {table.name} '
        "WHERE source = ? AND stream = ?",
        [config.name, plan.stream.name],
    ).fetchall()[0]
    if not rows or first_us is None or not plan.state.ledger:
        return None
    first = from_epoch_us(first_us)
    covered_s = _measure_s([Interval(max(i.since, first), i.until) for i in plan.state.ledger])
    gap_s = _measure_s([Interval(max(gap.since, first), gap.until) for gap in plan.gaps])
    pages = rows / covered_s * gap_s / config.page_size if covered_s > 0 else 0
    return len(plan.gaps) + len(plan.open_ids) + round(pages)


def _measure_s(intervals: Sequence[Interval]) -> float:
    return sum(max(0.0, (i.until - i.since).total_seconds()) for i in intervals)
