"""`etl status` and `etl check`: what is known, and whether it can be trusted."""

import json
from datetime import timedelta

import duckdb
import httpx
import pytest

from tests.cli.stage import CONFIG, NOW, RizaApi, Stage, make_record


def read_cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("   ") if cell.strip()]


def test_a_stream_that_was_never_synced_is_shown_without_making_a_store(bare: Stage) -> None:
    result = bare.run("status")

    assert (result.exit_code, result.stderr) == (0, "")
    assert read_cells(result.stdout.splitlines()[2]) == [
        "interpreter", "executions", "0", "0", "nothing", "0", "10min", "redacted", "never",
    ]  # fmt: skip
    assert not bare.store.exists()


def test_a_synced_stream_is_shown_with_coverage_lag_and_last_run(stage: Stage) -> None:
    stage.run("sync")

    result = stage.but(now=NOW + timedelta(minutes=90), environ={}).run("status")

    assert read_cells(result.stdout.splitlines()[2]) == [
        "interpreter", "executions", "3", "0", "the beginning", "2026-01-02 00:00:00", "0",
        "1h 30min", "10min", "redacted", "done 1h 30min ago, 3 new",
    ]  # fmt: skip


def test_a_pruned_stream_is_known_from_where_it_was_pruned(stage: Stage) -> None:
    stage.run("sync")
    later = stage.but(now=NOW + timedelta(hours=6))
    later.run("prune", "--executions-older-than", "24h", "--yes")

    (status,) = json.loads(later.run("status", "--json").stdout)

    assert status["coverage"] == [["2026-01-01T06:00:00+00:00", "2026-01-02T00:00:00+00:00"]]
    assert (status["gaps"], status["lag_s"]) == ([], 21_600.0)
    assert read_cells(later.run("status").stdout.splitlines()[2])[2:8] == [
        "0", "0", "2026-01-01 06:00:00", "2026-01-02 00:00:00", "0", "6h",
    ]  # fmt: skip


def test_a_stream_that_was_pruned_as_a_whole_lags_and_fails_the_health_check(
    stage: Stage,
) -> None:
    stage.run("sync")
    later = stage.but(now=NOW + timedelta(days=9))
    later.run("prune", "--executions-older-than", "2d", "--yes")

    result = later.run("status", "--max-lag", "2d")

    assert read_cells(result.stdout.splitlines()[2])[2:7] == [
        "0", "0", "nothing", "2026-01-02 00:00:00", "0",
    ]  # fmt: skip
    assert json.loads(later.run("status", "--json").stdout)[0]["coverage"] == []
    assert (result.exit_code, result.stderr) == (
        8,
        "etl: error: interpreter/executions is 9d behind; allowed are 2d\n",
    )


def test_what_an_api_does_not_document_is_one_line_of_the_status(stage: Stage) -> None:
    records = [make_record(n, language="cobol", colour="red", size=[{"x": 1}]) for n in (1, 2)]
    seen = stage.but(handler=RizaApi(records))
    assert "undocumented" not in seen.run("status").output
    seen.run("sync")

    result = seen.run("status")

    assert result.stdout.splitlines()[3:] == [
        'undocumented: interpreter 2 fields and 1 value; see: etl query "FROM etl.drift"'
    ]
    assert result.stderr == ""


def test_the_status_as_json_has_gaps_and_times(stage: Stage) -> None:
    """Two runs, each interrupted after the first page of its head."""
    stage.configure(CONFIG + "page_size = 2\n")
    stage.run("sync", "--max-pages", "1")
    newer = RizaApi([make_record(n) for n in (1, 2, 3, 1600, 1700)], date=NOW + timedelta(days=1))
    tomorrow = stage.but(now=NOW + timedelta(days=1), handler=newer)
    tomorrow.run("sync", "--max-pages", "1")

    (status,) = json.loads(tomorrow.run("status", "--json").stdout)

    run = status.pop("last_run")
    assert (run["state"], run["rows_new"], run["error"]) == ("stopped", 2, None)
    assert status == {
        "source": "interpreter",
        "kind": "riza",
        "stream": "executions",
        "payloads": "redacted",
        "rows": 4,
        "open_rows": 0,
        "order": "descending",
        "lookback_s": 600.0,
        "lag_s": 0.0,
        "coverage": [
            ["2026-01-01T00:02:00.000001+00:00", "2026-01-01T23:50:00+00:00"],
            ["2026-01-02T02:40:00.000001+00:00", "2026-01-03T00:00:00+00:00"],
        ],
        "gaps": [
            ["2026-01-01T23:50:00+00:00", "2026-01-02T02:40:00.000001+00:00"],
            ["1970-01-01T00:00:00+00:00", "2026-01-01T00:02:00.000001+00:00"],
        ],
    }


@pytest.mark.parametrize(("max_lag", "exit_code"), [("2h", 0), ("1h29m", 8), ("90m", 0)])
def test_max_lag_makes_it_a_health_check(stage: Stage, max_lag: str, exit_code: int) -> None:
    stage.run("sync")

    result = stage.but(now=NOW + timedelta(minutes=90)).run("status", "--max-lag", max_lag)

    assert result.exit_code == exit_code
    assert result.stdout
    if exit_code:
        assert result.stderr == (
            "etl: error: interpreter/executions is 1h 30min behind; allowed are 1h 29min\n"
        )


