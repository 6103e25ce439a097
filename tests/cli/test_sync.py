"""`etl sync` from the outside: what it says, what it stores, how it ends."""

import json

import httpx
import pytest

from tests.cli.stage import CONFIG, RizaApi, Stage, make_record

SECOND_SOURCE = CONFIG + CONFIG.replace("interpreter", "other").replace("riza.test", "other.test")


def test_a_sync_without_a_terminal_says_nothing_when_all_is_well(bare: Stage) -> None:
    result = bare.run("sync")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert bare.list_ids() == ["exec0001", "exec0002", "exec0003"]


@pytest.mark.parametrize("words", [("-v", "sync"), ("sync", "-v")])
def test_verbose_says_what_was_done(stage: Stage, words: tuple[str, ...]) -> None:
    result = stage.run(*words)

    said = "interpreter: 3 new, 0 changed, 0 unchanged; 2 pages\n"
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", said)


def test_json_logs_are_one_object_per_line_with_stable_keys(stage: Stage) -> None:
    result = stage.run("--log-format", "json", "-v", "sync")

    (line,) = [json.loads(line) for line in result.stderr.splitlines()]
    assert line == {
        "time": "2026-01-02T00:00:00.000+00:00",
        "level": "info",
        "message": "interpreter: 3 new, 0 changed, 0 unchanged; 2 pages",
        "source": "interpreter",
    }


def test_an_error_as_json_carries_source_and_exit_code(stage: Stage) -> None:
    refusing = stage.but(environ={"RIZA_API_KEY": "wrong"})

    result = refusing.run("--log-format", "json", "sync")

    (line,) = [json.loads(line) for line in result.stderr.splitlines()]
    assert (line["level"], line["source"], line["exit_code"]) == ("error", "interpreter", 3)


def test_the_result_as_json_has_a_row_per_stream(stage: Stage) -> None:
    result = stage.run("sync", "--json")

    summary = json.loads(result.stdout)
    (source,) = summary["sources"]
    (stream,) = source["streams"]
    assert (summary["exit_code"], source["source"], source["errors"]) == (0, "interpreter", [])
    assert (stream["stream"], stream["state"], stream["rows_new"]) == ("executions", "done", 3)
    assert stream["ended_at"] == "2026-01-02T00:00:00+00:00"


def test_a_record_that_the_lookback_would_have_missed_is_worth_a_warning(stage: Stage) -> None:
    stage.run("sync")
    late = stage.but(handler=RizaApi([make_record(number) for number in (1, 2, 3, 1_000)]))

    result = late.run("sync")

    assert (result.exit_code, stage.list_ids()[-1]) == (0, "exec1000")
    assert result.stderr.startswith(
        "etl: warning: interpreter/executions: a record appeared 7h 20min after its time, which "
        "the lookback of 10min would have missed; "
    )
    assert late.run("sync").stderr == ""


def test_a_second_sync_changes_nothing(stage: Stage) -> None:
    stage.run("sync")
    before = stage.query(
        "SELECT id, synced_at::VARCHAR, sync_run_id FROM riza.executions ORDER BY id"
    )

    result = stage.but(now=stage.now).run("sync", "-v")

    rows = stage.query(
        "SELECT id, synced_at::VARCHAR, sync_run_id FROM riza.executions ORDER BY id"
    )
    assert rows == before
    assert "0 new, 0 changed" in result.stderr


def test_max_pages_ends_in_order_and_the_next_run_goes_on(stage: Stage) -> None:
    stage.configure(CONFIG + "page_size = 2\n")

    first = stage.run("sync", "--max-pages", "1", "-v")
    stored_first = stage.list_ids()
    second = stage.run("sync")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "stopped in order, the next run goes on" in first.stderr
    assert stored_first == ["exec0002", "exec0003"]
    assert stage.list_ids() == ["exec0001", "exec0002", "exec0003"]


def test_max_seconds_of_nothing_fetches_nothing_and_ends_in_order(stage: Stage) -> None:
    result = stage.run("sync", "--max-seconds", "0")

    assert (result.exit_code, result.stderr) == (0, "")
    assert stage.list_ids() == []


def test_only_the_named_source_is_synced_and_only_its_token_needed(stage: Stage) -> None:
    stage.configure(SECOND_SOURCE.replace("RIZA_API_KEY", "OTHER_KEY", 1))

    result = stage.run("sync", "other")

    assert (result.exit_code, result.stderr) == (0, "")
    assert stage.query("SELECT DISTINCT source FROM riza.executions") == [("other",)]


def test_one_broken_source_does_not_stop_the_others(stage: Stage) -> None:
    stage.configure(SECOND_SOURCE)
    api = RizaApi([make_record(1)])

    def answer(request: httpx.Request) -> httpx.Response:
        return api(request) if request.url.host == "other.test" else httpx.Response(403)

    result = stage.but(handler=answer).run("sync")

    assert result.exit_code == 3
    assert result.stderr.startswith("etl: error: interpreter: GET /v1/executions: HTTP 403")
    assert stage.query("SELECT source FROM riza.executions") == [("other",)]


