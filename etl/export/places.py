"""Where exported files stand: a folder, or an object store by way of DuckDB's own support."""

import contextlib
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb

from etl.errors import StoreError
from etl.store.connect import explain, first_line, is_damage

MANIFEST = "_manifest.json"
"""Readers of partitioned files pass over names that begin with an underscore or a dot."""
ROWS = re.compile(r"(.*/)?(rows\.(parquet|csv|jsonl)|\.rows\.\w+\.new)")
"""Files of an export. Whatever else stands in its folder is somebody else's."""
URL = re.compile(r"[a-z][a-z0-9+.-]+://")
NOT_FOUND = ("404", "BlobNotFound", "No such file", "does not exist")
REFUSALS = (duckdb.IOException, duckdb.InvalidInputException, duckdb.PermissionException)
"""What an object store's refusals become."""
MISSING_EXTENSION = re.compile(r"required extension '(\w+)|requires the extension (\w+)")
"""Of DuckDB 1 and 2; both raise it as a bare `Error`."""


class Place(Protocol):
    """What an export does with files. Names are relative, with slashes."""

    def read_manifest(self) -> bytes | None:
        """What the last export left; None if there was none."""

    def list_files(self) -> set[str]:
        """The files that hold rows, and what a killed export left of one."""

    def write(self, name: str, select: str, options: str) -> None:
        """The rows of a query as a file, whole or not at all."""

    def remove(self, name: str, empty_select: str, options: str) -> bool:
        """Take the rows of a file away; whether the file itself stays, empty."""

    def write_manifest(self, content: bytes) -> None:
        """The manifest, whole or not at all."""


def open_place(connection: duckdb.DuckDBPyConnection, target: str, name: str) -> Place:
    """The place of one table or view below a folder or an URL."""
    if URL.match(target):
        return Bucket(connection, f"{target.rstrip('/')}/{name}")
    return Folder(connection, Path(target) / name)


@contextlib.contextmanager
def explain_place(target: str) -> Iterator[None]:
    """Turn what only the user can mend into a StoreError of one line.

    That the store is damaged, whoever opened it will say.
    """
    try:
        yield
    except duckdb.Error as error:
        said = None if is_damage(error) else _explain(target, error)
        if said is None:
            raise
        raise StoreError(said) from error
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror}") from error


def _explain(target: str, error: duckdb.Error) -> str | None:
    if not URL.match(target):
        return explain(Path(target), error)
    missing = MISSING_EXTENSION.search(first_line(error))
    if missing is not None:
        extension = missing[1] or missing[2]
        return (
            f"{target}: DuckDB's extension {extension} is needed and could not be fetched; "
            f"bring it once, where there is a network: INSTALL {extension}"
        )
    if isinstance(error, REFUSALS):
        return f"{target}: {first_line(error)}; files written so far stay, the next export goes on"
    return None


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine. A file is written beside its place and renamed."""

    connection: duckdb.DuckDBPyConnection
    path: Path

    def read_manifest(self) -> bytes | None:
        with contextlib.suppress(FileNotFoundError):
            return (self.path / MANIFEST).read_bytes()
        return None

    def list_files(self) -> set[str]:
        names = {
            path.relative_to(self.path).as_posix()
            for path in self.path.rglob("*rows.*")
            if path.is_file()
        }
        return {name for name in names if ROWS.fullmatch(name)}

    def write(self, name: str, select: str, options: str) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        try:
            self.connection.execute(f"COPY ({select}) TO {quote(str(draft))} ({options})")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def remove(self, name: str, empty_select: str, options: str) -> bool:
        path = self.path / name
        path.unlink(missing_ok=True)
        _remove_empty(path.parents, self.path)
        return False

    def write_manifest(self, content: bytes) -> None:
        path = self.path / MANIFEST
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        draft.write_bytes(content)
        draft.replace(path)


def _remove_empty(folders: Iterable[Path], end: Path) -> None:
    for folder in folders:
        if folder == end or any(folder.iterdir()):
            return
        shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A folder of an object store, where a file appears when it is complete.

    DuckDB writes and lists, and cannot delete: a partition that vanished becomes a file without
    rows.
    """

    connection: duckdb.DuckDBPyConnection
    url: str

    def read_manifest(self) -> bytes | None:
        try:
            rows = self.connection.execute(
                "SELECT encode(content) FROM read_text(?)", [f"{self.url}/{MANIFEST}"]
            ).fetchall()
        except duckdb.IOException as error:
            if any(word in str(error) for word in NOT_FOUND):
                return None
            raise
        return bytes(rows[0][0]) if rows else None

    def list_files(self) -> set[str]:
        rows = self.connection.execute(
            "SELECT file FROM glob(?)", [f"{self.url}/**/rows.*"]
        ).fetchall()
        names = {file.removeprefix(f"{self.url}/") for (file,) in rows}
        return {name for name in names if ROWS.fullmatch(name)}

    def write(self, name: str, select: str, options: str) -> None:
        self.connection.execute(f"COPY ({select}) TO {quote(f'{self.url}/{name}')} ({options})")

    def remove(self, name: str, empty_select: str, options: str) -> bool:
        self.write(name, empty_select, options)
        return True

    def write_manifest(self, content: bytes) -> None:
        target = quote(f"{self.url}/{MANIFEST}")
        text = quote(content.decode())
        self.connection.execute(f"COPY (SELECT encode({text})) TO {target} (FORMAT blob)")


def quote(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"
