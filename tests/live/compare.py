"""The store against the API's own answers: record by record, field by field."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from tests.live.airflow_server import Airflow

PAGE_ROWS = 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RENAMED = {"duration": "duration_s"}
FINGERPRINT_PREFIX = "hmac:"

Record = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """One list of the API and the table it ends up in.

    `restless` fields move without the record being in another state: while it is open they may
    have changed between the sync and the comparison.
    """

    path: str
    name: str
    table: str
    key: tuple[str, ...]
    restless: frozenset[str] = frozenset()

    def key_of(self, record: Record) -> Key:
        return tuple(record[name] for name in self.key)


RUNS = Listing(
    "/api/v2/dags/~/dagRuns",
    "dag_runs",
    "airflow.dag_runs",
    ("dag_id", "dag_run_id"),
    frozenset({"last_scheduling_decision"}),
)
TASKS = Listing(
    "/api/v2/dags/~/dagRuns/~/taskInstances",
    "task_instances",
    "airflow.task_instances",
    ("dag_id", "dag_run_id", "task_id", "map_index"),
)


def read_api(airflow: Airflow, listing: Listing) -> dict[Key, Record]:
    """Every record the API has, by key, read by offset: not the way the program reads them."""
    records: list[Record] = []
    while True:
        query = f"?limit={PAGE_ROWS}&offset={len(records)}&order_by=id"
        body = airflow.get(listing.path + query)
        records += body[listing.name]
        if not body[listing.name]:
            break
    assert len(records) == body["total_entries"]
    by_key = {listing.key_of(record): record for record in records}
    assert len(by_key) == len(records)
    return by_key


def read_store(store: Path, listing: Listing) -> list[Record]:
    """Every row of the table: times as microseconds, JSON as text, all else as it is."""
    with duckdb.connect(str(store), read_only=True) as connection:
        schema, table = listing.table.split(".")
        columns = connection.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = ? AND table_name = ?",
            [schema, table],
        ).fetchall()
        selected = ", ".join(
            f'epoch_us("{name}")' if "TIME ZONE" in kind else f'"{name}"' for name, kind in columns
        )
        rows = connection.execute(f"SELECT {selected} FROM {listing.table}").fetchall()
    kinds = dict(columns)
    return [
        {
            name: Json(value) if kinds[name] == "JSON" and value is not None else value
            for name, value in zip(kinds, row, strict=True)
        }
        for row in rows
    ]


class Json(str):
    """JSON text as it stands in the store."""


def query(store: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(store), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def find_differences(
    stored: Sequence[Record], served: dict[Key, Record], listing: Listing
) -> list[str]:
    """A line for each record that is missing, twice, unknown to the API, or not what it says."""
    counted = Counter(listing.key_of(row) for row in stored)
    lines = [f"{key}: {n} times in the store" for key, n in counted.items() if n > 1]
    lines += [f"{key}: not in the store" for key in served if key not in counted]
    lines += [f"{key}: not in the API" for key in counted if key not in served]
    for row in stored:
        key = listing.key_of(row)
        if key in served:
            lines += [f"{key}: {line}" for line in compare_record(row, served[key], listing)]
    return lines


def compare_record(row: Record, record: Record, listing: Listing) -> list[str]:
    """A line for each field of an API record that its row does not say as well."""
    is_open = row["end_date"] is None
    return [
        f"{name}: stored {row.get(RENAMED.get(name, name))!r}, served {value!r}"
        for name, value in record.items()
        if not (is_open and name in listing.restless)
        and not is_same(row.get(RENAMED.get(name, name), "no such column"), value)
    ]


def is_same(stored: Any, served: Any) -> bool:
    """Whether a column says what a JSON value says, secrets aside."""
    if isinstance(stored, Json):
        return is_same_json(json.loads(stored), served)
    if isinstance(stored, int) and isinstance(served, str):
        return stored == (datetime.fromisoformat(served) - EPOCH) // timedelta(microseconds=1)
    return bool(stored == served)


def is_same_json(stored: Any, served: Any) -> bool:
    if isinstance(served, dict) and isinstance(stored, dict):
        return stored.keys() == served.keys() and all(
            is_same_json(stored[name], value) for name, value in served.items()
        )
    if isinstance(served, list) and isinstance(stored, list):
        return len(stored) == len(served) and all(map(is_same_json, stored, served))
    if isinstance(stored, str) and stored.startswith(FINGERPRINT_PREFIX):
        return isinstance(served, str)
    return bool(stored == served)
