"""Tables and views as files for BI tools: rewritten where they changed, and nowhere else.

    DIR/executions/source=interpreter/day=2026-11-23/rows.parquet
    DIR/executions/_manifest.json    each file with rows, time range and what it was made from
    DIR/failure_rate_daily/rows.parquet     what has no source and time of its own is one file

A partition is written beside its place and renamed, the manifest last: a reader never sees half a
file, and an export that was killed is repeated by the next one.
"""

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import duckdb
import msgspec

from etl.errors import ConfigError
from etl.store.connect import explain_errors

ROW_GROUP_ROWS = 122_880
MANIFEST = "_manifest.json"
"""Readers of partitioned files pass over names that begin with an underscore or a dot."""
TIME_COLUMNS = ("started_at", "run_after", "created_at")
WRITERS = {
    "parquet": f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}",
    "csv": "FORMAT csv, HEADER",
    "jsonl": "FORMAT json",
}


class Part(msgspec.Struct, frozen=True):
    """One exported file: what is in it, and the fingerprint of the rows it was made from."""

    file: str
    source: str | None
    day: str | None
    rows: int
    since: str | None
    until: str | None
    fingerprint: str


class Manifest(msgspec.Struct, frozen=True):
    """What an export left behind: its parts by partition."""

    format: str
    definition: str
    parts: dict[str, Part]


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did: files written, left alone, removed."""

    written: int
    kept: int
    removed: int
    rows: int


@dataclass(frozen=True, slots=True)
class Shape:
    """How a relation is cut into files: by source and by day of `time`, where it has them."""

    name: str
    columns: tuple[str, ...]
    time: str | None

    @property
    def is_partitioned(self) -> bool:
        return self.time is not None and "source" in self.columns


def export_relation(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    directory: Path,
    format_name: str = "parquet",
    is_full: bool = False,
) -> Exported:
    """Bring the files of one table or view up to date. Raises ConfigError, StoreError."""
    shape = read_shape(connection, name)
    folder = directory / name
    with explain_errors(directory):
        folder.mkdir(parents=True, exist_ok=True)
        definition = _describe_definition(shape)
        before = read_manifest(folder)
        if before is None or (before.format, before.definition) != (format_name, definition):
            before = Manifest(format_name, definition, {})
        parts = list_parts(connection, shape, format_name)
        stale = [key for key, part in parts.items() if is_full or before.parts.get(key) != part]
        stale += [
            key for key in parts if key not in stale and not (folder / parts[key].file).exists()
        ]
        for key in stale:
            _write_part(connection, shape, parts[key], folder, format_name)
        removed = _remove_others(folder, parts)
        if stale or removed or before.parts != parts:
            _write_whole(
                folder / MANIFEST, msgspec.json.encode(Manifest(format_name, definition, parts))
            )
    rows = sum(parts[key].rows for key in stale)
    return Exported(len(stale), len(parts) - len(stale), removed, rows)


def read_shape(connection: duckdb.DuckDBPyConnection, name: str) -> Shape:
    """The columns of a table or view. Raises ConfigError if there is none of that name."""
    try:
        rows = connection.execute(f"DESCRIBE FROM {_quote(name)}").fetchall()
    except duckdb.CatalogException as error:
        raise ConfigError(f'there is no table or view "{name}"; see: etl views') from error
    columns = tuple(row[0] for row in rows)
    times = {row[0] for row in rows if row[1] == "TIMESTAMP WITH TIME ZONE"}
    time = next((column for column in TIME_COLUMNS if column in times), None)
    return Shape(name, columns, time)


def list_parts(
    connection: duckdb.DuckDBPyConnection, shape: Shape, format_name: str
) -> dict[str, Part]:
    """The parts a relation has now, by partition, each with a fingerprint of its rows.

    The fingerprint does not depend on the order of rows: a sum of hashes, with their number.
    """
    group = "1" if not shape.is_partitioned else f"source, {_day(shape)}"
    time = f'"{shape.time}"' if shape.time else "NULL::TIMESTAMPTZ"
    rows = connection.execute(
        f"""
        SELECT
            {"source" if shape.is_partitioned else "NULL"},
            {f"{_day(shape)}::VARCHAR" if shape.is_partitioned else "NULL"},
            count(*),
            min({time})::VARCHAR,
            max({time})::VARCHAR,
            coalesce(sum(hash(relation)::HUGEINT), 0)::VARCHAR
        FROM {_quote(shape.name)} AS relation
        GROUP BY {group}
        """
    ).fetchall()
    parts = {}
    for source, day, count, since, until, fingerprint in rows:
        key = "" if source is None else make_path(source, day)
        file = f"{key}/rows.{format_name}".lstrip("/")
        parts[key] = Part(file, source, day, count, since, until, fingerprint)
    return parts


def make_path(source: str, day: str | None) -> str:
    """The folder of a partition, in the form that readers of hive partitions expect."""
    return f"source={quote(source, safe='')}/day={day or '__HIVE_DEFAULT_PARTITION__'}"


def _day(shape: Shape) -> str:
    return f"""("{shape.time}" AT TIME ZONE 'UTC')::DATE"""


def _write_part(
    connection: duckdb.DuckDBPyConnection,
    shape: Shape,
    part: Part,
    folder: Path,
    format_name: str,
) -> None:
    """Write one file, whole or not at all, its rows by time."""
    path = folder / part.file
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    columns = "* EXCLUDE (source)" if shape.is_partitioned else "*"
    order = f'"{shape.time}"' if shape.time else "ALL"
    try:
        connection.execute(
            f"COPY (SELECT {columns} FROM {_quote(shape.name)} WHERE {_match(shape, part)} "
            f"ORDER BY {order}) TO {_literal(str(draft))} ({WRITERS[format_name]})"
        )
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _match(shape: Shape, part: Part) -> str:
    """The rows of a part; the day as a range of time, so that the others are not read."""
    if part.source is None:
        return "true"
    source = f"source = {_literal(part.source)}"
    if part.day is None:
        return f'{source} AND "{shape.time}" IS NULL'
    begin = f"TIMESTAMPTZ {_literal(part.day + ' 00:00:00+00')}"
    return f'{source} AND "{shape.time}" >= {begin} AND "{shape.time}" < {begin} + INTERVAL 24 HOUR'


def read_manifest(folder: Path) -> Manifest | None:
    """What the last export left; None if there was none, or if it cannot be read."""
    with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    return None


def _remove_others(folder: Path, parts: Mapping[str, Part]) -> int:
    """Remove the files of partitions that are no more; how many there were."""
    kept = {folder / part.file for part in parts.values()}
    others = [path for path in folder.rglob("*rows.*") if path.is_file() and path not in kept]
    for path in others:
        path.unlink()
    for empty in sorted(folder.glob("source=*/day=*"), reverse=True):
        if not any(empty.iterdir()):
            shutil.rmtree(empty)
    for empty in folder.glob("source=*"):
        if not any(empty.iterdir()):
            empty.rmdir()
    return len(others)


def _write_whole(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    draft.replace(path)


def _describe_definition(shape: Shape) -> str:
    return ", ".join(shape.columns)


def _quote(name: str) -> str:
    return ".".join(f'"{part}"' for part in name.split("."))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
