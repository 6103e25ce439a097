"""Everything that can be wrong outside: one line each, its exit code, and nothing lost."""

import itertools
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import httpx
import pytest

from etl.demo.server import DemoSettings, start_server
from tests.cli.stage import CONFIG, NOW, TOKEN, Handler, RizaApi, Stage, make_record
from tests.loopback import find_closed_port

ROOT = Path(__file__).parent.parent.parent
WITHOUT_WAITING = """
import sys
from etl.cli import main
from etl.cli.shell import Shell
from tests.budgets import RecordingBudget
main(sys.argv[1:], prog_name="etl", obj=Shell(start_budget=RecordingBudget))
"""
WITH_SMALL_FILES = """
import resource, sys
from etl.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
main(sys.argv[1:], prog_name="etl")
"""
PAGE = json.dumps({"data": [make_record(1)]}).encode()


def reply(status: int = 200, content: bytes = b"", **headers: str) -> Handler:
    return lambda request: httpx.Response(status, content=content, headers=headers)


def refuse_connection(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("Name or service not known")


def hang(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("timed out")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pagesize = 5", 'sources.interpreter.pagesize: unknown key; did you mean "page_size"?'),
        ("frobnicate = 5", "sources.interpreter.frobnicate: unknown key; expected one of base_url"),
        (
            "page_size = 1",
            "sources.interpreter.page_size: found 1, expected a whole number from 2 to 1000",
        ),
        (
            'api_key = "sk-12345"',
            "sources.interpreter.api_key: a secret does not belong into this file",
        ),
    ],
)
def test_a_bad_key_is_refused_before_anything_is_done(bare: Stage, text: str, said: str) -> None:
    bare.configure(CONFIG + text + "\n")

    result = bare.run("sync")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"etl: error: etl.toml: {said}")
    assert result.stderr.count("\n") == 1
    assert "12345" not in result.stderr
    assert not bare.store.exists()


def test_no_configuration(stage: Stage) -> None:
    (stage.folder / "etl.toml").unlink()

    result = stage.run("sync")

    assert (result.exit_code, result.stderr) == (
        2,
        f"etl: error: {stage.folder / 'etl.toml'}: there is no such file; `etl init` makes one, "
        "--config names another\n",
    )


def test_an_unknown_kind(stage: Stage) -> None:
    stage.configure(CONFIG.replace('"riza"', '"rizza"'))

    result = stage.run("sync")

    assert result.exit_code == 2
    assert result.stderr.startswith(
        'etl: error: etl.toml: sources.interpreter.kind: found "rizza", expected one of "airflow", '
    )
    assert result.stderr.endswith('; did you mean "riza"?\n')


@pytest.mark.parametrize("environ", [{}, {"RIZA_API_KEY": ""}, {"RIZA_API_KEY": " \n"}])
def test_a_token_that_is_not_set(bare: Stage, environ: dict[str, str]) -> None:
    result = bare.but(environ=environ).run("sync")

    assert (result.exit_code, result.stderr) == (
        2,
        "etl: error: sources.interpreter.token_env: the environment variable RIZA_API_KEY is not "
        "set; it has to hold the API token\n",
    )
    assert not bare.store.exists()


def test_a_secret_in_the_place_of_its_variable_is_not_repeated(stage: Stage) -> None:
    stage.configure(CONFIG.replace("RIZA_API_KEY", "sk-riza-0123456789"))

    result = stage.run("sync")

    assert result.exit_code == 2
    assert result.stderr.startswith(
        "etl: error: etl.toml: sources.interpreter.token_env: expected the NAME of an environment "
        "variable"
    )
    assert "0123456789" not in result.stderr


