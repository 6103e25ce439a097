"""What goes wrong around a store that runs for years: each is one line, and nothing is lost."""

import contextlib
import hashlib
import importlib
import os
import pkgutil
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import duckdb
import httpx
import pytest
from click.testing import Result

import etl
from tests.cli.stage import NOW, RizaApi, Stage, make_record
from tests.cli.test_publish import COUNT, ask
from tests.store.test_connect import as_nobody, flip

Damage = Callable[[Path], None]
SMALL_BYTES = 400_000
"""Less than a store has; the kernel lets no file grow beyond it, as on a disk that is full."""


@pytest.fixture
def synced(stage: Stage) -> Stage:
    assert stage.run("sync").exit_code == 0
    return stage


def hash_files(folder: Path) -> dict[str, str]:
    """What each file of a folder holds, but for the lock, which is empty."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL_BYTES, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


READING = ("status", "query FROM\tetl.runs", "export files", "check")
WRITING = ("sync", "sync --full", "compact", "prune --payloads-older-than 0d --yes")
COPYING = ("publish copy.duckdb",)


def run_line(stage: Stage, line: str) -> Result:
    return stage.run(*(word.replace("\t", " ") for word in line.split(" ")))


def damage_header(store: Path) -> None:
    flip(store, 20)


def damage_blocks(store: Path) -> None:
    for place in range(3 * 4_096 + 20, store.stat().st_size, 4_096):
        flip(store, place)


def damage_log(store: Path) -> None:
    """The log that a killed commit has left."""
    log = store.with_name(store.name + ".wal")
    copy = store.with_name("copy-of-a-store")
    connection = duckdb.connect(str(store))
    connection.execute("SET checkpoint_threshold = '1GB'")
    connection.execute(
        "INSERT INTO etl.quarantine (source) SELECT md5(range::VARCHAR) FROM range(99)"
    )
    shutil.copy(log, copy)
    connection.execute("DELETE FROM etl.quarantine")
    connection.close()
    copy.rename(log)
    flip(log, log.stat().st_size // 2)


@pytest.mark.parametrize("damage", [damage_header, damage_blocks, damage_log])
def test_a_damaged_store_is_one_line_and_stays_as_it_is(synced: Stage, damage: Damage) -> None:
    damage(synced.store)
    before = hash_files(synced.folder)

    for line in (*READING, *WRITING, *COPYING):
        result = run_line(synced, line)

        said = result.stderr
        assert (line, result.exit_code, said.count("\n")) == (line, 6, 1)
        assert f"{synced.store}: the store is damaged (" in said, line
        assert said.endswith("); restore it from a copy\n"), line
        assert hash_files(synced.folder) == before, line


@pytest.mark.parametrize(
    "words", [("export", "out"), ("query", "FROM riza.executions"), ("publish", "copy.duckdb")]
)
def test_damage_that_is_met_later_is_one_of_the_store(synced: Stage, words: Sequence[str]) -> None:
    """Not of the target, and not a mistake in the SQL."""
    damage_rows(synced.store)

    result = synced.run(*words)

    assert result.exit_code == 6
    assert result.stderr.startswith(f"etl: error: {synced.store}: the store is damaged (")
    assert ".tmp" not in result.stderr


def damage_rows(store: Path) -> None:
    """Every block with values of executions, and no other: the store opens as ever."""
    with duckdb.connect(str(store), read_only=True) as connection:
        blocks = connection.execute(
            "SELECT DISTINCT block_id FROM pragma_storage_info('riza.executions') "
            "WHERE persistent AND block_id >= 0"
        ).fetchall()
    assert blocks
    for (block,) in blocks:
        flip(store, 3 * 4_096 + block * 262_144 + 100)


@pytest.fixture
def readable(synced: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A store that everybody may read and nobody write, in a folder of that kind."""
    # Whoever is nobody may not be able to read this Python.
    for module in pkgutil.walk_packages(etl.__path__, "etl."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert run_line(synced, READING[1]).exit_code == 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in synced.folder.iterdir():
            shutil.copy(path, folder)
            (folder / path.name).chmod(0o444)
        folder.chmod(0o555)
        monkeypatch.chdir(folder)
        with as_nobody():
            yield synced.but(folder=folder)
        monkeypatch.undo()
        folder.chmod(0o755)


def test_a_store_that_may_not_be_written_is_one_line(readable: Stage) -> None:
    before = readable.store.read_bytes()

    for line in (*WRITING, *COPYING):
        result = run_line(readable, line)

        assert (line, result.exit_code, result.stderr.count("\n")) == (line, 6, 1)
        assert "ermission denied" in result.stderr, line
    assert readable.store.read_bytes() == before


def test_a_store_that_may_not_be_written_can_be_read(readable: Stage) -> None:
    results = [
        readable.run("status"),
        readable.run("query", "SELECT count(*) AS n FROM executions"),
    ]

    assert [result.exit_code for result in results] == [0, 0]
    assert results[1].stdout == "n\n3\n"


def test_a_full_disk_leaves_the_published_copy_and_no_half_of_a_new_one(synced: Stage) -> None:
    assert synced.run("publish", "copy.duckdb").exit_code == 0
    more = synced.but(handler=RizaApi([make_record(number) for number in range(1, 6)]))
    assert more.run("sync").exit_code == 0
    before = hash_files(synced.folder)

    with full_disk():
        results = [synced.run("publish", "copy.duckdb"), synced.run("publish", "other.duckdb")]

    for result in results:
        assert result.exit_code == 6
        assert result.stderr.count("\n") == 1
    assert hash_files(synced.folder) == before
    assert ask(synced.folder / "copy.duckdb", COUNT) == [(3,)]
    assert synced.run("publish", "copy.duckdb").exit_code == 0
    assert ask(synced.folder / "copy.duckdb", COUNT) == [(5,)]


def test_a_full_disk_leaves_a_store_that_was_to_be_compacted(synced: Stage) -> None:
    before = hash_files(synced.folder)

    with full_disk():
        result = synced.run("compact")

    assert (result.exit_code, result.stderr.count("\n")) == (6, 1)
    assert hash_files(synced.folder) == before


@pytest.mark.parametrize("line", ["sync --full", "prune --payloads-older-than 0d --yes"])
def test_a_full_disk_is_one_line_and_the_next_run_goes_on(synced: Stage, line: str) -> None:
    records = [make_record(number) for number in range(1, 60)]
    more = synced.but(handler=RizaApi(records))

    with full_disk():
        result = run_line(more, line)

    assert (result.exit_code, result.stderr.count("\n")) == (6, 1)
    assert more.run("sync", "--full").exit_code == 0
    assert more.list_ids() == [record["id"] for record in records]


def test_a_full_disk_leaves_the_exported_files_and_the_next_export_goes_on(synced: Stage) -> None:
    table = "etl.filler"
    with duckdb.connect(str(synced.store)) as connection:
        connection.execute(
            f"CREATE TABLE {table} AS SELECT range AS n, md5(range::VARCHAR) AS text "
            "FROM range(30_000)"
        )
    words = ("export", "files", "--table", "executions", "--table", table)

    with full_disk():
        result = synced.run(*words)
    left = [path for path in (synced.folder / "files").rglob("*") if path.is_file()]

    assert (result.exit_code, result.stderr.count("\n")) == (6, 1)
    assert [path for path in left if path.suffix not in (".parquet", ".json")] == []
    assert [path for path in left if table in str(path)] == []
    assert synced.run(*words).exit_code == 0
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT count(*) FROM 'files/{table}/*.parquet'").fetchall()
    assert found == [(30_000,)]


@pytest.mark.parametrize("hours", [1, 24, 24 * 365])
def test_a_clock_that_is_set_back_loses_nothing(synced: Stage, hours: int) -> None:
    """Ours; that of the server goes on."""
    early, later = NOW - timedelta(hours=hours), NOW + timedelta(minutes=2)
    just_now = (NOW + timedelta(minutes=1)).isoformat()
    records = [make_record(1), make_record(2), make_record(3), make_record(4, started_at=just_now)]
    api = RizaApi(records, date=later)

    during = synced.but(now=early, handler=api).run("sync")
    status = synced.but(now=early).run("status", "--max-lag", "10m")
    after = synced.but(now=later, handler=api).run("sync")

    assert during.exit_code == 0
    assert during.stderr.startswith("etl: warning: interpreter: the clock here is ")
    assert during.stderr.count("\n") == 1
    assert (status.exit_code, after.exit_code, after.stderr) == (0, 0, "")
    assert synced.list_ids() == ["exec0001", "exec0002", "exec0003", "exec0004"]
    assert synced.run("check").exit_code == 0


@pytest.mark.parametrize(
    ("wait_s", "words", "exit_code", "said"),
    [
        # Beyond what a request may cost: no run could wait for it.
        (3_600, ("sync",), 4, "gave up after retries"),
        (3_600, ("sync", "--max-seconds", "600"), 4, "gave up after retries"),
        (3_600, ("sync", "--max-seconds", "10"), 4, "gave up after retries"),
        # Within that, but beyond the time of this run: the next one goes on.
        (200, ("sync", "--max-seconds", "100"), 0, ""),
    ],
)
def test_a_wait_beyond_a_budget_ends_the_run_in_order_and_keeps_what_came(
    stage: Stage, wait_s: int, words: tuple[str, ...], exit_code: int, said: str
) -> None:
    stage.configure(stage.folder.joinpath("etl.toml").read_text() + "page_size = 2\n")
    api = RizaApi([make_record(number) for number in (1, 2, 3)])

    def answer(request: httpx.Request) -> httpx.Response:
        if not api.requests:
            return api(request)
        return httpx.Response(429, headers={"Retry-After": str(wait_s)})

    result = stage.but(handler=answer).run(*words)

    assert result.exit_code == exit_code
    assert said in result.stderr
    assert result.stderr.count("\n") == bool(said)
    assert stage.list_ids() == ["exec0002", "exec0003"]
    state = stage.query("SELECT state, exit_code FROM etl.runs")
    assert state == [("failed", 4) if exit_code else ("stopped", 0)]
    assert stage.run("sync").exit_code == 0
    assert stage.list_ids() == ["exec0001", "exec0002", "exec0003"]


def test_no_test_leaves_a_limit_behind() -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert os.geteuid() == os.getuid()
