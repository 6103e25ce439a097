"""What the soak looks for would be found: half of a commit, a row that is not as the API has it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from etl.cli import main
from etl.cli.shell import Shell
from etl.demo.grid import Span
from etl.demo.history_riza import RizaHistory
from etl.demo.server import DemoServer, DemoSettings, start_server
from tests.soak.compare import STORE, compare_with_api
from tests.soak.looking import look

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SPAN = Span(150, 5.0, NOW - timedelta(days=5))
SETTINGS = DemoSettings(
    executions=SPAN.executions, days=SPAN.days, origin=SPAN.origin, platforms=("riza",)
)


@dataclass(frozen=True)
class Kept:
    """A synced store, and the server that it was synced from."""

    folder: Path
    server: DemoServer

    def change(self, sql: str) -> None:
        with duckdb.connect(str(self.folder / STORE)) as connection:
            connection.execute(sql)

    def look(self) -> str:
        with duckdb.connect(str(self.folder / STORE), read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return "; ".join(look(connection, RizaHistory(SPAN))[1])


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    with start_server(SETTINGS, now=lambda: NOW) as server:
        (tmp_path / "etl.toml").write_text(
            f'[sources.riza]\nkind = "riza"\nbase_url = "{server.base_url}/riza"\n'
            'token_env = "DEMO_TOKEN"\n'
        )
        shell = Shell(
            clock=lambda: NOW,
            environ={"DEMO_TOKEN": SETTINGS.token},
            config_file=tmp_path / "etl.toml",
        )
        with pytest.raises(SystemExit, match=r"^0$"):
            main(["sync"], obj=shell)
        yield Kept(tmp_path, server)


NEWEST = "(SELECT id FROM riza.executions ORDER BY started_at LIMIT 1)"


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        (f"DELETE FROM riza.executions WHERE id = {NEWEST}", "rows in a range that is said to be"),
        ("UPDATE etl.runs SET rows_new = rows_new - 1", "the run log counts"),
        (
            "INSERT INTO riza.env (source, execution_id, position) VALUES ('riza', 'nobody', 0)",
            "1 executions are missing that others belong to",
        ),
    ],
)
def test_half_of_a_commit_would_be_seen(kept: Kept, sql: str, found: str) -> None:
    assert kept.look() == ""

    kept.change(sql)

    assert found in kept.look()


def test_a_row_that_is_not_as_the_api_has_it_would_be_seen(kept: Kept) -> None:
    kept.change(f"UPDATE riza.executions SET exit_code = 99 WHERE id = {NEWEST}")

    differences, *rows = compare_with_api(kept.folder, kept.server)

    assert re.fullmatch(r"riza: (\d+) stored, \1 served", differences)
    assert sum(", 99, " in row for row in rows) == 1
    assert len(rows) == 2
