"""`etl query` and `etl views`: rows only on stdout, complete files, errors with their place."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests.cli.stage import CONFIG, Stage


@pytest.fixture
def synced(stage: Stage) -> Stage:
    assert stage.run("sync").exit_code == 0
    return stage


def test_without_a_terminal_the_rows_are_csv(synced: Stage) -> None:
    result = synced.run("query", "SELECT id, started_at FROM riza.executions ORDER BY id LIMIT 2")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "id,started_at\nexec0001,2026-01-01 00:01:00+00\nexec0002,2026-01-01 00:02:00+00\n"
    )


def test_the_rows_as_json_lines_keep_their_types(synced: Stage) -> None:
    sql = "SELECT 1 AS a, NULL AS b, [1, 2] AS c, '{\"x\": 1}'::JSON AS d"

    result = synced.run("query", sql, "--format", "jsonl")

    assert json.loads(result.stdout) == {"a": 1, "b": None, "c": [1, 2], "d": {"x": 1}}


def test_the_order_of_the_query_is_the_order_of_the_rows(synced: Stage) -> None:
    sql = "SELECT range AS n FROM range(5000) ORDER BY hash(range)"

    numbers = synced.run("query", sql).stdout.split()[1:]
    table = synced.run("query", sql + " LIMIT 900", "--format", "table").stdout.split()[2:]

    expected = [str(row[0]) for row in duckdb.sql(sql).fetchall()]
    assert numbers == expected
    assert table == expected[:900]


def test_a_table_shows_every_type_with_numbers_on_the_right(synced: Stage) -> None:
    sql = (
        "SELECT 'a' AS name, 12 AS n, 0.123456789::DOUBLE AS share, "
        "TIMESTAMPTZ '2026-01-01 00:00:00Z' AS at, NULL::VARCHAR AS nothing, true AS flag"
    )

    result = synced.run("query", sql, "--format", "table")

    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert lines[0] == "name    n    share   at                       nothing   flag"
    assert lines[2] == "a      12   0.1235   2026-01-01 00:00:00+00   ∅         true"


def test_data_cannot_command_the_terminal(synced: Stage) -> None:
    result = synced.run("query", "SELECT chr(27) || '[2J' || chr(10) AS x", "--format", "table")

    assert "\x1b" not in result.stdout
    assert len(result.stdout.splitlines()) == 3


def test_a_table_that_is_cut_says_so(synced: Stage) -> None:
    result = synced.run("query", "FROM range(1001)", "--format", "table")

    assert len(result.stdout.splitlines()) == 1002
    assert result.stderr == "etl: warning: these are the first 1000 rows; all: --format csv\n"


def test_the_time_zone_of_the_store_is_that_of_the_query(stage: Stage) -> None:
    stage.configure('[store]\ntimezone = "Asia/Tokyo"\n' + CONFIG)
    stage.run("sync")

    result = stage.run("query", "SELECT min(started_at) AS first FROM riza.executions")

    assert result.stdout == "first\n2026-01-01 09:01:00+09\n"


@pytest.mark.parametrize(
    ("name", "reader"),
    [("r.csv", "read_csv"), ("r.jsonl", "read_json"), ("r.parquet", "read_parquet")],
)
def test_a_file_has_the_format_of_its_name(synced: Stage, name: str, reader: str) -> None:
    result = synced.run("query", "SELECT id FROM riza.executions ORDER BY id", "-o", name)

    rows = duckdb.sql(f"SELECT id FROM {reader}('{synced.folder / name}')").fetchall()
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert rows == [("exec0001",), ("exec0002",), ("exec0003",)]


def test_a_file_appears_complete_or_not_at_all(synced: Stage) -> None:
    (synced.folder / "r.csv").write_text("old")
    before = sorted(path.name for path in synced.folder.iterdir())

    result = synced.run(
        "query",
        "SELECT CASE WHEN range < 9000 THEN range ELSE error('no') END FROM range(9001)",
        "-o",
        "r.csv",
    )

    assert result.exit_code == 2
    assert (synced.folder / "r.csv").read_text() == "old"
    assert sorted(path.name for path in synced.folder.iterdir()) == before


def test_a_failing_query_leaves_stdout_empty(synced: Stage) -> None:
    sql = "SELECT CASE WHEN range < 9000 THEN range ELSE error('no') END FROM range(9001)"

    result = synced.run("query", sql)

    assert (result.exit_code, result.stdout) == (2, "")
    assert "no" in result.stderr


def test_an_error_in_the_sql_shows_where(synced: Stage) -> None:
    result = synced.run("query", "SELECT id\nFROM riza.executoins")

    assert (result.exit_code, result.stdout) == (2, "")
    first, *_, place, mark = result.stderr.splitlines()
    assert first == "etl: error: Catalog Error: Table with name executoins does not exist!"
    assert place == "LINE 2: FROM riza.executoins"
    assert mark.strip("~ ^") == ""
    assert "^" in mark


@pytest.mark.parametrize(
    "sql", ["SELEC 1", "SELECT nothing", "SELECT 'x'::INT", "FROM 'missing.csv'", "SELECT 1 +"]
)
def test_whatever_is_wrong_with_the_sql_is_no_bug(synced: Stage, sql: str) -> None:
    for form in ("table", "csv"):
        result = synced.run("query", sql, "--format", form)

        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith("etl: error: ")


@pytest.mark.parametrize(
    "sql", ["DELETE FROM riza.executions", "CREATE TABLE t (a INT)", "DROP VIEW executions"]
)
def test_nothing_can_be_written(synced: Stage, sql: str) -> None:
    before = synced.store.read_bytes()

    result = synced.run("query", sql)

    assert result.exit_code == 2
    assert "read-only" in result.stderr
    assert synced.store.read_bytes() == before


def test_the_rows_of_the_last_statement_are_shown(synced: Stage) -> None:
    result = synced.run(
        "query", "CREATE TEMP TABLE t AS SELECT ';' AS n; SELECT n FROM t; ; -- end; /* ; */"
    )

    assert (result.exit_code, result.stdout) == (0, "n\n;\n")


@pytest.mark.parametrize(
    "sql", ["DESCRIBE riza.env", "SUMMARIZE riza.env", "SHOW TABLES", "VALUES (1)"]
)
def test_what_counts_as_a_select_has_rows(synced: Stage, sql: str) -> None:
    for form in ("table", "csv", "jsonl"):
        result = synced.run("query", sql, "--format", form)

        assert result.exit_code == 0
        assert result.stdout


def test_a_plan_is_printed_as_it_is(synced: Stage) -> None:
    shown = synced.run("query", "EXPLAIN SELECT 1")
    refused = synced.run("query", "EXPLAIN SELECT 1", "--format", "csv")

    assert shown.exit_code == 0
    assert "physical_plan" in shown.stdout
    assert (refused.exit_code, refused.stderr) == (
        2,
        "etl: error: only the rows of a SELECT can be written to a file\n",
    )


@pytest.mark.parametrize("comment", ["-- how many\n", "--\n", "--how many\n"])
def test_the_sql_may_begin_with_a_comment(synced: Stage, comment: str) -> None:
    result = synced.run("query", f"{comment}SELECT 7 AS n")

    assert (result.exit_code, result.stdout) == (0, "n\n7\n")


def test_the_sql_may_stand_in_a_file(synced: Stage) -> None:
    (synced.folder / "q.sql").write_text(
        "-- How many?\nSELECT count(*) AS n\nFROM riza.executions;\n"
    )

    assert synced.run("query", "-f", "q.sql").stdout == "n\n3\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give the SQL either as an argument or as -f FILE (see: etl query --help)"),
        (("SELECT 1", "-f", "q.sql"), "give the SQL either as an argument or as -f FILE"),
        (("-f", "missing.sql"), "missing.sql: cannot be read"),
        ((" ; ",), "there is no SQL to run"),
        (("SELECT 1", "-o", "rows.txt"), "rows.txt: in which format? Give --format csv, jsonl or"),
        (("SELECT 1", "-o", "no/rows.csv"), f"{Path('no').absolute().name}: cannot be written"),
    ],
)
def test_what_cannot_be_asked_is_one_line(synced: Stage, words: tuple[str, ...], said: str) -> None:
    result = synced.run("query", *words)

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_a_store_there_is_nothing_to_ask(bare: Stage) -> None:
    result = bare.run("query", "SELECT 1")

    assert (result.exit_code, result.stderr) == (
        6,
        f"etl: error: {bare.store}: there is no store yet; run: etl sync\n",
    )


def test_no_token_is_needed_to_read(synced: Stage) -> None:
    result = synced.but(environ={}).run("query", "SELECT count(*) AS n FROM riza.executions")

    assert (result.exit_code, result.stdout) == (0, "n\n3\n")


def test_the_bytes_of_parquet_go_down_a_pipe_unharmed(synced: Stage) -> None:
    command = [sys.executable, "-m", "etl", "query", "FROM range(3)", "--format", "parquet"]
    environ = {**os.environ, **synced.environ}

    result = subprocess.run(
        command, cwd=synced.folder, env=environ, capture_output=True, check=True
    )

    (synced.folder / "p.parquet").write_bytes(result.stdout)
    rows = duckdb.sql(f"FROM '{synced.folder / 'p.parquet'}'").fetchall()
    assert rows == [(0,), (1,), (2,)]


def test_a_query_can_be_interrupted(synced: Stage) -> None:
    """The first statement tells through a pipe that the endless second one is next."""
    os.mkfifo(synced.folder / "begun")
    sql = (
        "COPY (SELECT 1) TO 'begun' (FORMAT csv); "
        "SELECT sum(hash(a.range, b.range)) FROM range(10000000) a, range(10000000) b"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "etl", "query", sql],
        cwd=synced.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        (synced.folder / "begun").read_text()
        process.send_signal(signal.SIGINT)
        rows, said = process.communicate(timeout=60)

    assert (process.returncode, rows) == (130, "")
    assert "Traceback" not in said


def test_nobody_reading_on_is_no_bug(synced: Stage) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "etl", "query", "FROM range(10000000)"],
        cwd=synced.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()

    assert (first, said, process.returncode) == (b"range\n", b"", 141)


def test_views_are_listed_with_their_questions(stage: Stage) -> None:
    listed = json.loads(stage.run("views", "--json").stdout)
    shown = stage.run("views").stdout

    names = [view["name"] for view in listed]
    assert {"executions", "failure_rate_daily", "duration_by_name", "coverage_gaps"} <= set(names)
    assert all(view["question"].rstrip(".?") for view in listed)
    assert all(name in shown for name in names)
