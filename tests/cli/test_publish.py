"""The published copy: complete, current, replaced at once, and in nobody's way."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from etl import publish as publishing
from etl.budget import BudgetEnded, start_budget
from etl.publish import publish
from etl.store import copy
from etl.store.connect import open_writer
from etl.views import list_views
from tests.cli.stage import NOW, RizaApi, Stage, make_record
from tests.store.test_connect import hold

NEVER = start_budget(None)
COUNT = "SELECT count(*) FROM executions"
READER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
print("open", flush=True)
for line in sys.stdin:
    print(connection.execute(line).fetchall()[0][0], flush=True)
"""


@pytest.fixture
def synced(stage: Stage) -> Stage:
    assert stage.run("sync").exit_code == 0
    return stage


def publish_to(stage: Stage, name: str = "copy.duckdb") -> Path:
    result = stage.run("publish", name)
    assert (result.exit_code, result.output) == (0, "")
    return stage.folder / name


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """In another process: within one, DuckDB would show a file that was replaced."""
    code = "import sys, duckdb; print(duckdb.connect(sys.argv[1], read_only=True)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}.execute(sys.argv[2]).fetchall())", str(path), sql],
        capture_output=True,
        text=True,
        check=True,
    )
    rows: list[tuple[Any, ...]] = eval(done.stdout)
    return rows


def sync_more(stage: Stage, *numbers: int, later: timedelta = timedelta(minutes=5)) -> Stage:
    """The API has more records, and the clock has gone on."""
    assert isinstance(stage.handler, RizaApi)
    now = stage.now + later
    just_now = (now - timedelta(minutes=1)).isoformat()
    more_records = [make_record(number, started_at=just_now) for number in numbers]
    records = [*stage.handler.records, *more_records]
    more = stage.but(handler=RizaApi(records, date=now), now=now)
    result = more.run("sync")
    assert (result.exit_code, result.output) == (0, "")
    return more


