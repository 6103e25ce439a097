"""Opening the store: with patience, in a version others can read, and with errors that explain."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from etl.budget import Budget, BudgetEnded, start_budget
from etl.errors import StoreError
from etl.store.connect import (
    LOCK_GRACE_S,
    STOP_GRACE_S,
    explain,
    is_damage,
    open_reader,
    open_writer,
)
from tests.store.things import read

NEVER = start_budget(None)
HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reader")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def hold(path: Path, role: str) -> Iterator[int]:
    """Another process that has the store open; its id."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        try:
            yield process.pid
        finally:
            process.stdin.close()


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def make_store(path: Path, rows: int = 1_000) -> Path:
    with open_writer(path, NEVER) as connection:
        connection.execute(
            f"CREATE TABLE t AS SELECT range AS n, md5(range::VARCHAR) AS text FROM range({rows})"
        )
    return path


def fail_to_open(path: Path, budget: Budget = NEVER, wait_s: float = 0.0) -> str:
    """The one line both a writer and a reader end in; neither touches the file."""
    before = path.read_bytes()
    lines = []
    for opener in (open_writer, open_reader):
        with pytest.raises(StoreError) as raised, opener(path, budget, wait_s) as connection:
            connection.execute("SELECT count(*), max(text) FROM t").fetchall()
        assert raised.value.exit_code == 6
        lines.append(str(raised.value))
    assert lines[0] == lines[1]
    assert path.read_bytes() == before
    assert "\n" not in lines[0]
    assert lines[0].startswith(f"{path}: ")
    return lines[0].removeprefix(f"{path}: ")


