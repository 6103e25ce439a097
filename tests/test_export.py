"""Export: partitions that changed are written, the others are not touched, readers agree."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars
import pyarrow.dataset
import pyarrow.parquet
import pytest

from etl.errors import ConfigError, StoreError
from etl.export.relations import Exported, export_relation
from tests.views.store import open_store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store() -> duckdb.DuckDBPyConnection:
    """Three days of ten executions each, from a source with a name that is no good file name."""
    connection = open_store(None)
    for number in range(30):
        insert(connection, number)
    return connection


def insert(store: duckdb.DuckDBPyConnection, number: int, exit_code: int = 0) -> None:
    started = NOON + timedelta(days=number // 10, minutes=number)
    store.execute(
        "INSERT INTO riza.executions (source, stream, id, started_at, language, duration_ms, "
        "exit_code, first_synced_at, synced_at) VALUES ('a/b''c', 'executions', ?, "
        "?::TIMESTAMPTZ, 'python', 5, ?, '2026-04-01T00:00:00Z', '2026-04-01T00:00:00Z')",
        [f"e{number:03d}", started.isoformat(), exit_code],
    )


def list_files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Each file with its inode and content: a file that was left alone has both."""
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_row_is_in_the_partition_of_its_source_and_day(
    store: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    done = export_relation(store, "executions", str(tmp_path))

    assert done == Exported(written=3, kept=0, removed=0, rows=30)
    days = sorted(p.parent.name for p in tmp_path.rglob("*.parquet"))
    assert days == ["day=2026-03-01", "day=2026-03-02", "day=2026-03-03"]


def test_an_export_without_changes_touches_nothing(
    store: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    export_relation(store, "executions", str(tmp_path))
    before = list_files(tmp_path)

    done = export_relation(store, "executions", str(tmp_path))

    assert done == Exported(written=0, kept=3, removed=0, rows=0)
    assert list_files(tmp_path) == before


def test_a_changed_row_rewrites_its_partition_only(
    store: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    export_relation(store, "executions", str(tmp_path))
    before = list_files(tmp_path)
    store.execute("UPDATE riza.executions SET exit_code = 1 WHERE id = 'e015'")

    done = export_relation(store, "executions", str(tmp_path))

    after = list_files(tmp_path)
    changed = {name for name in after if after[name] != before.get(name)}
    assert done == Exported(written=1, kept=2, removed=0, rows=10)
    assert {name.rpartition("/")[2] for name in changed} == {"rows.parquet", "_manifest.json"}
    assert len(changed) == 2
    assert any("day=2026-03-02" in name for name in changed)


def test_a_partition_that_vanished_goes(store: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    export_relation(store, "executions", str(tmp_path))
    store.execute("DELETE FROM riza.executions WHERE id < 'e010'")

    done = export_relation(store, "executions", str(tmp_path))

    assert (done.written, done.kept, done.removed) == (0, 2, 1)
    assert not list(tmp_path.rglob("day=2026-03-01"))


def test_a_file_that_somebody_deleted_and_the_rest_of_a_killed_export_are_mended(
    store: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    export_relation(store, "executions", str(tmp_path))
    lost = next(tmp_path.rglob("day=2026-03-03/rows.parquet"))
    lost.unlink()
    draft = lost.with_name(".rows.parquet.new")
    draft.write_bytes(b"half a file")

    done = export_relation(store, "executions", str(tmp_path))

    assert (done.written, done.kept) == (1, 2)
    assert lost.exists()
    assert not draft.exists()


def test_files_of_others_stay_where_they_are(
    store: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    others = [
        tmp_path / "executions" / name for name in ("arrows.csv", "rows.md", "my rows.parquet")
    ]
    others[0].parent.mkdir()
    for path in others:
        path.write_text("precious")

    export_relation(store, "executions", str(tmp_path))
    store.execute("DELETE FROM riza.executions")
    done = export_relation(store, "executions", str(tmp_path))

    assert done.removed == 3
    assert [path.read_text() for path in others] == ["precious"] * 3


def test_full_writes_every_partition_anew(store: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    export_relation(store, "executions", str(tmp_path))

    assert export_relation(store, "executions", str(tmp_path), is_full=True).written == 3


def test_readers_agree_on_rows_and_types(store: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """pyarrow, DuckDB and polars see the same rows; times are UTC."""
    export_relation(store, "executions", str(tmp_path))
    folder = tmp_path / "executions"

    arrow = pyarrow.dataset.dataset(folder, format="parquet", partitioning="hive").to_table()
    frame = polars.read_parquet(folder / "**/*.parquet", hive_partitioning=True)
    duck = duckdb.connect().execute(
        f"SELECT execution_id, epoch_us(started_at) FROM "
        f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true) ORDER BY 1"
    )

    expected = [
        (f"e{n:03d}", int((NOON + timedelta(days=n // 10, minutes=n)).timestamp() * 1_000_000))
        for n in range(30)
    ]
    assert duck.fetchall() == expected
    assert sorted(arrow.column("execution_id").to_pylist()) == [name for name, _ in expected]
    assert str(arrow.schema.field("started_at").type) == "timestamp[us, tz=UTC]"
    assert frame.schema["started_at"] == polars.Datetime("us", "UTC")
    times = frame.sort("execution_id")["started_at"].dt.epoch("us").to_list()
    assert times == [time for _, time in expected]


@pytest.mark.parametrize("format_name", ["csv", "jsonl"])
def test_other_formats_hold_the_same_rows(
    store: duckdb.DuckDBPyConnection, tmp_path: Path, format_name: str
) -> None:
    export_relation(store, "executions", str(tmp_path), format_name)

    files = tmp_path.rglob(f"rows.{format_name}")
    lines = [line for path in files for line in path.read_text().splitlines()]
    assert len(lines) - 3 * (format_name == "csv") == 30


@pytest.mark.parametrize(
    ("format_name", "reader"), [("csv", "read_csv"), ("jsonl", "read_json"), ("parquet", None)]
)
def test_times_are_the_same_instants_wherever_they_are_read(
    store: duckdb.DuckDBPyConnection, tmp_path: Path, format_name: str, reader: str | None
) -> None:
    export_relation(store, "executions", str(tmp_path), format_name)

    elsewhere = duckdb.connect()
    elsewhere.execute("SET TimeZone = 'Asia/Kathmandu'")
    files = f"'{tmp_path}/executions/**/rows.{format_name}'"
    rows = elsewhere.execute(
        "SELECT execution_id, epoch_us(CAST(started_at AS TIMESTAMPTZ)), exit_code, error_message "
        f"FROM {reader or 'read_parquet'}({files}, hive_partitioning = true) ORDER BY 1 LIMIT 1"
    ).fetchall()

    noon_us = int(NOON.timestamp() * 1_000_000)
    assert rows == [("e000", noon_us, 0, None)]


def test_parquet_is_compressed_sorted_by_time_and_typed_as_the_view(
    store: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    export_relation(store, "executions", str(tmp_path))

    (path, *_) = sorted(tmp_path.rglob("*.parquet"))
    file = pyarrow.parquet.ParquetFile(path)
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    times = file.read(["started_at"])["started_at"].to_pylist()
    assert times == sorted(times)
    rows = f"read_parquet('{path}', hive_partitioning = false)"
    view = "(SELECT * EXCLUDE (source) FROM executions)"
    assert describe(duckdb.connect(), rows) == describe(store, view)


def describe(connection: duckdb.DuckDBPyConnection, rows: str) -> list[tuple[str, str]]:
    """The columns of some rows with their types."""
    return [row[:2] for row in connection.execute(f"DESCRIBE FROM {rows}").fetchall()]


def test_a_place_where_nothing_can_be_written_is_one_line(
    store: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match="file"):
        export_relation(store, "executions", str(tmp_path / "file"))


@pytest.mark.parametrize("is_loadable", [True, False])
@pytest.mark.parametrize(
    ("url", "extension"),
    [("s3://bucket/x", "httpfs"), ("gs://bucket/x", "httpfs"), ("az://container/x", "azure")],
)
def test_an_object_store_without_the_extension_that_reaches_it_is_one_line(
    store: duckdb.DuckDBPyConnection, tmp_path: Path, url: str, extension: str, is_loadable: bool
) -> None:
    store.execute(f"SET extension_directory = '{tmp_path}'")
    store.execute("SET autoinstall_known_extensions = false")
    store.execute(f"SET autoload_known_extensions = {is_loadable}")

    with pytest.raises(StoreError) as raised:
        export_relation(store, "executions", url)

    said = str(raised.value)
    assert said.startswith(f"{url}: DuckDB's extension {extension} is needed")
    assert said.endswith(f"INSTALL {extension}")
    assert "\n" not in said


def test_a_view_without_source_and_time_is_one_file(
    store: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    done = export_relation(store, "failure_rate_by_name", str(tmp_path))

    assert done.written == 1
    assert (tmp_path / "failure_rate_by_name/rows.parquet").exists()


def test_a_view_without_rows_is_a_file_with_its_columns(tmp_path: Path) -> None:
    empty = open_store(None)

    done = export_relation(empty, "failure_rate_by_name", str(tmp_path))

    assert done == Exported(written=1, kept=0, removed=0, rows=0)
    file = tmp_path / "failure_rate_by_name/rows.parquet"
    assert "failure_rate" in polars.read_parquet_schema(file)


def test_an_unknown_table_is_refused(store: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for name, said in {
        "nothing": '"nothing"; see: etl views',
        "failure_rate_dayly": '"failure_rate_dayly"; did you mean "failure_rate_daily"?',
        "riza.execution": '"riza.execution"; did you mean "riza.executions"?',
    }.items():
        with pytest.raises(ConfigError) as raised:
            export_relation(store, name, str(tmp_path))
        assert str(raised.value) == f"there is no table or view {said}"
