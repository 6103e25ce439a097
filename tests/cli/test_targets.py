"""Files that are written where they were asked for, and never over what must be kept."""

from pathlib import Path

import duckdb
import pytest

from tests.cli.stage import CONFIG, Stage

WRITERS = {
    "report": ("report",),
    "query": ("query", "SELECT 1 AS n", "--format", "csv", "-o"),
    "publish": ("publish",),
}
OWN = {
    "executions.duckdb": "this is the store itself",
    "executions.duckdb.key": "this is the key of the store's fingerprints",
    "executions.duckdb.lock": "this is the lock of the store's syncs",
    "executions.duckdb.wal": "this is the log of the store",
    "etl.toml": "this is the configuration",
}


@pytest.fixture
def published(stage: Stage) -> Stage:
    """A store with everything beside it: a key, a lock, a log, a copy."""
    stage.configure('[store]\npublish = "copy.duckdb"\n' + CONFIG)
    assert stage.run("sync").exit_code == 0
    stage.store.with_name("executions.duckdb.wal").touch()
    return stage


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("name", OWN)
def test_nothing_is_written_over_what_belongs_to_the_store(
    published: Stage, writer: str, name: str
) -> None:
    folder = published.folder
    (folder / "link").symlink_to(name)
    (folder / "sub").mkdir()
    before = read_files(folder)

    for spelled in (name, str(folder / name), f"sub/../{name}", "link"):
        result = published.run(*WRITERS[writer], spelled)

        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{OWN[name]}; name another file\n" in result.stderr
    assert read_files(folder) == before
    assert (folder / "link").is_symlink()


@pytest.mark.parametrize("writer", ["report", "query"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("copy.duckdb", "this belongs to the published copy"),
        ("copy.duckdb.lock", "this belongs to the published copy"),
        ("warehouse.html", "this is a DuckDB database"),
    ],
)
def test_a_page_or_rows_never_replace_a_database(
    published: Stage, writer: str, name: str, said: str
) -> None:
    duckdb.connect(str(published.folder / "warehouse.html")).close()
    before = read_files(published.folder)

    result = published.run(*WRITERS[writer], name)

    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert read_files(published.folder) == before


@pytest.mark.parametrize("suffix", [".wal", ".key", ".lock"])
def test_a_sync_does_not_publish_over_what_belongs_to_the_store(stage: Stage, suffix: str) -> None:
    stage.configure(f'[store]\npublish = "executions.duckdb{suffix}"\n' + CONFIG)

    result = stage.run("sync")

    assert result.exit_code == 2
    assert "name another file" in result.stderr
    assert len(stage.list_ids()) == 3


@pytest.mark.parametrize("writer", WRITERS)
def test_a_name_that_no_file_can_have_is_one_line(stage: Stage, writer: str) -> None:
    before = read_files(stage.folder)

    result = stage.run(*WRITERS[writer], "x" * 300)

    assert result.exit_code in (2, 6)
    assert "File name too long" in result.stderr
    assert result.stderr.count("\n") == 1
    assert read_files(stage.folder) == before


def test_what_was_written_before_is_replaced(published: Stage) -> None:
    for name, words in {"r.html": WRITERS["report"], "r.csv": WRITERS["query"]}.items():
        (published.folder / name).write_text("old")

        assert published.run(*words, name).exit_code == 0
        assert (published.folder / name).read_text() != "old"


@pytest.mark.parametrize("name", ["notes.txt", "warehouse.duckdb"])
def test_a_file_that_is_no_copy_is_refused_without_a_trace(stage: Stage, name: str) -> None:
    (stage.folder / "notes.txt").write_text("precious")
    duckdb.connect(str(stage.folder / "warehouse.duckdb")).close()
    before = read_files(stage.folder)

    assert stage.run("publish", name).exit_code != 0

    assert read_files(stage.folder) == before