def test_a_store_is_made_in_a_version_that_drivers_of_today_open(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "it's.duckdb"

    make_store(path)

    with duckdb.connect(str(path), read_only=True) as connection:
        [(tags,)] = connection.execute(
            "SELECT tags FROM duckdb_databases() WHERE path IS NOT NULL"
        ).fetchall()
    assert tags["storage_version"].startswith("v1.5.0")
    assert list_names(path.parent) == [path.name]


def test_a_store_keeps_its_version_when_it_is_written_again(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb")

    with open_writer(path, NEVER) as connection:
        connection.execute("INSERT INTO t VALUES (-1, 'x')")

    with open_reader(path) as connection:
        assert "v1.5.0" in str(read(connection, "SELECT tags FROM duckdb_databases()"))
        assert read(connection, "SELECT count(*) FROM t") == [(1_001,)]


def test_times_are_those_of_utc(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb")
    sql = "SELECT make_timestamptz(0)::VARCHAR"

    with open_writer(path, NEVER) as connection:
        assert read(connection, sql) == [("1970-01-01 00:00:00+00",)]
    with open_reader(path) as connection:
        assert read(connection, sql) == [("1970-01-01 00:00:00+00",)]


@pytest.mark.timeout(60)
def test_a_copy_that_fails_on_the_way_ends(tmp_path: Path) -> None:
    """Each time of many: DuckDB 2 by itself would wait for ever, after a few of them."""
    path = make_store(tmp_path / "s.duckdb")
    rows = "SELECT CASE WHEN range < 9000 THEN range ELSE error('no') END FROM range(9001)"
    copy = f"COPY ({rows}) TO '{tmp_path / 'rows'}' (FORMAT json)"

    with open_reader(path) as connection:
        for _ in range(100):
            with pytest.raises(duckdb.InvalidInputException, match="no"):
                connection.execute(copy)


def test_a_reader_that_opens_between_commits_succeeds(tmp_path: Path) -> None:
    """In another process, as a BI tool would, and it keeps seeing whole commits."""
    path = make_store(tmp_path / "s.duckdb", rows=0)
    count = "import sys, duckdb; print(duckdb.connect(sys.argv[1], read_only=True).sql("
    seen = []

    for number in range(3):
        with open_writer(path, NEVER) as connection:
            connection.execute("INSERT INTO t VALUES (?, 'x'), (?, 'y')", [number, number])
        done = subprocess.run(
            [sys.executable, "-c", f"{count}'FROM t').fetchall().__len__())", str(path)],
            capture_output=True,
            check=True,
        )
        seen.append(int(done.stdout))

    assert seen == [2, 4, 6]


def test_readers_do_not_lock_each_other_out(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb")

    with hold(path, "reader"), open_reader(path, wait_s=0.0) as connection:
        assert read(connection, "SELECT count(*) FROM t") == [(1_000,)]


def test_a_reader_writes_nothing(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb")

    with (
        pytest.raises(duckdb.InvalidInputException, match="read-only"),
        open_reader(path) as connection,
    ):
        connection.execute("DROP TABLE t")


class CountingBudget(Budget):
    """A budget that does not sleep; `end` is called after some pauses."""

    __slots__ = ("paused",)
    paused: list[float]

    def __init__(self, deadline_s: float | None = None) -> None:
        super().__init__(deadline_s)
        object.__setattr__(self, "paused", [])

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)


def test_a_locked_store_is_waited_for_and_its_holder_is_named(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb")
    budget = CountingBudget()

    with hold(path, "writer") as process_id:
        line = fail_to_open(path, budget, wait_s=0.5)

    assert line.startswith(f"the store is locked by process {process_id} (")
    assert "python" in line
    assert sum(budget.paused) == pytest.approx(2 * 0.5, abs=0.11)


@pytest.mark.parametrize(
    ("is_stopped", "grace_s", "error"),
    [(False, LOCK_GRACE_S, StoreError), (True, STOP_GRACE_S, BudgetEnded)],
)
def test_a_commit_waits_a_moment_for_a_reader_when_the_runs_time_is_over(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_stopped: bool,
    grace_s: float,
    error: type[Exception],
) -> None:
    """Else every short look at the store could cost the last batch of a run."""
    monkeypatch.setattr("etl.store.connect.LOCK_RETRY_S", 0.5)
    path = make_store(tmp_path / "s.duckdb")
    budget = CountingBudget(deadline_s=0.0)
    if is_stopped:
        budget.stop.set()

    with (
        hold(path, "reader"),
        pytest.raises(error, match="locked"),
        open_writer(path, budget),
    ):
        pass

    assert sum(budget.paused) == grace_s


def test_a_lock_that_is_given_up_in_time_is_no_error(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb")
    with hold(path, "writer") as process_id:

        class Releasing(CountingBudget):
            def pause(self, seconds: float) -> None:
                os.kill(process_id, 9)
                super().pause(seconds)

        with open_writer(path, Releasing(), wait_s=60.0) as connection:
            assert read(connection, "SELECT count(*) FROM t") == [(1_000,)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hi",
        b"just some text " * 1_000,
        b"SQLite format 3\x00" + bytes(8_192),
        b"PAR1" + bytes(100) + b"PAR1",
    ],
)
def test_what_is_not_a_duckdb_file_is_left_untouched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.duckdb"
    path.write_bytes(content)

    assert fail_to_open(path) == "this is not a DuckDB file; it was left untouched"
    assert list_names(tmp_path) == ["s.duckdb"]


def flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        content = file.read(4)
        file.seek(place)
        file.write(bytes(byte ^ 0xFF for byte in content))


@pytest.mark.parametrize(
    "places", [[20], [4_096 + 16], [12_288 + 20], range(274_432, 4**12, 4_096)]
)
def test_flipped_bytes_are_reported_as_damage(tmp_path: Path, places: Sequence[int]) -> None:
    """In the header, in a database header, in the catalog, in the data."""
    path = make_store(tmp_path / "s.duckdb", rows=50_000)
    for place in places:
        if place < path.stat().st_size:
            flip(path, place)

    line = fail_to_open(path)

    assert line.startswith("the store is damaged (")
    assert line.endswith("); restore it from a copy")


def test_a_path_may_be_called_as_damage_is() -> None:
    error = duckdb.IOException('IO Error: Cannot open file "/checksums/corrupt/x": No such file')

    assert not is_damage(error)


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_a_file_cut_short_is_reported_as_damage(tmp_path: Path, share: float) -> None:
    path = make_store(tmp_path / "s.duckdb", rows=50_000)
    os.truncate(path, int(path.stat().st_size * share))

    assert fail_to_open(path).startswith("the store is damaged (")


def test_a_file_of_a_newer_duckdb_says_what_to_upgrade(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb")
    for place in range(16, 32, 4):
        flip(path, place)

    assert fail_to_open(path).startswith("written by a newer DuckDB than this one (")


def test_there_is_nothing_to_read_before_the_first_sync(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"

    with pytest.raises(StoreError, match="there is no store yet; run: etl sync"), open_reader(path):
        pass

    assert list_names(tmp_path) == []


def test_a_folder_is_not_a_store(tmp_path: Path) -> None:
    for opener in (open_writer, open_reader):
        with pytest.raises(StoreError, match="Is a directory"), opener(tmp_path, NEVER):
            pass


def test_a_path_through_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "s.duckdb"

    with pytest.raises(StoreError, match="Not a directory"), open_writer(path, NEVER):
        pass


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without the rights of root, who may write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that everybody can reach."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
        path.chmod(0o755)


def test_a_folder_that_cannot_be_written_is_explained(public_folder: Path) -> None:
    public_folder.chmod(0o555)
    path = public_folder / "s.duckdb"

    with (
        as_nobody(),
        pytest.raises(StoreError, match="Permission denied") as raised,
        open_writer(path, NEVER),
    ):
        pass

    assert "\n" not in str(raised.value)


def test_a_store_that_cannot_be_written_can_be_read(public_folder: Path) -> None:
    path = make_store(public_folder / "s.duckdb")
    path.chmod(0o444)
    public_folder.chmod(0o555)
    before = path.read_bytes()

    with as_nobody():
        with pytest.raises(StoreError, match=r"(?i)permission denied"), open_writer(path, NEVER):
            pass
        with open_reader(path) as connection:
            rows = read(connection, "SELECT count(*) FROM t")

    assert rows == [(1_000,)]
    assert path.read_bytes() == before


def test_a_half_made_store_is_made_again(tmp_path: Path) -> None:
    """Whoever was killed while making it left only a file of another name."""
    path = tmp_path / "s.duckdb"
    (tmp_path / "s.duckdb.new").write_bytes(b"\0" * 5_000)
    (tmp_path / "s.duckdb.wal").write_bytes(b"of a store that was deleted")

    make_store(path)

    assert list_names(tmp_path) == ["s.duckdb"]


def test_a_full_disk_is_no_bug_and_the_store_stays_as_it_was(tmp_path: Path) -> None:
    """The limit of a file's size stands in for the disk: the write fails in the same place."""
    import resource

    path = make_store(tmp_path / "s.duckdb")
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, unlimited[1]))
    try:
        with pytest.raises(StoreError) as raised, open_writer(path, NEVER) as connection:
            connection.execute(
                "BEGIN; INSERT INTO t SELECT range, repeat(md5(range::VARCHAR), 9) "
                "FROM range(20_000); COMMIT"
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

    assert "\n" not in str(raised.value)
    with open_reader(path) as connection:
        assert read(connection, "SELECT count(*) FROM t") == [(1_000,)]


def test_errors_in_several_versions_of_words(tmp_path: Path) -> None:
    """As DuckDB 1.5 and 2.0 report them."""
    path = Path("s.duckdb")

    assert explain(
        path, duckdb.TransactionException("Failed to commit: Could not write: No space left on x")
    ) == ("s.duckdb: the disk is full; what was committed is kept, make room and run again")
    assert "restore it from a copy" in (
        explain(path, duckdb.Error("Corrupt database file: computed checksum 1")) or ""
    )
    assert explain(path, duckdb.IOException("IO Error: odd\nmore")) == "s.duckdb: IO Error: odd"
    assert explain(path, duckdb.BinderException("no such column")) is None
    assert explain(path, duckdb.TransactionException("cannot start")) is None


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"

    with pytest.raises(duckdb.CatalogException), open_writer(path, NEVER) as connection:
        connection.execute("FROM no_such_table")
    with pytest.raises(BrokenPipeError), open_writer(path, NEVER):
        raise BrokenPipeError


def test_an_error_closes_the_store(tmp_path: Path) -> None:
    path = make_store(tmp_path / "s.duckdb")

    with pytest.raises(ZeroDivisionError), open_writer(path, NEVER):
        raise ZeroDivisionError

    with open_writer(path, NEVER, wait_s=0.0) as connection:
        assert read(connection, "SELECT count(*) FROM t") == [(1_000,)]