def test_a_source_that_was_never_synced_fails_the_health_check(stage: Stage) -> None:
    result = stage.run("status", "--max-lag", "1000d")

    assert (result.exit_code, result.stderr) == (
        8,
        "etl: error: interpreter/executions was never synced; allowed are 1000d\n",
    )


def test_a_failed_run_shows_its_error(stage: Stage) -> None:
    stage.but(environ={"RIZA_API_KEY": "wrong"}).run("sync")

    result = stage.run("status")

    assert "failed 1s ago: interpreter: GET /v1/executions: HTTP 401: wrong key" in result.stdout


def test_an_impossible_duration_is_refused(stage: Stage) -> None:
    result = stage.run("status", "--max-lag", "soon")

    assert (result.exit_code, result.stderr) == (
        2,
        "etl: error: Invalid value for '--max-lag': \"soon\" is not a duration such as 90m, 24h "
        "or 7d (see: etl status --help)\n",
    )


def test_check_reads_one_page_of_each_source_and_writes_nothing(bare: Stage) -> None:
    result = bare.run("check")

    lines = [read_cells(line) for line in result.stdout.splitlines()[2:]]
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines[0] == ["ok", "etl.toml", "sources: interpreter"]
    assert lines[1][:2] == ["ok", "interpreter/executions"]
    assert lines[1][2].startswith("3 records in ")
    assert lines[1][2].endswith("s, newest first, payloads redacted")
    assert lines[2] == ["ok", str(bare.store), "no store yet; the first sync makes it"]
    assert len(bare.handler.requests) == 1
    assert not bare.store.exists()


def test_check_of_a_healthy_store_keeps_every_promise(stage: Stage) -> None:
    stage.run("sync")

    result = stage.run("check")

    assert result.exit_code == 0
    assert "schema version " in result.stdout
    kept, _, total = result.stdout.split(" promises kept")[0].rsplit(", ")[-1].partition(" of ")
    assert kept == total
    assert int(kept) >= 5


@pytest.mark.parametrize(
    ("damage", "promise"),
    [
        (
            "INSERT INTO riza.executions FROM riza.executions LIMIT 1",
            "riza.executions: one row per id: broken by 1 row",
        ),
        (
            "DELETE FROM riza.executions WHERE id = 'exec0001'",
            "riza.env: each row has its riza.executions, written with it: broken by 1 row",
        ),
        (
            "UPDATE riza.env SET synced_at = now() WHERE execution_id = 'exec0001'",
            "riza.env: each row has its riza.executions, written with it: broken by 1 row",
        ),
        (
            "INSERT INTO etl.coverage SELECT source, stream, since, since + INTERVAL 1 DAY "
            "FROM etl.coverage",
            "etl.coverage: intervals are disjoint and not empty: broken by 1 row",
        ),
    ],
)
def test_check_finds_a_store_that_breaks_a_promise(stage: Stage, damage: str, promise: str) -> None:
    stage.run("sync")
    with duckdb.connect(str(stage.store)) as connection:
        connection.execute(damage)

    result = stage.run("check")

    assert result.exit_code == 6
    assert result.stderr == f"etl: error: {stage.store}: {promise}\n"
    assert promise in result.stdout


def test_check_notes_secrets_that_were_stored_when_that_was_asked_for(stage: Stage) -> None:
    stage.configure(CONFIG + 'payloads = "full"\n')
    stage.run("sync")
    while_full = stage.run("check")
    stage.configure(CONFIG)

    result = stage.run("check")

    note = '3 secrets in it unredacted, from when payloads was "full"'
    assert (while_full.exit_code, result.exit_code) == (0, 0)
    assert note not in while_full.stdout
    assert note in result.stdout


def test_check_goes_through_all_sources_and_returns_the_smallest_code(stage: Stage) -> None:
    other = CONFIG.replace("interpreter", "other").replace("riza.test", "other.test")
    third = CONFIG.replace("interpreter", "third").replace("RIZA_API_KEY", "NOT_SET")
    stage.configure(CONFIG + other + third)
    api = RizaApi([make_record(1)])

    def answer(request: httpx.Request) -> httpx.Response:
        return api(request) if request.url.host == "other.test" else httpx.Response(401)

    result = stage.but(handler=answer).run("check")

    marks = [line.split()[0] for line in result.stdout.splitlines()[2:]]
    assert result.exit_code == 2
    assert marks == ["ok", "failed", "ok", "failed", "ok"]
    assert len(result.stderr.splitlines()) == 2


def test_check_says_what_is_odd_about_the_records(stage: Stage) -> None:
    records = [make_record(1), make_record(2, surprise=1), make_record(3, duration="long")]

    result = stage.but(handler=RizaApi(records), now=NOW + timedelta(hours=1)).run("check")

    assert result.exit_code == 0
    assert "1 record not understood: " in result.stdout
    assert "1 record with fields this program does not know" in result.stdout
    assert "the clock here is 3600 s ahead of the server's" in result.stdout
