"""`etl fetch`: single executions, without a claim to know more than them."""

from tests.cli.stage import RizaApi, Stage, make_record


def test_an_execution_is_fetched_by_its_id_and_the_ledger_not_touched(stage: Stage) -> None:
    result = stage.run("fetch", "interpreter", "exec0002", "-v")

    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "interpreter: 1 new, 0 changed, 0 unchanged; 1 page\n"
    assert stage.list_ids() == ["exec0002"]
    assert stage.query("SELECT count(*) FROM etl.coverage") == [(0,)]
    runs = stage.query("SELECT mode, state, requests, exit_code FROM sync_runs")
    assert runs == [("fetch", "fetched", 1, 0)]


def test_fetching_again_brings_the_change(stage: Stage) -> None:
    stage.run("sync")
    covered = stage.query("SELECT since::VARCHAR, until::VARCHAR FROM etl.coverage")
    changed = stage.but(handler=RizaApi([make_record(2, exit_code=9)]))

    result = changed.run("fetch", "interpreter", "exec0002", "-v")

    assert result.stderr == "interpreter: 0 new, 1 changed, 0 unchanged; 1 page\n"
    assert stage.query("SELECT exit_code FROM riza.executions WHERE id = 'exec0002'") == [(9,)]
    assert stage.query("SELECT since::VARCHAR, until::VARCHAR FROM etl.coverage") == covered


def test_an_old_execution_fetched_late_does_not_widen_the_lookback(stage: Stage) -> None:
    stage.run("sync")
    before = stage.query("SELECT lookback_s, longest_delay_s FROM etl.streams")

    stage.but(handler=RizaApi([make_record(-5000)])).run("fetch", "interpreter", "exec-5000")

    assert stage.list_ids() == ["exec-5000", "exec0001", "exec0002", "exec0003"]
    assert stage.query("SELECT lookback_s, longest_delay_s FROM etl.streams") == before


def test_a_time_with_more_digits_than_in_the_list_makes_no_second_row(stage: Stage) -> None:
    stage.run("sync")
    exact = make_record(2, started_at="2026-01-01T00:02:00.000999Z")

    stage.but(handler=RizaApi([exact])).run("fetch", "interpreter", "exec0002")

    assert stage.query("SELECT count(*) FROM riza.executions WHERE id = 'exec0002'") == [(1,)]


def test_an_unknown_id_is_an_error_and_the_others_are_stored(stage: Stage) -> None:
    result = stage.run("fetch", "interpreter", "exec0001", "missing", "exec0003")

    assert result.exit_code == 4
    assert result.stderr.startswith("etl: error: interpreter: GET /v1/executions/missing: HTTP 404")
    assert result.stderr.count("\n") == 1
    assert stage.list_ids() == ["exec0001", "exec0003"]


def test_the_last_run_of_status_is_a_sync_and_not_a_fetch(stage: Stage) -> None:
    stage.run("fetch", "interpreter", "exec0001")

    assert stage.run("status").stdout.splitlines()[2].split()[-1] == "never"


def test_a_kind_that_has_lists_only_says_so(stage: Stage) -> None:
    stage.configure(
        '[sources.f]\nkind = "foundry"\ntoken_env = "RIZA_API_KEY"\nbase_url = "https://f.test"\n'
        'resources = ["ri.function-registry.main.function.c26f11c8-cdb3-4f44-9f5d-9816ea1c82da"]\n'
        "since = 2026-01-01T00:00:00Z\n"
    )

    result = stage.run("fetch", "f", "x")

    assert (result.exit_code, result.stderr) == (
        2,
        "etl: error: f: foundry cannot retrieve single executions\n",
    )
