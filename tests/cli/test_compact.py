"""`etl compact`: a smaller file with the same rows, and nobody disturbed."""

import subprocess
import sys
from pathlib import Path

import pytest

from etl.budget import start_budget
from etl.cli.lock import hold_lock
from etl.compact import compact
from etl.errors import StoreError
from etl.store import copy
from etl.store.connect import open_reader, open_writer
from tests.cli.stage import NOW, Stage
from tests.cli.test_publish import reading
from tests.store.test_connect import hold
from tests.store.things import dump

NEVER = start_budget(None)


@pytest.fixture
def grown(stage: Stage) -> Stage:
    """A synced store of which most has been deleted again."""
    assert stage.run("sync").exit_code == 0
    with open_writer(stage.store, NEVER) as connection:
        connection.execute(
            "INSERT INTO riza.executions (source, id, stdout) "
            "SELECT 'old', range, md5(range::VARCHAR) || md5((range + 1)::VARCHAR) "
            "FROM range(60_000)"
        )
        connection.execute("DELETE FROM riza.executions WHERE source = 'old' AND id::INT > 10")
    return stage


def read_everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with open_reader(path) as connection:
        return dump(connection)


def test_the_file_is_smaller_and_every_row_is_there(grown: Stage) -> None:
    before, size_before = read_everything(grown.store), grown.store.stat().st_size

    result = grown.run("-v", "compact")

    assert result.exit_code == 0
    assert " MB became " in result.stderr
    assert grown.store.stat().st_size < size_before / 2
    assert read_everything(grown.store) == before
    assert not list(grown.folder.glob(".*"))


def test_it_says_nothing_when_nobody_looks(grown: Stage) -> None:
    result = grown.run("compact")

    assert (result.exit_code, result.output) == (0, "")


def test_the_next_sync_goes_on(grown: Stage) -> None:
    grown.run("compact")

    result = grown.run("-v", "sync")

    assert result.exit_code == 0
    assert "0 new, 0 changed, 3 unchanged" in result.stderr
    with open_reader(grown.store) as connection:
        [(tags,)] = connection.execute(
            "SELECT tags FROM duckdb_databases() WHERE path IS NOT NULL"
        ).fetchall()
    assert tags["storage_version"].startswith("v1.5.0")


def test_a_reader_is_not_disturbed(grown: Stage) -> None:
    with reading(grown.store) as dashboard:
        assert dashboard.stdin
        assert dashboard.stdout

        assert grown.run("compact").exit_code == 0

        dashboard.stdin.write("SELECT count(*) FROM executions\n")
        dashboard.stdin.flush()
        assert dashboard.stdout.readline() == "14\n"


def test_a_sync_or_a_writer_keeps_it_away(grown: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy, "LOCK_WAIT_S", 0.1)
    before = grown.store.read_bytes()

    with hold_lock(grown.store, NOW):
        result = grown.run("compact")
    with (
        hold(grown.store, "writer") as process_id,
        pytest.raises(StoreError, match=f"locked by process {process_id}"),
    ):
        compact(grown.store, NEVER)

    assert result.exit_code == 5
    assert grown.store.read_bytes() == before


def test_whoever_would_write_meanwhile_is_kept_out(
    grown: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that is written between the copy and its renaming would be lost."""
    tried = []
    put_in_place = copy.put_in_place

    def try_to_write_first(new: Path, target: Path) -> None:
        code = "import sys, duckdb; duckdb.connect(sys.argv[1])"
        done = subprocess.run(
            [sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=False
        )
        tried.append("Could not set lock" in done.stderr)
        put_in_place(new, target)

    monkeypatch.setattr(copy, "put_in_place", try_to_write_first)

    assert grown.run("compact").exit_code == 0

    assert tried == [True]


def test_a_store_behind_a_link_stays_behind_it(grown: Stage) -> None:
    real = grown.folder / "disk" / "real.duckdb"
    real.parent.mkdir()
    grown.store.rename(real)
    grown.store.symlink_to(real)
    (grown.folder / "disk" / "executions.duckdb.key").write_text("")
    size_before = real.stat().st_size

    assert grown.run("compact").exit_code == 0

    assert grown.store.is_symlink()
    assert real.stat().st_size < size_before


def test_without_a_store_there_is_nothing_to_compact(bare: Stage) -> None:
    result = bare.run("compact")

    assert result.exit_code == 6
    assert "run: etl sync" in result.stderr
    assert [path.name for path in bare.folder.iterdir()] == ["etl.toml"]
