"""sql/*.sql -> views: one numbered file is one SELECT is one view, in dependency order."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import duckdb

from etl.errors import StoreError


@dataclass(frozen=True, slots=True)
class View:
    """One view: its name, the question it answers, and the SELECT that answers it."""

    name: str
    question: str
    sql: str


def sql_dir() -> Path:
    """Where the views are: inside an installed package, else beside it in the checkout."""
    package = Path(__file__).parent
    installed = package / "sql"
    return installed if installed.is_dir() else package.parent / "sql"


def list_views() -> tuple[View, ...]:
    """Every view, each behind those it reads from."""
    return tuple(_read_view(path) for path in sorted(sql_dir().glob("[0-9]*.sql")))


def read_macros() -> str:
    """The statements that make the macros which the views call."""
    return (sql_dir() / "macros.sql").read_text(encoding="utf-8")


def _read_view(path: Path) -> View:
    sql = path.read_text(encoding="utf-8")
    comment = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        comment.append(line.removeprefix("--").strip())
    return View(path.stem.partition("_")[2], " ".join(comment), sql)


def create_views(connection: duckdb.DuckDBPyConnection) -> bool:
    """Bring the store's views up to date; whether there was anything to do.

    Views of a former version that are no more are dropped, those of the user stay. The
    transaction, if there is to be one, is the caller's.
    """
    views, macros = list_views(), read_macros()
    views_hash = _hash_views(views, macros)
    meta = _read_meta(connection)
    if meta.get("views_hash") == views_hash:
        return False
    names = [view.name for view in views]
    for name in (meta.get("views") or "").split():
        if name not in names:
            connection.execute(f'DROP VIEW IF EXISTS main."{name}"')
    connection.execute(macros)
    for view in views:
        connection.execute(f'CREATE OR REPLACE VIEW main."{view.name}" AS\n{view.sql}')
    connection.execute("DELETE FROM etl.meta WHERE name IN ('views_hash', 'views')")
    connection.execute(
        "INSERT INTO etl.meta VALUES ('views_hash', ?), ('views', ?)",
        [views_hash, " ".join(names)],
    )
    return True


def check_views(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Raises StoreError if the views of the store are not those of this version."""
    if _read_meta(connection).get("views_hash") != _hash_views(list_views(), read_macros()):
        raise StoreError(
            f"{path}: its views are those of another version of etl; the next etl sync renews them"
        )


def _read_meta(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """What the store knows of its views: their hash, and their names."""
    return dict(
        connection.execute(
            "SELECT name, value FROM etl.meta WHERE name IN ('views_hash', 'views')"
        ).fetchall()
    )


def _hash_views(views: tuple[View, ...], macros: str) -> str:
    text = "\0".join([macros, *(f"{view.name}\0{view.sql}" for view in views)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
