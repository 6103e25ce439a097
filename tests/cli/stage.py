"""The program in an empty folder, with a Riza API that is a function."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
from click.testing import CliRunner, Result

from etl.cli import main
from etl.cli.shell import Shell
from etl.store.connect import configure
from tests.budgets import RecordingBudget

Handler = Callable[[httpx.Request], httpx.Response]
Record = dict[str, Any]

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=1)
TOKEN = "token-of-the-test"
CONFIG = """\
[sources.interpreter]
kind = "riza"
base_url = "http://riza.test"
token_env = "RIZA_API_KEY"
"""


def make_record(number: int, **changes: Any) -> Record:
    """An execution that started `number` minutes after START."""
    request = {"language": "python", "code": "print(1)", "env": {"API_KEY": "hunter2-hunter2"}}
    response = {"id": "", "exit_code": 0, "stdout": "1\n", "stderr": "", "duration": 5}
    return {
        "id": f"exec{number:04d}",
        "started_at": (START + timedelta(minutes=number)).isoformat(),
        "language": "python",
        "duration": 5,
        "exit_code": 0,
        "details": {"type": "script", "request": request, "response": response},
        **changes,
    }


@dataclass(frozen=True)
class RizaApi:
    """A list, newest first, and each of its records; `date` is what its clock says."""

    records: list[Record]
    date: datetime = NOW
    requests: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(str(request.url))
        headers = {"Date": format_datetime(self.date, usegmt=True)}
        if request.headers["Authorization"] != f"Bearer {TOKEN}":
            return httpx.Response(401, json={"message": "wrong key"}, headers=headers)
        newest_first = sorted(self.records, key=lambda r: str(r["started_at"]), reverse=True)
        record_id = request.url.path.removeprefix("/v1/executions").strip("/")
        if record_id:
            found = [record for record in newest_first if record["id"] == record_id]
            return httpx.Response(200 if found else 404, json=(found or [{}])[0], headers=headers)
        after = request.url.params.get("starting_after")
        place = [r.get("id") for r in newest_first].index(after) + 1 if after else 0
        limit = int(request.url.params["limit"])
        page = {"data": newest_first[place : place + limit]}
        return httpx.Response(200, json=page, headers=headers)


@dataclass(frozen=True)
class Stage:
    """A folder with a configuration, and how the world outside answers."""

    folder: Path
    handler: Handler
    environ: Mapping[str, str] = field(default_factory=lambda: {"RIZA_API_KEY": TOKEN})
    now: datetime = NOW

    def but(self, **changes: Any) -> "Stage":
        return replace(self, **changes)

    def configure(self, text: str) -> None:
        (self.folder / "etl.toml").write_text(text)

    @property
    def store(self) -> Path:
        return self.folder / "executions.duckdb"

    def run(self, *words: str, catch: bool = False, said: str | None = None) -> Result:
        """Run a command, with `said` on stdin; a bug is raised here unless it is to be caught."""
        shell = Shell(
            clock=lambda: self.now,
            start_budget=lambda max_seconds: RecordingBudget(max_seconds),
            transport=httpx.MockTransport(self.handler),
            environ=self.environ,
        )
        return CliRunner().invoke(main, list(words), obj=shell, catch_exceptions=catch, input=said)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.store), read_only=True) as connection:
            return configure(connection).execute(sql).fetchall()

    def list_ids(self) -> list[str]:
        return [row[0] for row in self.query("SELECT id FROM riza.executions ORDER BY id")]