def test_of_several_failures_the_smallest_code_is_returned(stage: Stage) -> None:
    stage.configure(SECOND_SOURCE)

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404 if request.url.host == "riza.test" else 401)

    result = stage.but(handler=answer).run("sync")

    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) == 2


def test_since_is_for_this_run(stage: Stage) -> None:
    result = stage.run("sync", "--since", "2026-01-01T00:02:30Z")

    covered = stage.query("SELECT since::VARCHAR FROM etl.coverage")
    assert result.exit_code == 0
    assert covered == [("2026-01-01 00:02:30+00",)]


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("2026-01-01", "2026-01-01 00:00:00+00"),
        ("12h", "2026-01-01 12:00:00+00"),
        ("2026-01-01T02:00:00+02:00", "2026-01-01 00:00:00+00"),
    ],
)
def test_since_is_a_time_a_date_or_a_duration_ago(stage: Stage, text: str, since: str) -> None:
    result = stage.run("sync", "--since", text)

    assert result.exit_code == 0
    assert stage.query("SELECT since::VARCHAR FROM etl.coverage") == [(since,)]


def test_full_reads_again_what_is_known(stage: Stage) -> None:
    stage.configure(CONFIG + "page_size = 2\n")
    stage.run("sync")
    changed = stage.but(handler=RizaApi([make_record(n, exit_code=7) for n in (1, 2, 3)]))

    incremental = changed.run("sync", "-v")
    full = changed.run("sync", "--full", "-v")

    assert "2 changed" in incremental.stderr
    assert "1 changed, 2 unchanged" in full.stderr
    query = "SELECT mode, rows_changed FROM sync_runs WHERE rows_changed > 0 ORDER BY 2"
    assert stage.query(query) == [("full", 1), ("sync", 2)]


def test_views_timezone_and_key_id_are_there_after_the_first_sync(bare: Stage) -> None:
    bare.configure('[store]\ntimezone = "Europe/Berlin"\n' + CONFIG)

    bare.run("sync")

    meta = dict(bare.query("SELECT name, value FROM etl.meta"))
    assert bare.query("SELECT count(*) FROM executions") == [(3,)]
    assert meta["timezone"] == "Europe/Berlin"
    assert len(meta["key_id"]) == 16


def test_the_secret_of_a_payload_never_reaches_the_folder(stage: Stage) -> None:
    stage.run("sync")

    files = [path for path in stage.folder.iterdir() if path.is_file()]
    assert len(files) >= 3
    assert not [path for path in files if b"hunter2" in path.read_bytes()]
    assert not [path for path in files if b"token-of-the-test" in path.read_bytes()]


def test_a_plan_writes_nothing_not_even_a_store(bare: Stage) -> None:
    before = sorted(path.name for path in bare.folder.iterdir())

    result = bare.but(environ={}).run("sync", "--plan")

    assert result.exit_code == 0
    assert "the beginning   2026-01-02 00:00:00" in result.stdout
    assert sorted(path.name for path in bare.folder.iterdir()) == before


def test_a_plan_names_the_gaps_and_estimates_the_requests(stage: Stage) -> None:
    stage.configure(CONFIG + "page_size = 2\n")
    stage.run("sync", "--max-pages", "1")
    before = stage.store.read_bytes()

    result = stage.run("sync", "--plan", "--json")

    (plan,) = json.loads(result.stdout)
    assert [gap["name"] for gap in plan["gaps"]] == ["head", "missing"]
    assert plan["gaps"][1]["since"] == "1970-01-01T00:00:00+00:00"
    assert plan["estimated_requests"] >= 2
    assert stage.store.read_bytes() == before


def test_a_bug_keeps_its_traceback_and_exits_1(stage: Stage) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise KeyError("a bug")

    result = stage.but(handler=answer).run("sync", catch=True)

    assert (result.exit_code, repr(result.exception)) == (1, "KeyError('a bug')")


def test_every_token_that_is_not_set_is_named(bare: Stage) -> None:
    other = CONFIG.replace("interpreter", "other").replace("RIZA_API_KEY", "NOT_SET")
    third = CONFIG.replace("interpreter", "third").replace("RIZA_API_KEY", "NOR_THIS")
    bare.configure(CONFIG + other + third)

    result = bare.run("sync")

    assert result.exit_code == 2
    assert "sources.other.token_env: the environment variable NOT_SET is not set" in result.stderr
    assert "sources.third.token_env: the environment variable NOR_THIS is not" in result.stderr
    assert "interpreter" not in result.stderr
    assert result.stderr.count("\n") == 1