def test_an_unknown_source_command_or_option(stage: Stage) -> None:
    source = stage.run("sync", "interpeter")
    command = stage.run("snyc")
    option = stage.run("sync", "--max-page", "3")

    assert [r.exit_code for r in (source, command, option)] == [2, 2, 2]
    assert source.stderr == (
        'etl: error: etl.toml: there is no source "interpeter"; did you mean "interpreter"?\n'
    )
    assert command.stderr == (
        'etl: error: there is no command "snyc"; did you mean "sync"? (see: etl --help)\n'
    )
    assert option.stderr.startswith("etl: error: No such option '--max-page'")
    assert option.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("handler", "exit_code", "said"),
    [
        (
            reply(401, b'{"message": "wrong key"}'),
            3,
            "GET /v1/executions: HTTP 401: wrong key; look at the variable that token_env names",
        ),
        (reply(403), 3, "GET /v1/executions: HTTP 403"),
        (reply(404), 4, "GET /v1/executions: HTTP 404"),
        (reply(302, location="http://elsewhere.test"), 4, "GET /v1/executions: HTTP 302: redirect"),
        (refuse_connection, 4, "GET /v1/executions: cannot connect (Name or service not known)"),
        (hang, 4, "GET /v1/executions: no answer in time"),
        (reply(500), 4, "GET /v1/executions: HTTP 500; gave up after retries"),
        (reply(429), 4, "GET /v1/executions: HTTP 429"),
        (reply(200, b"<html>login</html>"), 4, "GET /v1/executions: the answer is HTML, not JSON"),
        (reply(200, PAGE[:-20]), 4, "GET /v1/executions: the answer is not the documented JSON"),
        (reply(200, b'{"items": []}'), 4, "GET /v1/executions: the answer is not the documented"),
    ],
    ids=[
        "401",
        "403",
        "404",
        "redirect",
        "unreachable",
        "timeout",
        "500",
        "429",
        "html",
        "truncated",
        "other json",
    ],
)
def test_a_failing_server_is_one_line(
    stage: Stage, handler: Handler, exit_code: int, said: str
) -> None:
    result = stage.but(handler=handler).run("sync")

    assert result.exit_code == exit_code
    assert result.stderr.startswith(f"etl: error: interpreter: {said}")
    assert result.stderr.count("\n") == 1
    assert TOKEN not in result.stderr
    assert stage.query("SELECT state, exit_code FROM etl.runs") == [("failed", exit_code)]


@pytest.mark.parametrize("command", ["sync", "check"])
def test_a_refused_token_is_one_line_however_many_lists_it_is_for(
    stage: Stage, command: str
) -> None:
    rids = [f"ri.function-registry.main.function.f{number}" for number in range(20)]
    stage.configure(
        '[sources.functions]\nkind = "foundry"\nbase_url = "http://foundry.test"\n'
        f'token_env = "RIZA_API_KEY"\nresources = {rids}\nsince = 2025-12-01T00:00:00Z\n'
    )

    result = stage.but(handler=reply(401)).run(command)

    assert result.exit_code == 3
    assert result.stderr.startswith("etl: error: functions: POST /api/v2/observability/resources/")
    assert "/listExecutions: HTTP 401; look at the variable that " in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_secret_in_what_a_server_says_is_not_repeated(stage: Stage) -> None:
    said = (
        b'{"message": "no such user postgres://admin:hunter2hunter2@db/x, api_key=s3cretS3CRET99"}'
    )
    refusing = stage.but(handler=reply(403, said))

    results = [refusing.run("sync", "--json"), refusing.run("check")]

    for result in results:
        assert result.exit_code == 3
        assert "HTTP 403: no such user" in result.stderr
        assert "hunter2" not in result.output
        assert "s3cret" not in result.output


def test_a_host_where_nobody_listens_is_one_line(stage: Stage) -> None:
    """Over a real socket, by a process of its own that does not sleep between its attempts."""
    stage.configure(CONFIG.replace("riza.test", f"127.0.0.1:{find_closed_port()}"))

    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_WAITING, "sync"],
        cwd=stage.folder,
        env={**os.environ, "RIZA_API_KEY": TOKEN, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stdout) == (4, "")
    assert result.stderr.startswith(
        "etl: error: interpreter: GET /v1/executions: cannot connect (Connection refused)"
    )


def test_a_record_without_an_id_is_set_aside_and_the_others_stored(stage: Stage) -> None:
    nameless = make_record(2)
    del nameless["id"]
    api = RizaApi([make_record(1), nameless, make_record(3)])

    result = stage.but(handler=api).run("sync")

    assert (result.exit_code, result.stderr) == (
        0,
        "etl: warning: interpreter: 1 record not understood; see: etl quarantine\n",
    )
    assert stage.list_ids() == ["exec0001", "exec0003"]
    assert stage.query("SELECT path, error FROM etl.quarantine") == [
        ("$", "Object missing required field `id`")
    ]


def test_a_whole_page_without_ids_cannot_be_walked(stage: Stage) -> None:
    stage.configure(CONFIG + "page_size = 2\n")
    records = [make_record(number) for number in (1, 2)]
    for record in records:
        del record["id"]

    result = stage.but(handler=RizaApi(records)).run("sync")

    assert (result.exit_code, result.stderr) == (
        4,
        "etl: error: interpreter: GET /v1/executions: a whole page of records without an id\n",
    )


def test_wrong_types_beyond_the_threshold_are_an_error_of_their_own(stage: Stage) -> None:
    broken = [make_record(number, duration="long") for number in range(11)]
    api = RizaApi([*broken, make_record(20)])

    result = stage.but(handler=api).run("sync")

    assert (result.exit_code, result.stderr) == (
        7,
        "etl: error: interpreter: 11 of 12 records could not be understood; the others are "
        "stored, see: etl quarantine\n",
    )
    assert stage.list_ids() == ["exec0020"]


