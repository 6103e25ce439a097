"""The store as a few dictionaries: a model of what a commit does, to play many schedules quickly.

It stands in for the statements only. What a commit decides is the program's own: which rows are
new, changed, late or pruned, and what the ledger becomes. `test_simulation` holds it to the real
store, schedule by schedule.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

import etl.sync.load
import etl.sync.plan
import etl.sync.run
from etl.coverage import Ledger
from etl.pending import PendingRows
from etl.records import EPOCH, Gap, Mark, Order, Stream, Table
from etl.sources.airflow.tables import TASK_INSTANCES
from etl.sources.b3os.tables import OPEN_RUN_STATUSES, OPEN_STATUSES
from etl.store.lookup import Stored
from etl.store.read import (
    ANCHORS_MAX,
    LOOKBACK_MAX,
    OPEN_BY_ID_MAX,
    KnownStream,
    OpenRecords,
    StreamState,
)
from etl.store.upsert import find_unchanged, judge_rows
from etl.store.write import Batch, RunRow, count_fate, describe_streams, walk_ledgers
from etl.tables import Key
from tests.simulation.fate import Fate
from tests.simulation.watched import Held, Snapshot, Watched

OPEN = {"b3os.executions": OPEN_STATUSES, "b3os.runs": OPEN_RUN_STATUSES}
"""Which statuses of a table are open, where a plan asks for that."""
"""Which column of a table is set where a row lacks nothing."""
TASKS = TASK_INSTANCES.name
TASK_STATE = [column.name for column in TASK_INSTANCES.columns].index("state")
FINAL_STATES = {"success", "failed", "skipped", "upstream_failed", "removed"}


@dataclass(frozen=True, slots=True)
class Kept:
    """A row as it was pending, how many children it has, and what the store adds."""

    row: tuple[Any, ...]
    children: int
    stream: str
    content_hash: int
    first_synced_at: datetime
    is_gone: bool = False


@dataclass
class State:
    """Everything that is committed of one source."""

    tables: dict[str, dict[Key, Kept]] = field(default_factory=dict)
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    streams: dict[str, KnownStream] = field(default_factory=dict)
    pruned: dict[str, datetime] = field(default_factory=dict)
    runs: dict[tuple[str, str], RunRow] = field(default_factory=dict)

    def fork(self, tables: Iterable[str]) -> "State":
        """A copy to change; of the rows, those of some tables only."""
        forked = {**self.tables, **{name: dict(self.tables.get(name, {})) for name in tables}}
        return replace(
            self,
            tables=forked,
            ledgers=dict(self.ledgers),
            streams=dict(self.streams),
            runs=dict(self.runs),
        )


@dataclass
class ModelStore:
    """The states by source, and those that wait for their commit; `fate` is that of the process
    which has it open."""

    states: dict[str, State] = field(default_factory=dict)
    fate: Fate = field(default_factory=Fate)
    staged: dict[str, State] = field(default_factory=dict)

    def make_opener(self, fate: Fate) -> Callable[[], Any]:
        @contextmanager
        def open_store() -> Iterator[Any]:
            fate.check_alive()
            yield replace(self, fate=fate, staged={})

        return open_store

    def find(self, source: str) -> State:
        return self.states.get(source) or State()

    def read(self, source: str, watched: Sequence[Watched]) -> Snapshot:
        state = self.find(source)
        seen = Snapshot(rows={look.stream: {} for look in watched})
        for look in watched:
            places = [_place(look.table, name) for name in look.names]
            version = None if look.version is None else _place(look.table, look.version)
            for kept in state.tables.get(look.table.name, {}).values():
                if kept.stream == look.stream:
                    name = tuple([kept.row[place] for place in places])
                    value = None if version is None else kept.row[version]
                    seen.rows[look.stream][name] = Held(value, kept.children)
            seen.ledgers[look.stream] = state.ledgers.get(look.stream, ())
        for run in state.runs.values():
            seen.counted[run.stream] = seen.counted.get(run.stream, 0) + run.rows_new
        return seen

    def prune(self, tables: Sequence[Table], before: datetime, now: datetime) -> None:
        for source, state in self.states.items():
            left = {
                table.name: {
                    key: kept
                    for key, kept in state.tables.get(table.name, {}).items()
                    if _find_prune_time(table, kept) >= before
                }
                for table in tables
            }
            known = {*state.ledgers, *state.streams}
            pruned = {name: max(before, state.pruned.get(name, before)) for name in known}
            self.states[source] = replace(state, tables=state.tables | left, pruned=pruned)

    def read_lookback(self, source: str) -> timedelta:
        lookbacks = [known.lookback_s or 0.0 for known in self.find(source).streams.values()]
        return timedelta(seconds=max(lookbacks, default=0.0))


def _place(table: Table, column: str) -> int:
    return [c.name for c in table.columns].index(column)


def _find_prune_time(table: Table, kept: Kept) -> datetime:
    if table.time is not None:
        time: datetime = kept.row[_place(table, table.time)]
        return time
    times = [kept.row[n] for n, c in enumerate(table.columns) if c.type == "TIMESTAMPTZ"]
    return max((time for time in times if time is not None), default=kept.first_synced_at)


def stage_batch(store: ModelStore, batch: Batch, now: datetime) -> dict[str, RunRow]:
    """The model of what is written and not yet committed."""
    state = store.find(batch.source).fork(
        [table.name for table, _ in batch.gone] + [*batch.pending]
    )
    runs = dict(batch.runs)
    late_from: dict[str, datetime] = {}
    for pending in batch.pending.values():
        for stream, fate in _upsert(state.tables[pending.table.name], pending, batch, now).items():
            runs[stream] = count_fate(runs[stream], fate)
            if fate.late_from is not None:
                late_from[stream] = fate.late_from
    walked = {step.stream: state.ledgers.get(step.stream, ()) for step in batch.walked}
    state.ledgers |= walk_ledgers(walked, batch.walked)
    for known in describe_streams(state.streams, batch, late_from, now):
        state.streams[known.stream] = known
    for table, record_id in batch.gone:
        rows = state.tables[table.name]
        for key in [key for key in rows if key[-1] == record_id]:
            rows[key] = replace(rows[key], is_gone=True)
    state.runs |= {(run.run_id, run.stream): run for run in runs.values()}
    store.staged[batch.source] = state
    return runs


def commit_batch(store: ModelStore) -> None:
    """The model of a commit: all of it, or nothing."""
    store.fate.meet_commit_boundary()
    store.states |= store.staged
    store.fate.meet_commit_boundary()


def _upsert(
    rows: dict[Key, Kept], pending: PendingRows, batch: Batch, now: datetime
) -> dict[str, Any]:
    if not pending.last:
        return {}
    stored = {
        key: Stored(
            rows[key].content_hash,
            rows[key].first_synced_at,
            now,
            0,
            _is_whole(pending.table, rows[key]),
        )
        for key in pending.last
        if key in rows
    }
    unchanged = find_unchanged(pending, stored, batch.pruned)
    fates = judge_rows(pending, stored, batch.known, unchanged)
    children = Counter([entry for pile in pending.children for entry in pile.entries])
    for key, entry in pending.last.items():
        if key in unchanged:
            if key in rows:
                rows[key] = replace(rows[key], is_gone=False)
            continue
        old = stored.get(key)
        rows[key] = Kept(
            pending.parents.loose[entry],
            children[entry],
            pending.streams[entry],
            pending.hashes[entry],
            now if old is None else old.first_synced_at,
        )
        if pending.table.name == TASKS:
            _oust(rows, key)
    return fates


def _is_whole(table: Table, kept: Kept) -> bool:
    return table.whole is not None and kept.row[_place(table, table.whole)] is not None


def _oust(rows: dict[Key, Kept], key: Key) -> None:
    """A mapped task that has expanded takes the place of the one row it was before."""
    whole = (*key[:-1], -1)
    if key[-1] >= 0 and whole in rows and rows[whole].row[TASK_STATE] not in FINAL_STATES:
        del rows[whole]


def mark_interrupted(store: ModelStore, now: datetime) -> None:
    """Runs are not kept."""


def read_last_walked(store: ModelStore) -> dict[str, datetime]:
    """The model of whose turn it is."""
    return {
        source: max(
            [r.started_at for r in state.runs.values() if r.pages or r.requests], default=EPOCH
        )
        for source, state in store.states.items()
    }


def read_stream_states(
    store: ModelStore, source: str, streams: Sequence[Stream]
) -> dict[str, StreamState]:
    state = store.find(source)
    states = {}
    for stream in streams:
        seen = state.streams.get(stream.name, KnownStream(source, "", stream.name))
        states[stream.name] = StreamState(
            state.ledgers.get(stream.name, ()),
            seen.list_order,
            timedelta(seconds=seen.longest_delay_s),
            state.pruned.get(stream.name),
        )
    return states


def _list_rows(store: ModelStore, source: str, stream: str, table: Table) -> list[Kept]:
    rows = store.find(source).tables.get(table.name, {}).values()
    return [kept for kept in rows if kept.stream == stream]


def read_open(store: ModelStore, source: str, stream: Stream, before: datetime) -> OpenRecords:
    table = stream.table
    if table.open_when is None or table.time is None:
        return OpenRecords()
    name, time, status = (_place(table, c) for c in (table.key[-1], table.time, "status"))
    found = sorted(
        (kept.row[time], kept.row[name])
        for kept in _list_rows(store, source, stream.name, table)
        if kept.row[status] in OPEN[table.name] and not kept.is_gone and kept.row[time] < before
    )
    by_id = OPEN_BY_ID_MAX if stream.is_retrievable else 0
    ids = tuple(record_id for _, record_id in found[:by_id])
    walked = [when for when, _ in found[by_id:] if when >= before - LOOKBACK_MAX]
    return OpenRecords(ids, min(walked, default=None))


def read_anchors(
    store: ModelStore, source: str, stream: str, table: Table, edge: datetime, order: Order
) -> tuple[Mark, ...]:
    if table.time is None:
        return ()
    name, time = _place(table, table.key[-1]), _place(table, table.time)
    marks = [
        Mark(kept.row[name], kept.row[time]) for kept in _list_rows(store, source, stream, table)
    ]
    if order == "descending":
        near = sorted((m for m in marks if m.time >= edge), key=lambda mark: mark.time)
    else:
        near = sorted((m for m in marks if m.time < edge), key=lambda m: m.time, reverse=True)
    distances = [2**n for n in range(ANCHORS_MAX)]
    return tuple(near[distance - 1] for distance in distances if distance <= len(near))


def count_before(
    store: ModelStore, source: str, stream: Stream, edge: datetime, order: Order
) -> int:
    if stream.table.time is None:
        return 0
    place = _place(stream.table, stream.table.time)
    times = [kept.row[place] for kept in _list_rows(store, source, stream.name, stream.table)]
    return sum(time >= edge if order == "descending" else time < edge for time in times)


def read_whole_ids(store: ModelStore, source: str, stream: Stream, gap: Gap) -> frozenset[str]:
    """All of them: so few lie in any gap or next to it."""
    table = stream.table
    if table.whole is None or table.time is None:
        return frozenset()
    name, told = (_place(table, column) for column in (table.key[-1], table.whole))
    rows = _list_rows(store, source, stream.name, table)
    return frozenset(kept.row[name] for kept in rows if kept.row[told] is not None)


STAND_INS: tuple[tuple[Any, Callable[..., Any]], ...] = (
    (etl.sync.load, commit_batch),
    (etl.sync.load, stage_batch),
    (etl.sync.plan, count_before),
    (etl.sync.plan, read_anchors),
    (etl.sync.plan, read_open),
    (etl.sync.plan, read_stream_states),
    (etl.sync.plan, read_whole_ids),
    (etl.sync.run, mark_interrupted),
    (etl.sync.run, read_last_walked),
)


@contextmanager
def accept_models() -> Iterator[None]:
    """Within it, the statements of the program take a model of a store where they find one."""
    with ExitStack() as stack:
        for module, stand_in in STAND_INS:
            name = stand_in.__name__
            routed = _route(getattr(module, name), stand_in)
            stack.enter_context(patch.object(module, name, routed))
        yield


def _route(real: Callable[..., Any], stand_in: Callable[..., Any]) -> Callable[..., Any]:
    def choose(store: Any, *args: Any) -> Any:
        return (stand_in if isinstance(store, ModelStore) else real)(store, *args)

    return choose
