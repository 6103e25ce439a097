"""An export to an object store that speaks S3: rewritten where it changed, read by others."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import duckdb
import duckdb_extension_httpfs
import pyarrow.dataset
import pyarrow.fs
import pytest
from moto.server import ThreadedMotoServer

from etl.budget import start_budget
from etl.cli.opening import prepare_store
from etl.config import StoreConfig
from etl.errors import StoreError
from etl.export.relations import Exported, export_relation
from tests.test_export import insert
from tests.views.store import open_store

(HTTPFS,) = Path(duckdb_extension_httpfs.__path__[0]).rglob("*.duckdb_extension")
KEY, SECRET, REGION = "key-of-the-test", "secret-of-the-test", "us-east-1"
URL = "s3://history/deep/down"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """The address of an S3 of our own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str) -> Iterator[Any]:
    """An empty bucket that remembers each version of a file."""
    access = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET, "region_name": REGION}
    resource = boto3.resource("s3", endpoint_url=f"http://{endpoint}", **access)
    made = resource.create_bucket(Bucket="history")
    made.Versioning().enable()
    yield made
    made.object_versions.delete()
    made.delete()


@pytest.fixture
def store(endpoint: str) -> duckdb.DuckDBPyConnection:
    """Three days of ten executions each, and the means to reach the bucket."""
    connection = open_store(None)
    for number in range(30):
        insert(connection, number)
    connection.execute(f"LOAD '{HTTPFS}'")
    connection.execute(f"CREATE SECRET ({describe_secret(endpoint)})")
    return connection


def describe_secret(endpoint: str) -> str:
    return (
        f"TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', REGION '{REGION}', "
        f"ENDPOINT '{endpoint}', URL_STYLE path, USE_SSL false"
    )


def list_versions(bucket: Any) -> set[tuple[str, str]]:
    """Each file with each of its versions: what was written at all."""
    return {(version.object_key, version.id) for version in bucket.object_versions.all()}


def read_ids(endpoint: str) -> list[str]:
    """The ids of all rows in the bucket, as pyarrow reads them."""
    files = pyarrow.fs.S3FileSystem(
        access_key=KEY,
        secret_key=SECRET,
        region=REGION,
        scheme="http",
        endpoint_override=endpoint,
    )
    folder = URL.removeprefix("s3://") + "/executions"
    table = pyarrow.dataset.dataset(
        folder, filesystem=files, format="parquet", partitioning="hive"
    ).to_table()
    assert str(table.schema.field("started_at").type) == "timestamp[us, tz=UTC]"
    return sorted(table.column("execution_id").to_pylist())


def test_the_rows_are_read_by_others_and_a_second_export_writes_nothing(
    store: duckdb.DuckDBPyConnection, bucket: Any, endpoint: str
) -> None:
    first = export_relation(store, "executions", URL)
    written = list_versions(bucket)

    second = export_relation(store, "executions", URL)

    assert first == Exported(written=3, kept=0, removed=0, rows=30)
    assert second == Exported(written=0, kept=3, removed=0, rows=0)
    assert list_versions(bucket) == written
    assert read_ids(endpoint) == [f"e{number:03d}" for number in range(30)]


def test_a_changed_row_rewrites_its_partition_and_the_manifest(
    store: duckdb.DuckDBPyConnection, bucket: Any
) -> None:
    export_relation(store, "executions", URL)
    before = list_versions(bucket)
    store.execute("UPDATE riza.executions SET exit_code = 1 WHERE id = 'e015'")

    export_relation(store, "executions", URL)

    new = sorted(name.rpartition("=")[2] for name, _ in list_versions(bucket) - before)
    assert new == ["2026-03-02/rows.parquet", "deep/down/executions/_manifest.json"]


def test_a_partition_that_vanished_has_no_rows_and_is_written_once(
    store: duckdb.DuckDBPyConnection, bucket: Any, endpoint: str
) -> None:
    export_relation(store, "executions", URL)
    store.execute("DELETE FROM riza.executions WHERE id < 'e010'")

    gone = export_relation(store, "executions", URL)
    written = list_versions(bucket)
    again = export_relation(store, "executions", URL)

    assert (gone.written, gone.removed, again.removed) == (0, 1, 0)
    assert list_versions(bucket) == written
    assert read_ids(endpoint) == [f"e{number:03d}" for number in range(10, 30)]
    insert(store, 3)
    assert export_relation(store, "executions", URL).written == 1
    assert "e003" in read_ids(endpoint)


def test_a_lost_file_is_written_again(
    store: duckdb.DuckDBPyConnection, bucket: Any, endpoint: str
) -> None:
    export_relation(store, "executions", URL)
    lost = next(o for o in bucket.objects.all() if "2026-03-03" in o.key)
    lost.delete()

    assert export_relation(store, "executions", URL).written == 1
    assert len(read_ids(endpoint)) == 30


@pytest.mark.parametrize("format_name", ["csv", "jsonl"])
def test_other_formats_go_there_too(
    store: duckdb.DuckDBPyConnection, bucket: Any, format_name: str
) -> None:
    export_relation(store, "executions", URL, format_name)

    names = sorted(o.key.rpartition("/")[2] for o in bucket.objects.all())
    assert names == ["_manifest.json", *[f"rows.{format_name}"] * 3]


def test_a_bucket_that_is_not_there_is_one_line(store: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(StoreError, match=r"^s3://nowhere/x: .*404.*the next export goes on$"):
        export_relation(store, "executions", "s3://nowhere/x")


def test_the_command_reaches_it_by_the_secrets_that_duckdb_keeps(
    bucket: Any, endpoint: str, tmp_path: Path
) -> None:
    environ = {**os.environ, "HOME": str(tmp_path)}
    prepare_store(StoreConfig(tmp_path / "executions.duckdb"), start_budget(None))
    (tmp_path / "etl.toml").write_text(
        '[sources.a]\nkind = "riza"\nbase_url = "http://127.0.0.1:9"\ntoken_env = "T"\n'
    )
    keep = (
        f"import duckdb; c = duckdb.connect(); c.execute(\"INSTALL '{HTTPFS}'\"); "
        f'c.execute("CREATE PERSISTENT SECRET kept ({describe_secret(endpoint)})")'
    )
    subprocess.run([sys.executable, "-c", keep], env=environ, check=True)

    done = subprocess.run(
        [sys.executable, "-m", "etl", "export", URL, "--table", "exit_codes"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    names = sorted(o.key for o in bucket.objects.all())
    assert names == [f"deep/down/exit_codes/{name}" for name in ("_manifest.json", "rows.parquet")]
