"""The lines of the crontab, run as cron runs them, against a server on loopback."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from etl.demo.server import DemoServer, DemoSettings, start_server
from tests.cron.files import list_jobs, read_crontab

EXECUTIONS = 120
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Machine:
    """A folder in the place of /etc/etl, and this environment in the place of /opt/etl."""

    folder: Path
    server: DemoServer

    def set_token(self, token: str) -> None:
        (self.folder / "tokens.env").write_text(f"DEMO_TOKEN='{token}'\n")

    def run_line(self, name: str) -> tuple[int, str]:
        """Run the line with this command; its exit code, and what cron would mail."""
        (line,) = [job.command for job in list_jobs() if f"etl {name}" in job.command]
        environ = {n: self._place(v) for n, v in read_crontab().env.items()}
        done = subprocess.run(
            [environ.pop("SHELL"), "-c", self._place(line)],
            cwd=self.folder,
            env={**environ, "HOME": str(self.folder), "LOGNAME": "etl"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return done.returncode, done.stdout

    def _place(self, text: str) -> str:
        programs = str(Path(sys.executable).parent)
        return text.replace("/etc/etl", str(self.folder)).replace("/opt/etl/bin", programs)

    def count_rows(self) -> int:
        with duckdb.connect(str(self.folder / "executions.duckdb"), read_only=True) as connection:
            rows: list[tuple[int]] = connection.execute(
                "SELECT count(*) FROM executions"
            ).fetchall()
        return rows[0][0]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    settings = DemoSettings(platforms=("riza",), executions=EXECUTIONS, end=datetime.now(UTC))
    with start_server(settings, now=lambda: datetime.now(UTC)) as server:
        (tmp_path / "etl.toml").write_text(
            f'[sources.interpreter]\nkind = "riza"\nbase_url = "{server.base_url}/riza"\n'
            'token_env = "DEMO_TOKEN"\n'
        )
        machine = Machine(tmp_path, server)
        machine.set_token(settings.token)
        yield machine


def test_cron_has_nothing_to_mail_while_all_is_well(machine: Machine) -> None:
    said = [machine.run_line(name) for name in ("sync", "status", "compact")]

    assert said == [(0, "")] * 3
    assert machine.count_rows() == EXECUTIONS


def test_a_failure_is_one_line_to_mail(machine: Machine) -> None:
    machine.set_token("revoked")
    refused = machine.run_line("sync")
    behind = machine.run_line("status")
    (machine.folder / "tokens.env").unlink()
    without_tokens = machine.run_line("sync")

    assert refused[0] == 3
    assert re.fullmatch(r"etl: error: interpreter: GET /v1/executions: HTTP 401.*\n", refused[1])
    assert behind == (
        8,
        "etl: error: interpreter/executions was never synced; allowed are 2h\n",
    )
    assert without_tokens[0] != 0
    assert "tokens.env" in without_tokens[1]
    assert without_tokens[1].count("\n") == 1