def list_temporaries(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_the_copy_answers_like_the_store(synced: Stage) -> None:
    """Every view of it works, in a storage version that drivers of today open."""
    path = publish_to(synced)

    assert ask(path, "SELECT id, source FROM riza.executions ORDER BY id") == [
        (f"exec000{number}", "interpreter") for number in (1, 2, 3)
    ]
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for view in list_views():
            connection.execute(f'SELECT count(*) FROM "{view.name}"').fetchall()
        [(tags,)] = connection.execute(
            "SELECT tags FROM duckdb_databases() WHERE path IS NOT NULL"
        ).fetchall()
    assert tags["storage_version"].startswith("v1.5.0")
    assert list_temporaries(synced.folder) == []


def test_what_the_user_made_in_the_store_is_in_the_copy(synced: Stage) -> None:
    with open_writer(synced.store, NEVER) as connection:
        connection.execute("CREATE SCHEMA team")
        connection.execute("CREATE TABLE team.owners AS SELECT 'me' AS name")
        connection.execute("CREATE VIEW owned AS SELECT * FROM executions, team.owners")

    path = publish_to(synced)

    assert ask(path, "SELECT count(*), min(name_1) FROM owned AS t") == [(3, "me")]


def test_many_rows_are_copied_in_chunks_and_none_is_lost(synced: Stage) -> None:
    """Deleted rows leave holes in the numbers by which the chunks are cut."""
    rows = 3 * copy.CHUNK_ROWS + 7
    with open_writer(synced.store, NEVER) as connection:
        connection.execute(
            f"CREATE TABLE numbers AS SELECT range AS n, md5(n::VARCHAR) AS t FROM range({rows})"
        )
        connection.execute("DELETE FROM numbers WHERE n % 5 = 0 OR n BETWEEN 20_000 AND 50_000")
        expected = connection.execute("SELECT count(*), sum(n), min(t) FROM numbers").fetchall()

    path = publish_to(synced)

    assert ask(path, "SELECT count(*), sum(n)::BIGINT, min(t) FROM numbers") == expected


def test_it_is_not_written_again_when_nothing_has_changed(synced: Stage) -> None:
    path = publish_to(synced)
    before = path.stat()

    publish_to(synced)
    quiet = sync_more(synced)
    result = quiet.run("-v", "publish", path.name)

    assert "nothing has changed" in result.stderr
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_new_rows_are_published(synced: Stage) -> None:
    path = publish_to(synced)

    publish_to(sync_more(synced, 4, 5))

    assert ask(path, COUNT) == [(5,)]


def test_a_view_that_changed_is_published(synced: Stage) -> None:
    path = publish_to(synced)
    with open_writer(synced.store, NEVER) as connection:
        connection.execute("CREATE VIEW mine AS SELECT 1 AS one")

    publish_to(synced)

    assert ask(path, "FROM mine") == [(1,)]


def test_how_far_the_store_is_known_is_never_an_hour_out_of_date_in_the_copy(
    synced: Stage,
) -> None:
    """Where nothing happens on the platform, the copy must not look as if the sync had died."""
    path = publish_to(synced)
    until = "SELECT epoch_us(max(until)) // 60_000_000 FROM etl.coverage"
    [(known,)] = ask(path, until)

    publish_to(sync_more(synced, later=timedelta(minutes=59)))
    assert ask(path, until) == [(known,)]
    publish_to(sync_more(synced, later=timedelta(minutes=60)))
    assert ask(path, until) == [(known + 60,)]


@contextmanager
def reading(path: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.stdin.close()


def test_who_has_the_old_copy_open_keeps_it(synced: Stage) -> None:
    path = publish_to(synced)

    with reading(path) as dashboard:
        assert dashboard.stdin
        assert dashboard.stdout
        publish_to(sync_more(synced, 4, 5))
        dashboard.stdin.write(f"{COUNT}\n")
        dashboard.stdin.flush()

        assert dashboard.stdout.readline() == "3\n"
    assert ask(path, COUNT) == [(5,)]


def test_a_dashboard_that_holds_the_copy_for_writing_does_not_block_it(synced: Stage) -> None:
    """Some tools open a file for writing although they only read."""
    path = publish_to(synced)

    with hold(path, "writer"):
        publish_to(sync_more(synced, 4))

    assert ask(path, COUNT) == [(4,)]


def test_what_a_dashboard_wrote_behind_the_old_copy_does_not_reach_the_new_one(
    synced: Stage,
) -> None:
    path = publish_to(synced)
    script = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); "
        "c.execute('CREATE TABLE notes AS SELECT 1 AS n'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert path.with_name(path.name + ".wal").exists()

    publish_to(sync_more(synced, 4))

    assert ask(
        path, f"SELECT ({COUNT}), (SELECT count(*) FROM duckdb_tables() WHERE table_name = 'notes')"
    ) == [(4, 0)]
    assert not path.with_name(path.name + ".wal").exists()


def test_a_copy_that_was_damaged_is_replaced(synced: Stage) -> None:
    path = publish_to(synced)
    path.write_bytes(path.read_bytes()[:5_000] + bytes(100_000))

    publish_to(synced)

    assert ask(path, COUNT) == [(3,)]


def test_the_store_itself_is_no_place_for_its_copy(synced: Stage) -> None:
    (synced.folder / "link.duckdb").symlink_to(synced.store)
    before = synced.store.read_bytes()

    for name in (synced.store.name, "link.duckdb"):
        result = synced.run("publish", name)
        assert result.exit_code == 2
        assert "the store itself" in result.stderr
    assert synced.store.read_bytes() == before


def test_a_file_that_is_something_else_is_left_alone(synced: Stage) -> None:
    other = synced.folder / "warehouse.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE precious AS SELECT 42 AS n")
    text = synced.folder / "notes.txt"
    text.write_text("precious, too")

    refused = synced.run("publish", other.name)
    refused_again = synced.run("publish", other.name)
    refused_text = [synced.run("publish", text.name) for _ in range(2)]

    assert refused.exit_code == refused_again.exit_code == 2
    assert "not a published copy" in refused.stderr
    assert [result.exit_code for result in refused_text] == [6, 6]
    assert ask(other, "FROM precious") == [(42,)]
    assert text.read_text() == "precious, too"


def test_a_locked_file_that_was_never_published_is_left_alone(synced: Stage) -> None:
    other = synced.folder / "warehouse.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE precious AS SELECT 42 AS n")

    with hold(other, "writer") as process_id:
        results = [synced.run("publish", other.name) for _ in range(2)]

    for result in results:
        assert result.exit_code == 6
        assert f"process {process_id}" in result.stderr or str(process_id) in result.stderr
    assert ask(other, "FROM precious") == [(42,)]