def test_a_list_that_runs_in_circles_is_an_error(stage: Stage) -> None:
    stage.configure(CONFIG + "page_size = 2\n")
    circle = itertools.cycle([(4, 3), (2, 1)])

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": [make_record(number) for number in next(circle)]})

    result = stage.but(handler=answer).run("sync")

    assert result.exit_code == 4
    assert result.stderr.startswith("etl: error: ")
    assert result.stderr.count("\n") == 1
    assert stage.list_ids() == ["exec0001", "exec0002", "exec0003", "exec0004"]


def test_a_clock_ahead_of_the_server_warns_and_claims_no_more_than_the_server_knows(
    stage: Stage,
) -> None:
    ahead = stage.but(now=NOW + timedelta(minutes=10))

    result = ahead.run("sync")

    assert (result.exit_code, result.stderr) == (
        0,
        "etl: warning: interpreter: the clock here is 600 s ahead of the server's; set it right: "
        "coverage ends where the earlier of the two stands\n",
    )
    assert stage.query("SELECT until::VARCHAR FROM etl.coverage") == [("2026-01-02 00:00:00+00",)]


def test_a_clock_within_five_minutes_is_nobodys_business(stage: Stage) -> None:
    result = stage.but(now=NOW + timedelta(minutes=5)).run("sync")

    assert (result.exit_code, result.stderr) == (0, "")


def test_a_file_that_is_no_store_is_left_untouched(bare: Stage) -> None:
    bare.store.write_bytes(b"year;amount\n2026;1\n" * 1000)
    before = bare.store.read_bytes()

    results = [bare.run("sync"), bare.run("status"), bare.run("query", "SELECT 1")]

    line = f"etl: error: {bare.store}: this is not a DuckDB file; it was left untouched\n"
    assert [(r.exit_code, r.stderr) for r in results] == [(6, line)] * 3
    assert bare.store.read_bytes() == before


def test_a_duckdb_file_of_somebody_else_is_left_untouched(bare: Stage) -> None:
    with duckdb.connect(str(bare.store)) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS number")
    before = bare.store.read_bytes()

    result = bare.run("sync")

    assert (result.exit_code, result.stderr) == (
        6,
        f"etl: error: {bare.store}: this DuckDB file is no store, it holds main.orders; it was "
        "left untouched; name a file of its own for the store\n",
    )
    assert bare.store.read_bytes() == before


def test_a_store_of_a_newer_version_is_left_untouched(stage: Stage) -> None:
    stage.run("sync")
    with duckdb.connect(str(stage.store)) as connection:
        connection.execute("UPDATE etl.meta SET value = '999' WHERE name = 'schema_version'")
    before = stage.store.read_bytes()

    results = [stage.run("sync"), stage.run("sync", "--plan"), stage.run("status")]

    for result in results:
        assert result.exit_code == 6
        assert result.stderr.startswith(
            f"etl: error: {stage.store}: the store has schema version 999, this program knows "
        )
    assert stage.store.read_bytes() == before


def test_a_lost_key_is_not_replaced_in_silence(stage: Stage) -> None:
    stage.run("sync")
    key = stage.folder / "executions.duckdb.key"
    key.unlink()

    result = stage.run("sync")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"etl: error: {key}: the key of this store is missing")
    assert not key.exists()


def test_a_disk_that_fills_up_is_one_line_and_the_next_run_goes_on(stage: Stage) -> None:
    """The kernel refuses to let files grow, as it does on a full disk."""
    now = NOW
    settings = DemoSettings(platforms=("riza",), executions=1_000, end=now)
    with start_server(settings, now=lambda: now) as server:
        stage.configure(CONFIG.replace("http://riza.test", f"{server.base_url}/riza"))
        environ = {**os.environ, "RIZA_API_KEY": server.settings.token}

        def run(*words: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                [sys.executable, *words, "sync"],
                cwd=stage.folder,
                env=environ,
                capture_output=True,
                text=True,
                check=False,
            )

        full = run("-c", WITH_SMALL_FILES)
        rest = run("-m", "etl")

    assert (full.returncode, full.stdout) == (6, "")
    assert full.stderr.startswith(f"etl: error: {stage.store}: ")
    assert full.stderr.endswith("File too large\n")
    assert full.stderr.count("\n") == 1
    assert rest.returncode == 0
    assert stage.query("SELECT count(*), count(DISTINCT id) FROM riza.executions") == [(1000, 1000)]
