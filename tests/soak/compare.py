"""Whether a store holds what the demo APIs serve: by their own words, and by a store made anew."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx

from etl.demo.chance import unix_ms
from etl.demo.server import DemoServer
from etl.sources import list_tables
from etl.store.schema import KEPT_COLUMNS
from etl.tables import list_child_columns

STORE = "executions.duckdb"
Rows = set[tuple[Any, ...]]


def count_rows(store: Path) -> int:
    """The rows of all tables of the platforms."""
    with duckdb.connect(str(store), read_only=True) as connection:
        return sum(
            connection.execute(f"SELECT count(*) FROM {table.name}").fetchall()[0][0]
            for table in list_tables()
        )


def compare_with_api(folder: Path, server: DemoServer) -> list[str]:
    """What differs between the store and the answers of the APIs, in ids, states and times."""
    found = []
    with (
        duckdb.connect(str(folder / STORE), read_only=True) as connection,
        httpx.Client(
            base_url=server.base_url,
            headers={"Authorization": f"Bearer {server.settings.token}"},
        ) as client,
    ):
        for name, (list_served, sql) in LISTS.items():
            if name.partition(" ")[0] not in server.apis:
                continue
            served = list_served(client, server)
            stored = connection.execute(sql).fetchall()
            if set(stored) != served or len(stored) != len(served):
                found.append(f"{name}: {len(stored)} stored, {len(served)} served")
                found += [str(row) for row in sorted(set(stored) ^ served, key=str)[:5]]
            print(f"{name}: {len(stored)} rows compared with the API", flush=True)
    return found


def read_ms(text: str) -> int:
    return unix_ms(datetime.fromisoformat(text))


def list_riza(client: httpx.Client, server: DemoServer) -> Rows:
    found: Rows = set()
    query = {"limit": "100"}
    while page := client.get("/riza/v1/executions", params=query).json()["data"]:
        found |= {(row["id"], row["exit_code"], row["duration"]) for row in page}
        query["starting_after"] = page[-1]["id"]
    return found


def list_b3os(client: httpx.Client, name: str, third: str) -> Rows:
    found: Rows = set()
    has_more, offset = True, 0
    while has_more:
        query = {"limit": 100, "offset": offset}
        data = client.get(f"/b3os/v1/{name}", params=query).json()["data"]
        found |= {(item["id"], item["status"], read_ms(item[third])) for item in data["items"]}
        has_more, offset = data["hasMore"], offset + len(data["items"])
    return found


def list_foundry(client: httpx.Client, server: DemoServer) -> Rows:
    found: Rows = set()
    for rid in server.foundry.history.streams:
        path = f"/foundry/api/v2/observability/resources/{rid}/listExecutions?preview=true"
        body = {"startTime": "2020-01-01T00:00:00Z", "endTime": "2100-01-01T00:00:00Z"}
        while True:
            page = client.post(path, json=body).json()
            for row in page.get("data", ()):
                found.add((row["foundryTraceId"], row["status"], read_ms(row["startTime"])))
            if "nextPageToken" not in page:
                break
            body["pageToken"] = page["nextPageToken"]
    return found


LISTS: dict[str, tuple[Callable[[httpx.Client, DemoServer], Rows], str]] = {
    "riza": (list_riza, "SELECT id, exit_code, duration_ms FROM riza.executions"),
    "b3os": (
        lambda client, server: list_b3os(client, "executions", "updatedAt"),
        "SELECT id, status, epoch_ms(updated_at) FROM b3os.executions",
    ),
    "b3os runs": (
        lambda client, server: list_b3os(client, "runs", "startedAt"),
        "SELECT id, status, epoch_ms(started_at) FROM b3os.runs",
    ),
    "foundry": (
        list_foundry,
        "SELECT foundry_trace_id, status, epoch_ms(started_at) FROM foundry.executions",
    ),
}
"""How each list is read from the API, and the same of the store."""


def compare_with_fresh(kept: Path, fresh: Path, sync: Callable[[], Any]) -> list[str]:
    """What differs, in any column, from a store that is made in one undisturbed sync now."""
    # Fingerprints are the same only under the same key.
    shutil.copy2(kept / f"{STORE}.key", fresh)
    sync()
    own = {column.name for column in KEPT_COLUMNS} - {"source"}
    found = []
    with duckdb.connect() as connection:
        for name, folder in (("kept", kept), ("fresh", fresh)):
            connection.execute(f"ATTACH '{folder / STORE}' AS {name} (READ_ONLY)")
        for table in list_tables():
            columns = {table.name: f"* EXCLUDE ({', '.join(sorted(own))})"}
            columns |= {
                child.name: ", ".join(c.name for c in list_child_columns(table, child))
                for child in table.children
            }
            for table_name, wanted in columns.items():
                [(only_kept, only_fresh, rows)] = connection.execute(
                    f"WITH k AS (SELECT {wanted} FROM kept.{table_name}), "
                    f"f AS (SELECT {wanted} FROM fresh.{table_name}) "
                    "SELECT (SELECT count(*) FROM (FROM k EXCEPT ALL FROM f)), "
                    "(SELECT count(*) FROM (FROM f EXCEPT ALL FROM k)), (SELECT count(*) FROM f)"
                ).fetchall()
                if only_kept or only_fresh:
                    found.append(f"{table_name}: {only_kept} only kept, {only_fresh} only fresh")
                print(f"{table_name}: {rows} rows compared in every column", flush=True)
    return found
