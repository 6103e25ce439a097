"""`etl demo`: from nothing to tables, and only what is new the second time."""

import signal
import subprocess
import sys
import urllib.request
from datetime import timedelta

import duckdb
import pytest
from click.testing import Result
from rich.console import Console

from etl.cli import demo_tables, render
from etl.sources import SOURCES
from tests.cli.stage import NOW, Stage

EXECUTIONS = 400
PATIENCE_S = 60.0


@pytest.fixture
def empty(bare: Stage) -> Stage:
    """An empty folder; the demo's server is real, so nothing may stand in for the network."""
    (bare.folder / "etl.toml").unlink()
    return bare


def run_demo(stage: Stage, *words: str) -> Result:
    from click.testing import CliRunner

    from etl.cli import main
    from etl.cli.shell import Shell

    command = ["demo", "--executions", str(EXECUTIONS), *words]
    return CliRunner().invoke(main, command, obj=Shell(clock=lambda: stage.now))


def count_rows(stage: Stage) -> dict[str, int]:
    with duckdb.connect(str(stage.folder / "demo" / "executions.duckdb"), read_only=True) as store:
        return dict(store.execute("SELECT kind, count(*) FROM executions GROUP BY 1").fetchall())


def test_the_demo_shows_every_platform_and_leaves_a_store_to_ask(empty: Stage) -> None:
    result = run_demo(empty)

    counts = count_rows(empty)
    assert result.exit_code == 0, result.stderr
    assert set(counts) == {"riza", "foundry", "b3os"} & set(SOURCES)
    assert counts["riza"] == EXECUTIONS
    for title in ("What failed", "What fails most", "How long successes take", "Next:"):
        assert title in result.stdout
    assert "interpreter: 400 new, 0 changed, 0 unchanged" in result.stderr

    status = empty.run("--config", "demo/etl.toml", "status")
    errors = empty.run("--config", "demo/etl.toml", "query", "SELECT count(*) AS n FROM top_errors")
    assert (status.exit_code, errors.exit_code) == (0, 0)
    assert int(errors.stdout.splitlines()[1]) > 3


def test_on_a_narrow_terminal_names_that_begin_alike_differ(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_tables, "measure_terminal", lambda: 80)
    monkeypatch.setattr(render, "open_console", lambda: Console(file=sys.stdout, width=80))
    store = duckdb.connect()
    store.execute(
        """
        CREATE TABLE duration_by_name AS
        SELECT
            'interpreter' AS source, 'ri.function-registry.main.function.' || last AS name,
            1000 AS executions, 1e6::DOUBLE AS avg_ms, 4e6::DOUBLE AS p50_ms,
            5e6::DOUBLE AS p95_ms, 6e6::DOUBLE AS p99_ms, 4e7::DOUBLE AS max_ms
        FROM (VALUES ('first'), ('other')) AS names(last)
        """
    )

    demo_tables.show_durations(store)

    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[1][-6:] for line in lines if "…" in line) == [".first", ".other"]


def test_a_second_demo_fetches_only_what_is_new(empty: Stage) -> None:
    run_demo(empty)
    later = empty.but(now=NOW + timedelta(days=1))

    result = run_demo(later)

    said = next(line for line in result.stderr.splitlines() if line.startswith("interpreter: "))
    new = int(said.split()[1])
    assert result.exit_code == 0
    assert 0 < new < 30
    assert count_rows(empty)["riza"] == EXECUTIONS + new


def test_faults_are_waited_out_and_nothing_is_lost(empty: Stage) -> None:
    result = run_demo(empty, "--fault", "cut@2", "--fault", "error_500@3", "--fault", "drop@5")

    assert result.exit_code == 0, result.stderr
    assert count_rows(empty)["riza"] == EXECUTIONS


@pytest.mark.parametrize(
    "fault", ["nonsense=0.1", "cut=2", "cut=x", "cut@x", "no_retry=0.1", "cut"]
)
def test_an_impossible_fault_is_refused(empty: Stage, fault: str) -> None:
    result = run_demo(empty, "--fault", fault)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"etl: error: --fault {fault}: expected NAME=SHARE or NAME@")
    assert not (empty.folder / "demo").exists()


def test_served_alone_it_answers_until_it_is_interrupted(empty: Stage) -> None:
    command = [sys.executable, "-m", "etl", "demo", "--serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=empty.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        request = urllib.request.Request(
            f"{url}/v1/executions", headers={"Authorization": "Bearer demo-token"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            status = answer.status
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE_S)

    assert url.endswith("/riza")
    assert (status, process.returncode, said) == (200, 0, "")


def test_a_port_in_use_is_one_line(empty: Stage) -> None:
    from etl.demo.server import start_server

    with start_server(now=lambda: NOW) as server:
        result = run_demo(empty, "--port", str(server.port))

    assert result.exit_code == 2
    assert result.stderr.startswith(f"etl: error: port {server.port} cannot be used: ")
