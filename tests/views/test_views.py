"""How the files in sql/ become views, and that sql/README.md describes them as they are."""

import re
from pathlib import Path

import duckdb
import pytest

from etl import sources, views
from etl.store import schema
from tests.views.conftest import build_case
from tests.views.history import make_history
from tests.views.store import open_store

NAMES = [view.name for view in views.list_views()]
README = (views.sql_dir() / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def empty() -> duckdb.DuckDBPyConnection:
    """A store that has its tables and no view yet."""
    connection = duckdb.connect()
    schema.ensure_schema(connection, sources.list_tables(), Path("in memory"))
    return connection


def list_stored(connection: duckdb.DuckDBPyConnection) -> set[str]:
    rows = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    return {name for (name,) in rows}


@pytest.mark.parametrize("view", views.list_views(), ids=NAMES)
def test_a_file_is_a_question_and_one_select(view: views.View) -> None:
    assert view.question.endswith("?")
    assert "\n" not in view.question
    assert ";" not in view.sql
    assert not re.search(r"\bCREATE\b", view.sql)
    assert len(duckdb.extract_statements(view.sql)) == 1
    assert duckdb.extract_statements(view.sql)[0].type == duckdb.StatementType.SELECT


def test_names_are_unique_and_every_file_is_numbered() -> None:
    files = sorted(path.name for path in views.sql_dir().iterdir())

    assert len(set(NAMES)) == len(NAMES)
    others = [name for name in files if not re.fullmatch(r"\d\d_[a-z0-9_]+\.sql", name)]
    assert others == ["README.md", "macros.sql"]


def test_a_store_gets_every_view_once(empty: duckdb.DuckDBPyConnection) -> None:
    assert views.create_views(empty)
    assert list_stored(empty) == set(NAMES)
    assert not views.create_views(empty)


def test_views_of_a_former_version_go_and_those_of_the_user_stay(
    empty: duckdb.DuckDBPyConnection,
) -> None:
    views.create_views(empty)
    empty.execute("CREATE VIEW former AS SELECT 1 AS x")
    empty.execute("CREATE VIEW mine AS SELECT count(*) AS executions FROM executions")
    empty.execute("UPDATE etl.meta SET value = value || ' former' WHERE name = 'views'")
    empty.execute("UPDATE etl.meta SET value = 'old' WHERE name = 'views_hash'")

    assert views.create_views(empty)

    assert list_stored(empty) == {*NAMES, "mine"}
    assert empty.execute("FROM mine").fetchall() == [(0,)]


def test_the_caller_may_take_the_views_back(empty: duckdb.DuckDBPyConnection) -> None:
    empty.execute("BEGIN")
    views.create_views(empty)
    empty.execute("ROLLBACK")

    assert list_stored(empty) == set()
    assert views.create_views(empty)


def read_entries() -> dict[str, tuple[str, list[str], list[str]]]:
    """What the README says of each view: its question, its grain, its columns."""
    entries = {}
    for section in README.split("\n### ")[1:]:
        name, _, text = section.partition("\n")
        question = text.strip().partition("\n")[0]
        grain = re.search(r"^- one row per (.*)$", text, re.MULTILINE)
        columns = re.search(r"^- columns: (.*)$", text, re.MULTILINE)
        assert grain is not None, name
        assert columns is not None, name
        entries[name] = (
            question,
            re.findall(r"`(\w+)`", grain[1]),
            re.findall(r"`(\w+)`", columns[1]),
        )
    return entries


def test_the_readme_lists_each_view_with_its_question_and_columns() -> None:
    store = open_store()
    described = {
        view.name: (
            view.question,
            [name for name, *_ in store.execute(f"DESCRIBE {view.name}").fetchall()],
        )
        for view in views.list_views()
    }

    listed = {name: (question, columns) for name, (question, _, columns) in read_entries().items()}

    assert listed == described


def test_the_grain_in_the_readme_tells_the_rows_apart() -> None:
    store = build_case(make_history(4)).store

    for name, (_, grain, _) in read_entries().items():
        key = ", ".join(grain) or "1"
        rows = store.execute(f"SELECT count(*), count(DISTINCT row({key})) FROM {name}").fetchall()
        assert rows[0][0] == rows[0][1], name