def test_what_a_killed_process_left_is_removed_and_nothing_else(synced: Stage) -> None:
    ours = [".copy.duckdb.12ab34cd.tmp", ".copy.duckdb.12ab34cd.tmp.wal"]
    others = [".other.duckdb.12ab34cd.tmp", "copy.duckdb.tmp", ".copy.duckdb.bak"]
    for name in (*ours, *others):
        (synced.folder / name).write_bytes(b"x")
    (synced.folder / ".copy.duckdb.12ab34cd.spill.tmp").mkdir()

    publish_to(synced)

    left = {path.name for path in synced.folder.iterdir()}
    assert left.issuperset(others)
    assert sorted(list_temporaries(synced.folder)) == sorted(n for n in others if n[0] == ".")


def test_a_link_stays_a_link_and_the_file_keeps_its_permissions(synced: Stage) -> None:
    real = synced.folder / "disk" / "real.duckdb"
    real.parent.mkdir()
    (synced.folder / "copy.duckdb").symlink_to(real)
    publish_to(synced)
    real.chmod(0o640)

    publish_to(sync_more(synced, 4))

    assert (synced.folder / "copy.duckdb").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert ask(real, COUNT) == [(4,)]


def test_a_request_to_stop_leaves_the_old_copy(synced: Stage) -> None:
    path = publish_to(synced)
    more = sync_more(synced, 4)
    budget = start_budget(None)
    budget.stop.set()

    for is_alone in (True, False):
        with pytest.raises(BudgetEnded):
            publish(more.store, path, budget, is_alone)

    assert ask(path, COUNT) == [(3,)]
    assert list_temporaries(synced.folder) == []


def test_a_sync_can_write_while_a_copy_is_being_made(
    synced: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when that takes longer than it would wait: the rows come from a snapshot."""
    seen = []

    def write_meanwhile(source: Path, target: Path, *rest: Any) -> int:
        with open_writer(synced.store, NEVER, wait_s=0.0) as connection:
            connection.execute("DELETE FROM riza.executions WHERE id = 'exec0001'")
        seen.append(source.name)
        return copy.replace_with_copy(source, target, *rest)

    monkeypatch.setattr(publishing, "replace_with_copy", write_meanwhile)

    path = publish_to(synced)

    assert ask(path, COUNT) == [(3,)]
    assert seen != [synced.store.name]
    assert synced.query(COUNT) == [(2,)]
    assert list_temporaries(synced.folder) == []


def test_rows_that_a_killed_sync_left_in_the_log_are_published(synced: Stage) -> None:
    script = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); "
        "c.execute(\"INSERT INTO riza.executions (id, source) VALUES ('late', 'interpreter')\"); "
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(synced.store)], check=False)
    assert synced.store.with_name(synced.store.name + ".wal").exists()

    path = publish_to(synced)

    assert ask(path, COUNT) == [(4,)]


def test_two_at_once_are_one_too_many(synced: Stage) -> None:
    with publishing.hold_target(synced.folder / "copy.duckdb"):
        result = synced.run("publish", "copy.duckdb")

    assert result.exit_code == 6
    assert "another process is publishing to it" in result.stderr


def test_a_place_that_cannot_be_written_is_one_line(synced: Stage) -> None:
    (synced.folder / "file").write_text("")

    result = synced.run("publish", "file/copy.duckdb")

    assert result.exit_code == 6
    assert result.stderr.startswith("etl: error: ")
    assert result.stderr.count("\n") == 1


def test_without_a_store_or_a_name_there_is_nothing_to_publish(bare: Stage) -> None:
    nameless = bare.run("publish")
    too_early = bare.run("publish", "copy.duckdb")

    assert (nameless.exit_code, too_early.exit_code) == (2, 6)
    assert "set publish in [store]" in nameless.stderr
    assert "run: etl sync" in too_early.stderr
    assert sorted(path.name for path in bare.folder.iterdir()) == ["etl.toml"]


def test_verbose_says_what_was_written(synced: Stage) -> None:
    result = synced.run("-v", "publish", "copy.duckdb")

    assert result.stderr.startswith("copy.duckdb: published, ")
    assert result.stderr.endswith(" MB\n")
    assert synced.now == NOW
