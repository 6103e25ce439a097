"""`etl demo`: from nothing to tables, and only what is new the second time."""

import signal
import subprocess
import sys
import urllib.request
from datetime import timedelta

import duckdb
import pytest
from click.testing import Result

from etl.sources import SOURCES
from tests.cli.stage import NOW, Stage

EXECUTIONS = 400
PATIENCE_S = 60.0


@pytest.fixture
def bare(stage: Stage) -> Stage:
    """An empty folder; the demo's server is real, so nothing may stand in for the network."""
    (stage.folder / "etl.toml").unlink()
    return stage


def run_demo(stage: Stage, *words: str) -> Result:
    from click.testing import CliRunner

    from etl.cli import main
    from etl.cli.shell import Shell

    command = ["demo", "--executions", str(EXECUTIONS), *words]
    return CliRunner().invoke(main, command, obj=Shell(clock=lambda: stage.now))


def count_rows(stage: Stage) -> dict[str, int]:
    with duckdb.connect(str(stage.folder / "demo" / "executions.duckdb"), read_only=True) as store:
        return dict(store.execute("SELECT kind, count(*) FROM executions GROUP BY 1").fetchall())


def test_the_demo_syncs_every_platform_it_knows_and_shows_what_failed(bare: Stage) -> None:
    result = run_demo(bare)

    counts = count_rows(bare)
    assert result.exit_code == 0, result.stderr
    assert set(counts) == {"riza", "foundry", "b3os"} & set(SOURCES)
    assert counts["riza"] == EXECUTIONS
    for title in ("What failed", "What fails most", "How long successes take", "Next:"):
        assert title in result.stdout
    assert "interpreter: 400 new, 0 changed, 0 unchanged" in result.stderr


def test_a_second_demo_fetches_only_what_is_new(bare: Stage) -> None:
    run_demo(bare)
    later = bare.but(now=NOW + timedelta(days=1))

    result = run_demo(later)

    said = next(line for line in result.stderr.splitlines() if line.startswith("interpreter: "))
    new = int(said.split()[1])
    assert result.exit_code == 0
    assert 0 < new < 30
    assert count_rows(bare)["riza"] == EXECUTIONS + new


def test_faults_are_waited_out_and_nothing_is_lost(bare: Stage) -> None:
    result = run_demo(bare, "--fault", "cut@2", "--fault", "error_500@3", "--fault", "drop@5")

    assert result.exit_code == 0, result.stderr
    assert count_rows(bare)["riza"] == EXECUTIONS


@pytest.mark.parametrize(
    "fault", ["nonsense=0.1", "cut=2", "cut=x", "cut@x", "no_retry=0.1", "cut"]
)
def test_an_impossible_fault_is_refused(bare: Stage, fault: str) -> None:
    result = run_demo(bare, "--fault", fault)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"etl: error: --fault {fault}: expected NAME=SHARE or NAME@")
    assert not (bare.folder / "demo").exists()


def test_the_configuration_it_leaves_is_good_for_other_commands(bare: Stage) -> None:
    run_demo(bare)

    status = bare.run("--config", "demo/etl.toml", "status")
    asked = bare.run("--config", "demo/etl.toml", "query", "SELECT count(*) AS n FROM top_errors")

    assert (status.exit_code, asked.exit_code) == (0, 0)
    assert int(asked.stdout.splitlines()[1]) > 3


def test_served_alone_it_answers_until_it_is_interrupted(bare: Stage) -> None:
    command = [sys.executable, "-m", "etl", "demo", "--serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=bare.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
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


def test_a_port_in_use_is_one_line(bare: Stage) -> None:
    from etl.demo.server import start_server

    with start_server(now=lambda: NOW) as server:
        result = run_demo(bare, "--port", str(server.port))

    assert result.exit_code == 2
    assert result.stderr.startswith(f"etl: error: port {server.port} cannot be used: ")
